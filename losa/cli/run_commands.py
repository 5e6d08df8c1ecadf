"""The commands of one run: demo, train, test, predict, evaluate, compare, fields."""

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer

from losa.cli.options import (
    ConfigFile,
    Folder,
    Post,
    Preset,
    Set,
    choose_config,
    interruptible,
    parse_fields,
    with_reading,
)
from losa.label_files.source import AS_RECOGNISED, Reading


def train(out: Annotated[Path, typer.Argument(help="Folder of the run; an interrupted run continues.")],
          config: ConfigFile = None, preset: Preset = "", data: Folder = Path("data"), post: Post = "",
          fields: Set = None) -> None:
    """Train, predict the test subset, evaluate. Without options: LoSA on the demo's data."""
    from losa.cli.output import print_table
    from losa.training.distributed import launched
    from losa.workflows.evaluate_run import evaluate_command
    from losa.workflows.run import run

    chosen = choose_config(config, preset, data, post, fields)
    result = interruptible(run, chosen, out)
    if not launched().is_main_process:
        return
    if result["val_map"]:
        print(f"val average {100 * list(result['val_map'].values())[-1]:.2f}: choose between configs by this one")
    print_table(result)
    if result["average_map"] is not None:
        print(f"next: {evaluate_command(out, chosen)}")
    if not chosen.features:
        print(f"  or: losa predict VIDEOS --run {shlex.quote(str(out))} --out FOLDER")


def test(run: Annotated[Path, typer.Argument(help="Folder of a trained run.")],
         subset: Annotated[str, typer.Option(help="Subset of the annotations to predict, and to evaluate where it "
                                                   "has labels.")] = "test",
         annotations: Annotated[str, typer.Option(help="Another annotations.json with the same classes; default: the "
                                                  "run's own.")] = "",
         post: Post = "", fields: Set = None) -> None:
    """Predict a subset with a trained run and evaluate the predictions.

    A subset without labels, as the hidden ones of evaluation servers, is predicted and not evaluated.
    Fields of prediction and evaluation may be replaced without training again, e.g. --post opentad or
    -s nms_sigma=0.7.
    """
    from losa.cli.output import print_table
    from losa.workflows.evaluate_run import test

    result = test(run, subset, annotations=annotations, post=post, fields=parse_fields(fields))
    print_table(result)
    print(result["predictions"])


def predict(videos: Annotated[Path, typer.Argument(help="A video, or a folder of videos.")],
            run: Annotated[Path, typer.Option(help="Folder of a trained run.")],
            out: Annotated[Path, typer.Option(help="Folder for the predictions.")] = Path("runs/predictions"),
            weights: Annotated[str, typer.Option(help="The backbone's checkpoint, if it has moved.")] = "",
            min_score: Annotated[float, typer.Option(min=0, max=1, help="Least score in subtitles, and where the "
                                                     "page's slider stands.")] = 0.25,
            post: Post = "", fields: Set = None) -> None:
    """Find actions in your videos: JSON, CSV, subtitles and a page to look at.

    Fields of prediction may be replaced, e.g. --post opentad or -s nms_sigma=0.7, without training again.
    """
    from losa.reports.score_notes import describe_hidden
    from losa.workflows.predict_videos import predict_videos

    found = interruptible(predict_videos, videos, run, out, weights=weights, min_score=min_score, post=post,
                          fields=parse_fields(fields))
    shown = sum(video["num_shown"] for video in found["videos"].values())
    many = "1 video" if len(found["videos"]) == 1 else f"{len(found['videos'])} videos"
    print(f"{many}, {shown} segments of score {min_score} or more: open {out / 'index.html'}")
    best = {name: video["best_score"] for name, video in found["videos"].items()}
    if hidden := describe_hidden(best, min_score, "lower --min-score, or the slider on the page"):
        print(hidden)
    if found["failed"]:
        raise SystemExit(1)


