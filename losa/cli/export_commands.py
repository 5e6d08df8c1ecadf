"""`losa export`: labels and predictions for other tools."""

from pathlib import Path
from typing import Annotated

import typer

from losa.cli.options import with_reading
from losa.label_files.source import AS_RECOGNISED, Reading


@with_reading
def export(source: Annotated[Path, typer.Argument(help="A label file, predictions, or the folder of a run or of `losa "
                                                  "predict`.")],
           to: Annotated[str, typer.Option(help="activitynet, boris, csv, elan, fiftyone, label-studio, srt or via.")],
           out: Annotated[Path | None, typer.Option(help="Folder to write into; default: SOURCE_TO beside the "
                                                    "source.")] = None,
           videos: Annotated[Path | None, typer.Option(help="Folder of the videos: for names, lengths and frame "
                                                       "rates.")] = None,
           subset: Annotated[str, typer.Option(help="Only this subset of the annotations.")] = "",
           min_score: Annotated[float, typer.Option(min=0, help="Leave out predictions below this score.")] = 0.0,
           reading: Reading = AS_RECOGNISED) -> None:
    """Write labels or predictions in the format of another tool, to look at them or correct them there."""
    from losa.workflows.export_labels import export_labels

    folder = out or source.with_name(f"{source.stem}_{to}")
    paths = export_labels(source, to, folder, videos=videos, subset=subset, min_score=min_score, reading=reading)
    print(paths[0] if len(paths) == 1 else f"{len(paths)} files in {folder}")
