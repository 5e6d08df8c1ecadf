"""What `04_own_video.ipynb` does beside its story: finding the user's files, making an example, naming runs."""

import hashlib
import os
import shlex
import warnings
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import pandas as pd
from matplotlib.figure import Figure

from losa.annotations.dataset import Annotations, load_annotations
from losa.annotations.display import first_lines
from losa.annotations.prepare import prepare
from losa.config import Config, Mark, list_fields
from losa.errors import AnnotationError
from losa.evaluation.ground_truth import make_truth
from losa.evaluation.records import read_predictions
from losa.files import at_repository
from losa.reports.data_figures import durations
from losa.reports.score_notes import describe_hidden, find_best
from losa.video.folder import find_given_paths, find_paths
from losa.workflows.run import hash_inputs
from losa.world.mistyped_labels import mistype
from losa.world.render import make_world

Number = int | float
DINO, IMAGE_FPS = "timm/vit_small_patch16_224.dino", 4.0  # of photographs, so frame by frame; frames per second


class Inputs(NamedTuple):
    """The files that a user gave, and where the results go. `new_videos` is None where none were given."""

    videos: Path
    labels: Path
    new_videos: Path | None
    out: Path
    notebook_folder: Path
    is_example: bool


def find_inputs(*, videos: str, labels: str, new_videos: str, out: str,
                size: str | Sequence[int] = (40, 0, 0)) -> Inputs:
    """Find the user's files, or make an example where none are given, and change to the repository's root.

    Relative paths count from the current folder where they exist there, else from the repository. `out` gets a
    sub-folder for each file of labels. size: of the example, see `make_world`.

    Raises OwnVideoError if only one of `videos` and `labels` is given, FileNotFoundError for what is nowhere.
    """
    here = Path.cwd()
    at_repository()
    folder, table, new = find_given_paths(here, videos=videos, labels=labels, new_videos=new_videos)
    place = Path(out).expanduser() / (table.stem if table else "example")
    if table is None:
        folder, table = make_example(place, size)
    return Inputs(folder, table, new, place, here, not videos)


def make_example(out: Path, size: str | Sequence[int]) -> tuple[Path, Path]:
    """Render videos and write a CSV of labels with a person's mistakes: (folder of videos, CSV).

    The last video is cut off, as if it had not been copied completely.
    """
    world = load_annotations(make_world(out / "world", size))
    truth = make_truth(world.videos, world.classes)
    rows = [[video.path.name, *record["segment"], record["label"]] for video in world.videos
            for record in truth[video.id]]
    table = out / "world" / "labels.csv"
    pd.DataFrame(mistype(rows), columns=["video", "start", "end", "label"]).to_csv(table, index=False)
    last = world.videos[-1].path
    last.write_bytes(last.read_bytes()[:9000])
    return out / "world" / "videos", table


def name_copy(given: Inputs) -> Path:
    """Return where the clean copy of the labels goes: a table of a table, else JSON."""
    is_table = given.labels.suffix.lower() in (".csv", ".tsv", ".txt") and given.labels.is_file()
    return given.out / f"labels_clean{'.csv' if is_table else '.json'}"


def example_renames(given: Inputs) -> list[str]:
    """Return "WRONG=RIGHT" for each label of the example that is misspelt; of a user's own labels nothing is known."""
    if not given.is_example:
        return []
    classes = load_annotations(given.out / "world" / "annotations.json").classes
    known = {name.casefold() for name in classes}
    wrong = [label for label in pd.read_csv(given.labels)["label"].unique() if label.casefold() not in known]
    return [f"{label}={get_close_matches(label, classes, 1, 0)[0]}" for label in wrong]


def prepare_own(given: Inputs, clean: Path, split: Sequence[Number], ranges: str = "", seed: int = 0
                ) -> Annotations:
    """Prepare the videos; where they are fewer than the parts of the split, cut them where no action is, and say so.

    split: shares of train, val and test; empty keeps the labels' own subsets. ranges: a CSV that cuts files into
    several videos, see `losa.prepare`; "" takes what an earlier call proposed, and else proposes one where needed.
    seed: of the draw.
    """
    shares, proposal = tuple(split) or None, given.out / "ranges.csv"
    (cut,) = find_paths(given.notebook_folder, [ranges])
    if not ranges and shares and proposal.is_file():
        cut = proposal
    if cut is None:
        try:
            return prepare(given.videos, clean, given.out, split=shares, seed=seed)
        except AnnotationError:
            if shares is None or not proposal.is_file():
                raise
    cut = cut or proposal
    command = ["losa", "data", "prepare", str(given.out), "--videos", str(given.videos), "--annotations", str(clean),
               *(["--split", ",".join(map(str, shares)), "--seed", str(seed)] if shares else []), "--ranges", str(cut)]
    if not ranges:
        print(f"There are fewer videos than parts of split={shares}: they are cut where no action is, as {cut} says. "
              "Edit it (an end where the camera or the people change makes a better test), or delete it to have it "
              f"made again. On the command line:\n  {shlex.join(command)}\n{first_lines(cut, 11)}")
    return prepare(given.videos, clean, given.out, split=shares, ranges=cut, seed=seed)


