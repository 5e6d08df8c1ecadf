"""The `losa` command: a few lines over the package each."""

import json
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from losa.config import Config
from losa.measure import bench_app, study_app
from losa.options import ConfigFile, Folder, Post, Preset, Set, choose_config, interruptible, parse_fields

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=(
    "Temporal action localization with long-short-range adapters beside a frozen backbone.\n\n"
    "First try: `losa demo`. Own videos: `losa check`, `losa prepare`, `losa train`, `losa predict`."))
app.add_typer(bench_app, name="bench")
app.add_typer(study_app, name="study")


@app.command()
def demo(out: Annotated[Path, typer.Option(help="Folder for everything the demo makes.")] = Path("runs/demo"),
         size: Annotated[str, typer.Option(help="demo (minutes) or tiny (seconds, learns nothing).")] = "demo",
         seed: Annotated[int, typer.Option(help="Seed of the data and of training.")] = 0,
         fields: Set = None) -> None:
    """Render videos, train head-only and LoSA, predict, evaluate, write a page. Stopped, it continues."""
    from losa.demo import demo

    interruptible(demo, out, size=size, seed=seed, **parse_fields(fields, taken=("seed", "annotations", "cache")))


@app.command()
def prepare(out: Annotated[Path, typer.Argument(help="Folder to write annotations.json into.")],
            world: Annotated[str, typer.Option(help="Render the embedded world at this size: tiny, demo or "
                                               "full.")] = "",
            seed: Annotated[int, typer.Option(help="Seed of the world.")] = 0,
            videos: Annotated[Path | None, typer.Option(help="Folder of your videos.")] = None,
            annotations: Annotated[Path | None, typer.Option(
                help="Your labels: ActivityNet-layout JSON, or CSV video,label,start,end[,subset].")] = None,
            split: Annotated[str, typer.Option(help="Shares of train,val,test, e.g. 0.6,0.2,0.2, drawn by video; "
                                               "for labels without a subset column.")] = "",
            ranges: Annotated[Path | None, typer.Option(
                help="CSV id,file,start,end,subset: cut files into several videos by time range.")] = None,
            normalise: Annotated[bool, typer.Option("--normalise", help="Re-encode files that cannot be read at "
                                                    "random (open GOP, edit list, MPEG-TS) into OUT/videos.")] = False,
            decode: Annotated[bool, typer.Option("--decode", help="Read every file to its end and leave out those "
                                                 "that are damaged in their middle.")] = False,
            ) -> None:
    """Make a checked dataset: from your videos and labels, or the embedded world."""
    if bool(world) == bool(videos):
        raise typer.BadParameter("give either --world SIZE, or --videos FOLDER with --annotations FILE")
    if world:
        from losa.world import make_world

        print(make_world(out, world, seed=seed))
        return
    if annotations is None:
        raise typer.BadParameter("--videos needs --annotations FILE")
    from losa.annotations.prepare import prepare
    from losa.hints import parse_shares, training_hint

    found = prepare(videos, annotations, out, ranges=ranges, split=parse_shares(split), normalise=normalise,
                    decode=decode)
    print(f"{out / 'annotations.json'}: {len(found.videos)} videos, {len(found.classes)} classes, "
          f"{sum(len(v.labels) for v in found.videos)} segments; subsets "
          + ", ".join(f"{name}: {count} videos" for name, (count, _) in found.subsets.items()))
    print(training_hint(found, out))


@app.command()
def fields(config: ConfigFile = None, preset: Preset = "", data: Folder = Path("data")) -> None:
    """Every field of the config, its value, and what it means: what -s replaces."""
    from losa.hints import field_list

    print(field_list(choose_config(config, preset, data, "", None)))


@app.command()
def pretrain(preset: Annotated[str, typer.Argument(help="gap (misses 6 motions) or covered (sees all).")],
             out: Annotated[Path, typer.Option(help="Folder for weights and card.")] = Path("runs/pretrain"),
             seed: Annotated[int, typer.Option(help="Seed of clips and weights.")] = 0) -> None:
    """Pretrain a world backbone on trimmed clips, as the shipped ones were made."""
    from losa.pretrain import pretrain

    print(pretrain(preset, out, seed=seed))


@app.command()
def train(out: Annotated[Path, typer.Argument(help="Folder of the run; an interrupted run continues.")],
          config: ConfigFile = None, preset: Preset = "", data: Folder = Path("data"), post: Post = "",
          fields: Set = None) -> None:
    """Train, predict the test subset, evaluate. Without options: LoSA on the demo's data."""
    from losa.hints import print_table
    from losa.run import run
    from losa.training.distributed import launched

    chosen = choose_config(config, preset, data, post, fields)
    result = interruptible(run, chosen, out)
    if not launched().is_main_process:
        return
    if result["val_map"]:
        print(f"val average {100 * list(result['val_map'].values())[-1]:.2f}: choose between configs by this one")
    print_table(result)
    print(f"next: losa evaluate {out / 'predictions.json'} --ground-truth {chosen.ground_truth or chosen.annotations} "
          f"--subset {result['subset']}" + (f" --test-set {chosen.test_set}" if chosen.test_set else "")
          + (f" --protocol {chosen.protocol}" if chosen.protocol != "activitynet" else ""))
    if not chosen.features:
        print(f"  or: losa predict VIDEOS --run {out} --out FOLDER")


