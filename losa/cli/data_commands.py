"""`losa data`: check, prepare and extract videos and labels."""

from pathlib import Path
from typing import Annotated

import typer

from losa.cli.options import ConfigFile, Folder, Preset, Set, choose_config, interruptible, with_reading
from losa.config import Config
from losa.label_files.source import AS_RECOGNISED, Reading

data_app = typer.Typer(no_args_is_help=True, help="Check labels, prepare a data set, extract features, convert videos.")


@data_app.command()
@with_reading
def prepare(out: Annotated[Path, typer.Argument(help="Folder to write annotations.json into.")],
            videos: Annotated[Path, typer.Option(help="Folder of your videos.")],
            annotations: Annotated[Path, typer.Option(
                help="Your labels: CSV video,label,start,end[,subset], ActivityNet's JSON, or any file of `losa data "
                     "check --formats`.")],
            split: Annotated[str, typer.Option(help="Shares of train,val,test, e.g. 0.6,0.2,0.2, drawn by video so "
                                               "that every class is in every part where that can be; "
                                               "for labels without a subset column.")] = "",
            seed: Annotated[int, typer.Option(help="Of --split: another number draws other videos.")] = 0,
            ranges: Annotated[Path | None, typer.Option(
                help="CSV id,file,start,end,subset: cut files into several videos by time range.")] = None,
            normalise: Annotated[bool, typer.Option("--normalise", help="Re-encode files that cannot be read at "
                                                    "random (open GOP, edit list, MPEG-TS) into OUT/videos.")] = False,
            decode: Annotated[bool, typer.Option("--decode", help="Read every file to its end and leave out those "
                                                 "that are damaged in their middle.")] = False,
            reading: Reading = AS_RECOGNISED) -> None:
    """Make a checked data set from your videos and labels."""
    from losa.annotations.prepare import prepare
    from losa.cli.output import parse_shares, training_hint

    found = prepare(videos, annotations, out, ranges=ranges, split=parse_shares(split), normalise=normalise,
                    decode=decode, reading=reading, seed=seed)
    print(f"{out / 'annotations.json'}: {len(found.videos)} videos, {len(found.classes)} classes, "
          f"{sum(len(v.labels) for v in found.videos)} segments; subsets "
          + ", ".join(f"{name}: {count} videos" for name, (count, _) in found.subsets.items()))
    print(training_hint(found, out))


@data_app.command()
@with_reading
def check(annotations: Annotated[Path | None, typer.Argument(help="Labels: CSV, JSON, or any file or folder of "
                                                             "--formats.")] = None,
          videos: Annotated[Path | None, typer.Option(help="Folder of the videos, to look at them too.")] = None,
          fix: Annotated[Path | None, typer.Option(help="Write a clean copy here; the input stays as it is.")] = None,
          decode: Annotated[bool, typer.Option("--decode", help="Read every video to its end.")] = False,
          rename: Annotated[list[str] | None, typer.Option(help="With --fix: OLD=NEW gives a label another name, e.g. "
                                                           "--rename jmup=jump; may be repeated.")] = None,
          formats: Annotated[bool, typer.Option("--formats", help="List the label files that are read, and stop.")]
          = False, reading: Reading = AS_RECOGNISED) -> None:
    """What is wrong with annotations and videos: counts and first examples.

    --fix merges no labels but those that differ in case or spaces only, and lists every change in COPY.changes.csv.
    Exit code 1 if anything should change; with --fix, in the copy.
    """
    from losa.annotations.check import check
    from losa.annotations.repair import fix as clean
    from losa.annotations.scan import describe_formats

    if formats:
        print(describe_formats())
        return
    if annotations is None:
        raise typer.BadParameter("give a label file, or --formats for what can be read")
    if rename and fix is None:
        raise typer.BadParameter(f"--rename {rename[0]} goes into a copy: add --fix COPY"
                                 + (annotations.suffix if annotations.suffix in (".csv", ".json") else ".json"))
    found = check(annotations, videos, decode=decode, reading=reading)
    print(found.table())
    if fix is not None:
        total, *changes = clean(annotations, fix, videos, decode=decode, rename=rename or (), reading=reading)
        print(f"\n{fix}: {total}", *changes, f"\nwhat is left in {fix}:", sep="\n")
        found = check(fix, videos, decode=decode, classes=reading.classes)
        print(found.table())
    raise SystemExit(found.exit_code)


@data_app.command()
def playable(video: Annotated[Path, typer.Argument(help="A video that a browser does not show.")],
             copy: Annotated[Path, typer.Argument(help="The mp4 to write.")]) -> None:
    """Copy a video so that every browser plays it: H.264 in an mp4, the same pictures at the same times, no sound."""
    from losa.video.convert import normalise

    if copy.suffix.lower() != ".mp4":
        raise typer.BadParameter(f"the copy is an mp4: expected a name that ends in .mp4, got {str(copy)!r}")
    print(normalise(video, copy))


@data_app.command()
def extract(config: ConfigFile = None, preset: Preset = "", data: Folder = Path("data"),
            videos: Annotated[Path | None, typer.Option(help="Folder of videos without annotations; needs "
                                                        "--export.")] = None,
            export: Annotated[Path | None, typer.Option(help="Also write last-layer features as VIDEO.npy (T, C) "
                                                        "here, the layout of ActionFormer and OpenTAD.")] = None,
            fields: Set = None) -> None:
    """Compute the taps of all annotated videos into the cache. Stopped, it continues; failing files are listed."""
    from losa.workflows.extract_dataset import extract_all

    chosen = choose_config(config, preset, data, "", fields)
    if videos is not None:
        if export is None:
            raise typer.BadParameter("--videos without annotations needs --export DIR, where the features go")
        if chosen.cache == Config().cache:
            chosen = chosen.replace(cache=str(export / "taps"))
    failed = interruptible(extract_all, chosen, videos=videos, export=export)
    if export is not None:
        print(f"features in {export}; to train the head on them: losa train RUN_FOLDER -s features={export} "
              "-s taps=none -s annotations=ANNOTATIONS")
    if failed:
        raise SystemExit(1)