def choose_input(given: Inputs, backbone: str, settings: Mapping) -> dict:
    """Return the fields of the config that choose the backbone and how often it looks, unless `settings` do.

    A backbone of single images looks at IMAGE_FPS frames a second; one of video clips keeps its own rate. backbone:
    "" is DINO for a user's videos, and the embedded world's own for the example.
    """
    chosen = {"backbone": backbone or DINO} if backbone or not given.is_example else {}
    name = {**chosen, **settings}.get("backbone", "")
    if name.startswith("timm/") and not {"sample_fps", "frame_stride", "frames_per_video"} & settings.keys():
        chosen["sample_fps"] = IMAGE_FPS
    return chosen


def find_files(given: Inputs, settings: Mapping) -> dict:
    """Return settings of the config with `find_paths` of those that name a file; "" and "random" stay."""
    named = {name for name in list_fields(Mark.FILE) if name not in ("adapter", "annotations")}
    files = {name: text for name, text in settings.items() if name in named and text and text != "random"}
    return {**settings, **dict(zip(files, map(str, find_paths(given.notebook_folder, [*files.values()])), strict=True))}


def draw_durations(data: Annotations) -> Figure:
    """Draw how long the instances of each class last."""
    lengths = {name: [] for name in data.classes}
    for record in (record for video in data.videos for record in video.records(data.classes)):
        lengths[record["label"]].append(record["segment"][1] - record["segment"][0])
    return durations(lengths, data.classes)


def choose_new_videos(given: Inputs, data: Annotations, size: str | Sequence[int]) -> tuple[Path, Annotations]:
    """Return the videos to find actions in, and labels that are known of videos among them.

    The user's `new_videos`, of which nothing is known; else the user's labelled videos once more; for the example, new
    ones are rendered.
    """
    if given.new_videos is not None:
        return given.new_videos, Annotations(data.classes, ())
    if not given.is_example:
        return given.videos, data
    made = make_world(given.out / "new", size if size == "tiny" else [0, 0, 3], seed=1)
    return given.out / "new" / "videos", load_annotations(made)


def list_lanes(found: dict, folder: Path, labelled: Annotations) -> dict[str, dict[str, list[dict]]]:
    """Return the lanes of a timeline for each video, test videos first: {video: {"what happens", "found": records}}.

    found: what `predict_videos` returned; folder: where it wrote. "what happens" is there where labels are; those of
    ranges of a file are put together again.
    """
    truth, tested = make_truth(labelled.videos, labelled.classes), set()
    happens: dict[str, list[dict]] = {}
    names = {str(Path(video["path"]).resolve()): name for name, video in found["videos"].items() if "path" in video}
    for video in labelled.videos:
        name = video.id if video.id in found["videos"] else names.get(str(video.path and video.path.resolve()), "")
        if name:
            happens.setdefault(name, []).extend(
                {**r, "segment": [time + video.start for time in r["segment"]]} for r in truth[video.id])
            tested |= {name} if video.subset == "test" else set()
    records = read_predictions(folder / "predictions.json")
    return {name: {**({"what happens": happens[name]} if name in happens else {}), "found": records[name]}
            for name in sorted(found["videos"], key=lambda name: name not in tested)}


def note_test_videos(run: Path, data: Annotations, min_score: Number) -> None:
    """Print which test videos of a run show nothing at this score, and the best score there is; nothing for none."""
    records, names = read_predictions(run / "predictions.json"), [v.id for v in data.videos if v.subset == "test"]
    told = describe_hidden({name: find_best(records.get(name, [])) for name in names}, min_score)
    if told:
        print(f"note: on the test videos, {told}")


def name_run(out: Path, config: Config) -> Path:
    """Return a folder for a run of this config on these files: another one as soon as either changes."""
    return out / f"run-{hashlib.sha256(str((config, hash_inputs(config))).encode()).hexdigest()[:8]}"


def print_warnings() -> None:
    """Show every warning from here on as one plain line."""
    warnings.showwarning = lambda message, *_, **__: print(f"note: {message}")


def link_to(page: Path, notebook_folder: Path):
    """Return an IPython HTML link to a page, as seen from the folder that the notebook runs in."""
    from IPython.display import HTML

    address = quote(Path(os.path.relpath(page.resolve(), notebook_folder)).as_posix())
    return HTML(f'<a href="{address}" target="_blank">open the page</a>, or {page.resolve()}')