@app.command()
def extract(config: ConfigFile = None, preset: Preset = "", data: Folder = Path("data"),
            videos: Annotated[Path | None, typer.Option(help="Folder of videos without annotations; needs "
                                                        "--export.")] = None,
            export: Annotated[Path | None, typer.Option(help="Also write last-layer features as VIDEO.npy (T, C) "
                                                        "here, the layout of ActionFormer and OpenTAD.")] = None,
            fields: Set = None) -> None:
    """Compute the taps of all annotated videos into the cache. Stopped, it continues; failing files are listed."""
    from losa.precompute import extract_all

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


@app.command()
def predict(what: Annotated[Path, typer.Argument(help="A video or a folder of videos; without --run, a run's folder.")],
            run: Annotated[Path | None, typer.Option(help="Folder of a trained run, to predict videos with.")] = None,
            out: Annotated[Path, typer.Option(help="Folder for predictions of videos.")] = Path("runs/predictions"),
            weights: Annotated[str, typer.Option(help="The backbone's checkpoint, if it has moved.")] = "",
            min_score: Annotated[float, typer.Option(min=0, max=1, help="Least score in subtitles, and where the "
                                                     "page's slider stands.")] = 0.25,
            subset: Annotated[str, typer.Option(help="Without --run: this subset of the annotations, evaluated.")]
            = "test",
            annotations: Annotated[str, typer.Option(help="Without --run: another annotations.json, with the same "
                                                     "classes; default: the run's own.")] = "",
            post: Post = "",
            fields: Set = None) -> None:
    """Find actions in your videos (--run RUN --out DIR), or predict and evaluate an annotated subset of a run.

    For videos: JSON, CSV, subtitles and a page to look at. Fields of prediction may be replaced, e.g. --post opentad
    or -s nms_sigma=0.7, without training again.
    """
    if run is not None:
        from losa.own import predict_files

        found = interruptible(predict_files, what, run, out, weights=weights, min_score=min_score, post=post,
                              fields=parse_fields(fields))
        shown = sum(video["num_shown"] for video in found["videos"].values())
        many = "1 video" if len(found["videos"]) == 1 else f"{len(found['videos'])} videos"
        print(f"{many}, {shown} segments of score {min_score} or more: open {out / 'index.html'}"
              + ("" if shown else "\nnothing is that sure: look at the page for the best scores, try --min-score 0.05"))
        if found["failed"]:
            raise SystemExit(1)
        return
    from losa.hints import print_table
    from losa.run import test

    result = test(what, subset, annotations=annotations, post=post, fields=parse_fields(fields))
    print_table(result)
    print(result["predictions"])


@app.command()
def evaluate(predictions: Annotated[Path, typer.Argument(help="ActivityNet results JSON.")],
             ground_truth: Annotated[Path, typer.Option(help="ActivityNet-layout JSON, or a folder of THUMOS' official "
                                                        "text files.")],
             subset: Annotated[str, typer.Option(help="Subset of the ground truth, spelt as in the file; of the text "
                                                 "files: test or val.")],
             tiou: Annotated[str, typer.Option(help="low:high:step, or values with commas.")] = "0.3:0.7:0.1",
             protocol: Annotated[str, typer.Option(help="activitynet (duplicates kept), activitynet-dedup (dropped, as "
                                                   "OpenTAD and ActionFormer) or thumos14 (the challenge's "
                                                   "toolkit).")] = "activitynet",
             test_set: Annotated[str, typer.Option(help="A published test set: thumos14-213, -212, -211 or -210.")]
             = "",
             block_list: Annotated[Path | None, typer.Option(help="File of video ids to leave out, e.g. ActivityNet's "
                                                             "blocked videos.")] = None,
             format: Annotated[str, typer.Option(help="table or json.")] = "table") -> None:
    """mAP of a predictions file, by the rules of a public evaluator, and the card that says which."""
    from losa.evaluation.average_precision import evaluate, report
    from losa.evaluation.card import evaluation_card
    from losa.evaluation.protocols import parse_tiou
    from losa.evaluation.records import read_ground_truth, read_predictions, read_table
    from losa.evaluation.test_sets import TEST_SETS, choose_test_set, leave_out, read_block_list
    from losa.hints import print_table

    predictions = predictions / "predictions.json" if predictions.is_dir() else predictions
    given = read_table(ground_truth, subset) if ground_truth.suffix.lower() == ".csv" else None
    given = given or read_ground_truth(ground_truth, subset)
    left_out = set(read_block_list(block_list) if block_list else ())
    truth = leave_out(given, left_out)
    if test_set:
        truth = choose_test_set(truth, test_set)
        left_out |= set(TEST_SETS[test_set].left_out)
    everything = read_predictions(predictions)
    records = leave_out(everything, left_out)
    dropped = sum(map(len, everything.values())) - sum(map(len, records.values()))
    if dropped:
        warnings.warn(f"{dropped} predictions lie in videos that are left out; they do not count", stacklevel=1)
    found = report(evaluate(truth, records, parse_tiou(tiou), protocol))
    found["card"] = evaluation_card(found, predictions, ground_truth, subset=subset, test_set=test_set,
                                    left_out=given.keys() - truth.keys())
    if format == "json":
        print(json.dumps(found))
    elif format == "table":
        print_table(found)
    else:
        raise typer.BadParameter(f"--format is table or json, got {format!r}")