@with_reading
def evaluate(predictions: Annotated[Path, typer.Argument(help="ActivityNet results JSON, rows as JSON or CSV, or a "
                                                       "run's folder.")],
             ground_truth: Annotated[Path | None, typer.Option(help="Annotations of any format that `losa data check "
                                                               "--formats` lists: ActivityNet's JSON, CSV, THUMOS' "
                                                               "official text files, ... Not needed with "
                                                               "--without-ambiguous.")] = None,
             subset: Annotated[str, typer.Option(help="Subset of the ground truth, spelt as in the file; default: the "
                                                 "only one, or the one for testing.")] = "",
             tiou: Annotated[str, typer.Option(help="low:high:step, or values with commas.")] = "0.3:0.7:0.1",
             protocol: Annotated[str, typer.Option(help="activitynet (duplicates kept), activitynet-dedup (dropped, as "
                                                   "OpenTAD and ActionFormer) or thumos14 (the challenge's "
                                                   "toolkit).")] = "activitynet",
             test_set: Annotated[str, typer.Option(help="A published test set: thumos14-213, -212, -211 or -210.")]
             = "",
             block_list: Annotated[Path | None, typer.Option(help="File of video ids to leave out, e.g. ActivityNet's "
                                                             "blocked videos.")] = None,
             class_agnostic: Annotated[bool, typer.Option("--class-agnostic", help="All classes count as one.")]
             = False,
             cleaned: Annotated[bool, typer.Option("--cleaned", help="Ground truth as training reads it: clipped to "
                                                   "its videos, without zero lengths and repeats.")] = False,
             label_key: Annotated[str, typer.Option(help="Key or column of the predictions with the class, e.g. "
                                                    "verb.")] = "",
             rename: Annotated[list[str] | None, typer.Option(help="OLD=NEW: a label of the predictions as the ground "
                                                              "truth writes it; may be repeated.")] = None,
             match_ids: Annotated[bool, typer.Option("--match-ids", help="Compare video ids without folder, file "
                                                     "ending, upper case and v_ in front.")] = False,
             predicted_times: Annotated[str, typer.Option(help="What the predictions' times are, where they are no "
                                                          "seconds: frames, ms, minutes or shares (of the video).")]
             = "",
             without_ambiguous: Annotated[bool, typer.Option("--without-ambiguous", help="Of a run's folder: beside "
                                                             "its number the one without the segments that are tagged "
                                                             "ambiguous; all else is as in the run.")] = False,
             output: Annotated[str, typer.Option("--format", help="table or json.")] = "table",
             reading: Reading = AS_RECOGNISED) -> None:
    """mAP of a predictions file, by the rules of a public evaluator, and the card that says which.

    What does not fit between the files (labels, ids, times, missing videos) is said before the numbers. --from to
    --classes say how to read the ground truth, where that is a choice; --classes names class numbers of both files.
    """
    from losa.cli.output import describe_without, print_table
    from losa.config import Config
    from losa.evaluation.evaluate_file import evaluate_file
    from losa.evaluation.protocols import parse_tiou
    from losa.workflows.evaluate_run import evaluate_command, evaluate_tagged

    if output not in ("table", "json"):
        raise typer.BadParameter(f"--format is table or json, got {output!r}")
    if without_ambiguous:
        changed = [ground_truth, subset, test_set, block_list, class_agnostic, cleaned, label_key, rename, match_ids,
                   predicted_times, tiou != "0.3:0.7:0.1", protocol != "activitynet", reading != AS_RECOGNISED]
        if any(changed):
            raise typer.BadParameter("--without-ambiguous takes ground truth, protocol and thresholds of the run; give "
                                     "nothing beside it but --format")
        both = evaluate_tagged(predictions)
        print(json.dumps(both) if output == "json" else describe_without(both))
        return
    if ground_truth is None:
        ran = predictions / "config.json"
        own = f"; for this run: {evaluate_command(predictions, Config.load(ran))}" if ran.is_file() else ""
        raise typer.BadParameter(f"Missing option '--ground-truth': the annotations to compare with{own}")
    found = evaluate_file(predictions, ground_truth, subset, tiou=parse_tiou(tiou), protocol=protocol,
                          test_set=test_set, block_list=block_list, class_agnostic=class_agnostic, cleaned=cleaned,
                          label_key=label_key, rename=rename or (), match_ids=match_ids, times=predicted_times,
                          reading=reading)
    if output == "json":
        print(json.dumps(found))
    else:
        print_table(found)


def compare(first: Annotated[str, typer.Argument(help="A run's folder, a result, predictions or evaluation JSON, or "
                                                 "published:NAME.")],
            second: Annotated[str, typer.Argument(help="Another one.")]) -> None:
    """Whether two numbers may stand in one table: what their protocol cards have in common and what not."""
    from losa.evaluation.card import compare, read_card

    print(compare(read_card(first), read_card(second)))


def fields(config: ConfigFile = None, preset: Preset = "", data: Folder = Path("data"),
           cell: Annotated[bool, typer.Option("--cell", help="As the parameters cell of notebooks/02_train.ipynb.")]
           = False) -> None:
    """List every field of the config with its value and meaning: what -s replaces."""
    from losa.cli.output import describe_fields

    print(describe_fields(choose_config(config, preset, data, "", None), as_cell=cell))


def demo(out: Annotated[Path, typer.Option(help="Folder for everything the demo makes.")] = Path("runs/demo"),
         size: Annotated[str, typer.Option(help="demo (minutes) or tiny (seconds, learns nothing).")] = "demo",
         seed: Annotated[int, typer.Option(help="Seed of the data and of training.")] = 0,
         notebook: Annotated[Path, typer.Option(help="The notebook to execute on the result, if it is there.")]
         = Path("notebooks/00_quickstart.ipynb"),
         fields: Set = None) -> None:
    """Render videos, train head-only and LoSA, predict, evaluate, write a page. Stopped, it continues."""
    from losa.workflows.demo import demo

    interruptible(demo, out, notebook=notebook, size=size, seed=seed,
                  fields=parse_fields(fields, taken=("seed", "annotations", "cache")))
