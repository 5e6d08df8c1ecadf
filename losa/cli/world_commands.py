"""`losa world`: the embedded world of drawn videos, a picture of it, and its backbones."""

from pathlib import Path
from typing import Annotated

import typer

world_app = typer.Typer(no_args_is_help=True, help="The embedded world: render its videos, pretrain its backbones.")


@world_app.command()
def render(out: Annotated[Path, typer.Argument(help="Folder for the videos and annotations.json.")],
           size: Annotated[str, typer.Option(help="tiny, demo or full.")] = "demo",
           seed: Annotated[int, typer.Option(help="Seed of the world.")] = 0) -> None:
    """Render labelled, untrimmed videos with exact boundaries. What is there already is kept."""
    from losa.world.render import make_world

    print(make_world(out, size, seed=seed))


@world_app.command()
def pretrain(preset: Annotated[str, typer.Argument(help="gap (misses 6 motions) or covered (sees all).")],
             out: Annotated[Path, typer.Option(help="Folder for weights and card.")] = Path("runs/pretrain"),
             seed: Annotated[int, typer.Option(help="Seed of clips and weights.")] = 0) -> None:
    """Pretrain a world backbone on trimmed clips, as the shipped ones were made."""
    from losa.world.pretrain import pretrain

    print(pretrain(preset, out, seed=seed))


@world_app.command()
def sheet(out: Annotated[Path, typer.Option(help="PNG to write.")] = Path("runs/sheet.png")) -> None:
    """One picture of everything in the embedded world: classes, fillers, near-twins, difficulties."""
    from losa.world.render import contact_sheet

    out.parent.mkdir(parents=True, exist_ok=True)
    print(contact_sheet(out))
