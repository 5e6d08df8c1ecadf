"""What several commands take: options, `-s field=value`, and the config that they describe."""

import inspect
import re
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated

import typer

from losa import presets
from losa.config import Config, parse_field
from losa.errors import AnnotationError
from losa.label_files.source import Reading
from losa.label_files.times import UNITS
from losa.presets import PRESETS, postprocess

READABLE = ("video", "label", "start", "end", "duration", "subset")  # columns of a label file
Set = Annotated[list[str] | None, typer.Option("--set", "-s", help=(
    "Replace a config field, e.g. -s ranges=short -s seed=3; may be repeated. `losa fields` lists them."))]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="A config.json to start from.")]
Preset = Annotated[str, typer.Option(help=f"Complete settings to start from: {', '.join(PRESETS)}.")]
Folder = Annotated[Path, typer.Option("--data", help="With --preset: folder with annotations.json, for the taps too.")]
Post = Annotated[str, typer.Option(help="Post-processing of a peer: actionformer or opentad.")]


Videos = Annotated[Path | None, typer.Option("--videos", help="Folder of the videos: for frame rates, and to look at "
                                             "them too.")]
From = Annotated[str, typer.Option("--from", help="Format of the labels, instead of the one recognised: a name of "
                                   "`losa data check --formats`.")]
Times = Annotated[str, typer.Option(help=f"What the numbers of the file are, where they are no seconds: "
                                    f"{', '.join(UNITS)}.")]
Fps = Annotated[float | None, typer.Option(help="Frames per second, for times in frames, where no video says it.")]
Columns = Annotated[str, typer.Option(help='Which columns of a table are meant, by name or number: '
                                      'label=Behavior,start="Start (s)",duration=5.')]
Tier = Annotated[str, typer.Option(help="Of several tiers (ELAN, Praat), the one with the labels.")]
LabelColumn = Annotated[str, typer.Option(help="Of several columns or attributes, the one with the labels.")]
LabelSeparator = Annotated[str, typer.Option(help="The sign between several labels in one cell, such as '|'.")]
Classes = Annotated[Path | None, typer.Option(help="Text file of the classes, one a line, '7 Jump' with its number.")]


def make_reading(format: From = "", times: Times = "", fps: Fps = None, columns: Columns = "", tier: Tier = "",
                 label_column: LabelColumn = "", label_separator: LabelSeparator = "",
                 classes: Classes = None) -> Reading:
    """Return how to read a label file, from a command's options. Raises AnnotationError for columns of another kind."""
    return Reading(format, times, fps, parse_columns(columns), tier, label_column, label_separator, classes)


def with_reading(command: Callable) -> Callable:
    """Give a command the options of `make_reading`; it gets what they describe as its parameter `reading`."""
    options, own = inspect.signature(make_reading).parameters, inspect.signature(command)

    @wraps(command)
    def called(**given):
        reading = make_reading(**{name: given.pop(name) for name in options})
        return command(**given, reading=reading)

    kept = [parameter for name, parameter in own.parameters.items() if name != "reading"]
    together = [*kept, *(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in options.values())]
    called.__signature__ = own.replace(parameters=together)  # type: ignore[attr-defined]
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in together}
    return called


def parse_columns(text: str) -> dict[str, str]:
    """Return {"label": "Behavior", "start": "Start (s)"} for 'label=Behavior,start="Start (s)"'."""
    names = {}
    for pair in re.split(rf",(?=\s*(?:{'|'.join(READABLE)})\s*=)", text) if text else []:
        ours, sign, theirs = (part.strip() for part in pair.partition("="))
        if not sign or ours not in READABLE or not theirs:
            raise AnnotationError(f"--columns {text}: expected pairs such as label=Behavior,start=3, of "
                                  f"{', '.join(READABLE)}")
        names[ours] = theirs[1:-1] if theirs[0] in "\"'" and theirs[-1] == theirs[0] and len(theirs) > 2 else theirs
    return names


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
    """Return {"seed": 3} for ["seed=3"]. Values are read by `losa.config.parse_field`.

    taken: fields that the command sets by options of its own; they are refused.
    """
    fields = {}
    for pair in pairs or []:
        name, sign, value = pair.partition("=")
        if not sign:
            raise typer.BadParameter(f"--set takes field=value, got {pair!r}; see `losa train --help`")
        if name in taken:
            raise typer.BadParameter(f"{name} is set by this command's own options, see --help")
        fields[name] = parse_field(name, value)
    return fields
