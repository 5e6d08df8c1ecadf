"""What several commands take: options, `-s field=value`, and the config that they describe."""

import json
from pathlib import Path
from typing import Annotated

import typer

from losa import presets
from losa.config import Config
from losa.presets import PRESETS, postprocess

Set = Annotated[list[str] | None, typer.Option("--set", "-s", help=(
    "Replace a config field, e.g. -s ranges=short -s seed=3; may be repeated. `losa fields` lists them."))]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="A config.json to start from.")]
Preset = Annotated[str, typer.Option(help=f"Complete settings to start from: {', '.join(PRESETS)}.")]
Folder = Annotated[Path, typer.Option("--data", help="With --preset: folder with annotations.json, for the taps too.")]
Post = Annotated[str, typer.Option(help="Post-processing of a peer: actionformer or opentad.")]


def choose_config(config: Path | None, preset: str, data: Path, post: str, fields: list[str] | None) -> Config:
    """Build the config that a command's options describe. Raises ConfigError for an unknown preset or field."""
    start = Config.load(config) if config else presets.preset(preset, data) if preset else Config()
    return (postprocess(start, post) if post else start).replace(**parse_fields(fields))


def interruptible(function, *words, **named):
    """Call the function. An interrupt ends the command with the interrupt's message, which typer would swallow."""
    try:
        return function(*words, **named)
    except KeyboardInterrupt as stop:
        words = str(stop)
        raise SystemExit(f"stopped {words}" if words else "stopped; the same command continues there") from None


def parse_fields(pairs: list[str] | None, taken: tuple[str, ...] = ()) -> dict:
    """Return {"seed": 3} for ["seed=3"]. Values are JSON where they parse as JSON, text otherwise.

    taken: fields that the command sets by options of its own; they are refused.
    """
    fields = {}
    for pair in pairs or []:
        name, sign, value = pair.partition("=")
        if not sign:
            raise typer.BadParameter(f"--set takes field=value, got {pair!r}; see `losa train --help`")
        if name in taken:
            raise typer.BadParameter(f"{name} is set by this command's own options, see --help")
        try:
            fields[name] = json.loads(value)
        except json.JSONDecodeError:
            fields[name] = value
    return fields
