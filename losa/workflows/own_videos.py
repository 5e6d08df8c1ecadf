"""What `04_own_video.ipynb` does beside its story: finding the user's files, making an example, naming runs."""

import hashlib
import os
import warnings
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import pandas as pd
from matplotlib.figure import Figure

from losa.annotations.dataset import Annotations, load_annotations
from losa.config import Config
from losa.evaluation.ground_truth import make_truth
from losa.evaluation.records import read_predictions
from losa.files import at_repository
from losa.reports.data_figures import durations
from losa.video.folder import find_given_paths
from losa.workflows.run import hash_inputs
from losa.world.mistyped_labels import mistype
from losa.world.render import make_world


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


def list_lanes(found: dict, folder: Path, labelled: Annotations, most: int = 4) -> dict[str, dict[str, list[dict]]]:
    """Return the lanes of a timeline for a few videos, test videos first: {video: {"what happens", "found": records}}.

    found: what `predict_videos` returned; folder: where it wrote. "what happens" is there where labels are.
    """
    truth = make_truth(labelled.videos, labelled.classes)
    tested = {video.id for video in labelled.videos if video.subset == "test"}
    records = read_predictions(folder / "predictions.json")
    shown = sorted(found["videos"], key=lambda name: name not in tested)[:most]
    return {name: {**({"what happens": truth[name]} if name in truth else {}), "found": records[name]}
            for name in shown}


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