@app.command()
def compare(first: Annotated[str, typer.Argument(help="A run's folder, a result, predictions or evaluation JSON, or "
                                                 "published:NAME.")],
            second: Annotated[str, typer.Argument(help="Another one.")]) -> None:
    """Whether two numbers may stand in one table: what their protocol cards have in common and what not."""
    from losa.evaluation.card import compare, read_card

    print(compare(read_card(first), read_card(second)))


@app.command()
def check(annotations: Annotated[Path, typer.Argument(help="JSON, CSV, or folder of THUMOS' text files.")],
          videos: Annotated[Path | None, typer.Option(help="Folder of the videos, to look at them too.")] = None,
          fix: Annotated[Path | None, typer.Option(help="Write a clean copy here; the input stays as it is.")] = None,
          decode: Annotated[bool, typer.Option("--decode", help="Read every video to its end.")] = False) -> None:
    """What is wrong with annotations and videos: counts and first examples.

    Exit code 1 if anything should change; with --fix, in the copy.
    """
    from losa.annotations.check import check
    from losa.annotations.repair import fix as clean

    found = check(annotations, videos, decode=decode)
    print(found.table())
    if fix is not None:
        changes = clean(annotations, fix, videos, decode=decode)
        print("\nwhat the clean copy changes:", *changes, f"\nwhat is left in {fix}:", sep="\n")
        found = check(fix, videos, decode=decode)
        print(found.table())
    raise SystemExit(found.exit_code)


@app.command()
def sweep(notebook: Annotated[Path, typer.Argument(help="A notebook with a parameters cell, e.g. "
                                                   "notebooks/02_train.ipynb.")],
          grid: Annotated[Path, typer.Option(help="YAML or JSON: lists of values by parameter (all combinations), or a "
                                             "list of such.")],
          out: Annotated[Path, typer.Option(help="Folder of the runs; finished ones are not run again.")],
          jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Runs at a time; they share the cores.")] = 1,
          retry: Annotated[bool, typer.Option("--retry", help="Run failed ones again.")] = False,
          timeout: Annotated[float | None, typer.Option(min=1, help="Seconds after which a run is stopped.")] = None,
          ) -> None:
    """Run a notebook once per combination of parameters. Stopped, it continues; exit code 1 if a run failed."""
    from losa.sweep import sweep

    found = interruptible(sweep, notebook, grid, out, jobs=jobs, retry=retry, timeout_s=timeout)
    print(f"next: losa report {out}")
    if found.exit_code:
        raise SystemExit(found.exit_code)


@app.command()
def report(folder: Annotated[Path, typer.Argument(help="Folder of a sweep, or of any runs.")],
           out: Annotated[Path | None, typer.Option(help="Page to write; default: report.html in the folder.")] = None,
           ) -> None:
    """All runs under a folder as one offline page and as runs.csv and runs.parquet: table, intervals, Pareto."""
    from losa.report import report

    print(report(folder, out))


@app.command()
def playable(video: Annotated[Path, typer.Argument(help="A video that a browser does not show.")],
             copy: Annotated[Path, typer.Argument(help="The mp4 to write.")]) -> None:
    """Copy a video so that every browser plays it: H.264 in an mp4, the same pictures at the same times, no sound."""
    from losa.video.convert import normalise

    if copy.suffix.lower() != ".mp4":
        raise typer.BadParameter(f"the copy is an mp4: expected a name that ends in .mp4, got {str(copy)!r}")
    print(normalise(video, copy))


@app.command()
def sheet(out: Annotated[Path, typer.Option(help="PNG to write.")] = Path("runs/sheet.png")) -> None:
    """One picture of everything in the embedded world: classes, fillers, near-twins, difficulties."""
    from losa.world import contact_sheet

    out.parent.mkdir(parents=True, exist_ok=True)
    print(contact_sheet(out))


def main() -> None:
    """The command with our own errors as one line instead of a traceback, and each warning once."""
    told = set()

    def tell(message: Warning | str, *_, **__) -> None:
        if str(message) not in told:
            told.add(str(message))
            print(f"warning: {message}", file=sys.stderr)

    warnings.showwarning = tell
    try:
        app()
    except (ValueError, RuntimeError, OSError) as error:
        if not type(error).__module__.startswith(("losa", "builtins")):
            raise
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
