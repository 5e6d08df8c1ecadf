"""Make a dataset from a folder of videos and a file of labels: checked, split into subsets, cut into ranges."""

import csv
import shlex
import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from losa.annotations.dataset import Annotations, _build, _reasons, save_annotations
from losa.annotations.ranges import propose_ranges, write_ranges
from losa.annotations.resolve import (
    ROUNDING,
    check_instances,
    check_units,
    clip,
    index_folder,
    locate,
    measure,
    probe_all,
    where,
)
from losa.annotations.scan import read_layout
from losa.annotations.split import describe_left_out, split_videos
from losa.errors import AnnotationError, VideoError
from losa.files import replacing
from losa.formats.csv_format import read_ranges
from losa.label_files.sheet import Entry, announce, stop
from losa.label_files.source import AS_RECOGNISED, Reading
from losa.label_files.subsets import subsets_named_twice
from losa.video.convert import normalise as encode_anew
from losa.video.probe import VideoInfo, probe


def prepare(videos_folder: str | Path, annotations_file: str | Path, out: str | Path,
            ranges: str | Path | None = None, classes: Sequence[str] | str | Path | None = None,
            split: tuple[float, ...] | None = None, normalise: bool = False, decode: bool = False,
            reading: Reading = AS_RECOGNISED, seed: int = 0) -> Annotations:
    """Check every video, write `out`/annotations.json, and return what is in it.

    Files that are missing or broken are left out, listed with their reasons in a warning and in `out`/skipped.csv.
    Durations and frame rates are the files', whatever is stated. Raises AnnotationError where labels or ranges are
    wrong or no video can be used.

    annotations_file: anything that `load_annotations` reads. reading: how, where the file leaves a choice.
    ranges: CSV with columns id, file, start, end and, if you like, subset; each row makes a video of its own from a
    stretch of a file (empty start or end: the file's). Files that it does not name stay whole.
    split: shares of train, val and test; every video gets one of them, whatever subset it had, so that every class is
    in every part where that can be (`losa.annotations.split`), and a warning names those that are not. Where there are
    fewer videos than parts, the error leaves ranges to cut them by in `out`/ranges.csv. seed: of that draw.
    normalise: encode files on which seeking would give wrong frames anew, into `out`/videos; else they are announced,
    and read in sequence, which is slower.
    decode: read every file to its end, which takes as long as decoding does: finds those damaged in their middle, which
    else only extraction meets.
    """
    if split is not None and (len(split) != 3 or min(split) < 0 or abs(sum(split) - 1) > 1e-6):
        raise AnnotationError(f"split={split}: expected three shares of train, val and test that add up to 1")
    source, out, folder = Path(annotations_file), Path(out), Path(videos_folder)
    reading = reading if classes is None else replace(reading, classes=classes)
    entries, listed = read_layout(source, reading=reading, videos=folder)
    names = check_instances(entries, listed, source)
    rows = [] if ranges is None else read_ranges(Path(ranges))
    twice = [] if split is not None else subsets_named_twice(entry.subset for entry in entries)
    if twice:
        announce(source, twice, "subsets have two names, and only one of them is used; write them alike")
    entries, broken = locate(entries, source, folder)
    infos = probe_all([entry for entry in entries if entry.id not in broken], broken, decode)
    if len(broken) == len(entries):
        stop(source, _reasons(broken), "videos, and not one can be used", f"Check the folder {folder}.")
    measured = measure([entry for entry in entries if entry.id not in broken], infos, source)
    check_units(measured, source)
    good = clip(measured, source)
    if rows:
        lost = {name for entry in entries if entry.id in broken for name in (entry.id, entry.name)}
        good = _cut(good, [row for row in rows if row["file"] not in lost], Path(ranges), folder)
    good = _make_safe(good, infos, broken, source, folder, out / "videos" if normalise else None)
    annotations = _build(good, names, source)
    if split is not None:
        annotations = _split(annotations, split, seed, folder, None if rows else out / "ranges.csv")
    out.mkdir(parents=True, exist_ok=True)
    save_annotations(annotations, out / "annotations.json")
    (out / "skipped.csv").unlink(missing_ok=True)
    if broken:
        with replacing(out / "skipped.csv") as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("video", "why"), *broken.items()])
        announce(source, _reasons(broken), f"of {len(entries)} videos left out (all are in {out / 'skipped.csv'})",
                 show=20)
    return annotations


def _make_safe(entries: list[Entry], infos: dict[Path, VideoInfo], broken: dict[str, str], source: Path,
               folder: Path, out: Path | None) -> list[Entry]:
    """Return the entries with risky files replaced by ones encoded anew in `out`; without it, warn of them.

    Entries whose file cannot be encoded go to `broken`.
    """
    risks = {entry.path: infos[entry.path].risks for entry in entries}
    risky, fresh = {path: why for path, why in risks.items() if why}, {}
    if risky and out is None:
        announce(source, [f"{path}: {', '.join(why)}" for path, why in risky.items()],
                 "video files would give wrong frames after a seek; they are read in sequence, which is slower "
                 "(normalise=True, --normalise, encodes them anew)")
        return entries
    for path in risky:
        target = out / path.relative_to(folder)
        target = target if target.suffix == ".mp4" else target.with_name(target.name + ".mp4")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            fresh[path] = probe(encode_anew(path, target))
        except VideoError as error:
            broken |= {entry.id: error.why for entry in entries if entry.path == path}
    safe = [entry for entry in entries if entry.id not in broken]
    return [replace(e, path=fresh[e.path].path, fps=fresh[e.path].fps) if e.path in fresh else e for e in safe]


def _split(annotations: Annotations, shares: tuple[float, ...], seed: int, folder: Path, proposal: Path | None
           ) -> Annotations:
    """Return the videos in subsets by `split_videos`; warns of classes that a part lacks.

    Raises AnnotationError where there are fewer videos than parts; then ranges are written to `proposal`, if any.
    """
    try:
        drawn = split_videos(annotations, shares, seed)
    except AnnotationError as error:
        raise AnnotationError(f"{error}: {_advise(annotations, shares, folder, proposal)}") from None
    if told := describe_left_out(drawn):
        warnings.warn(told, stacklevel=3)
    return drawn


def _advise(annotations: Annotations, shares: tuple[float, ...], folder: Path, proposal: Path | None) -> str:
    """Return what to do about too few videos: with ranges that are written to `proposal`, where videos can be cut."""
    parts = sum(share > 0 for share in shares)
    rows = propose_ranges(annotations, folder, parts) if proposal else []
    if proposal is None or len(rows) < parts:
        return ("training and testing need videos of their own. Add videos, or cut the files by ranges of your own "
                "(--ranges CSV with id,file,start,end)")
    told = "is there from before"
    if not proposal.exists():  # somebody may have edited it
        write_ranges(rows, proposal)
        told = f"was written: {len(rows)} ranges, cut where no action is"
    return (f"training and testing need videos of their own. {proposal} {told}. Look at it, then give the same command "
            f"with --ranges {shlex.quote(str(proposal))}")


def _cut(entries: list[Entry], rows: list[dict], source: Path, folder: Path) -> list[Entry]:
    """Cut entries into one for each row, with the segments that overlap it; those without a row stay whole."""
    find, by_path = index_folder(folder), {entry.path: entry for entry in entries if entry.whole}
    wrong, cuts, crossing = [], defaultdict(list), []
    for row in sorted(rows, key=lambda row: row["start"]):
        files = find(row["file"])
        entry = by_path.get(files[0]) if len(files) == 1 else None
        place = f"line {row['line']}: {row['id']}, {row['file']} from {row['start']} to {row['end']} s"
        if entry is None:
            wrong.append(f"{place}: no such file among the annotated whole ones")
            continue
        row["end"] = min(row["end"], entry.duration)
        if row["start"] >= entry.duration:
            wrong.append(f"{place}: starts after the file's end, {entry.duration:.2f} s")
        elif cuts[entry.id] and row["start"] < cuts[entry.id][-1]["end"] - ROUNDING:
            wrong.append(f"{place}: overlaps {cuts[entry.id][-1]['id']}")
        cuts[entry.id].append(row)
        crossing += [f"{where(entry, *item)} and {row['id']}" for item in entry.instances
                     if item[1] < row["start"] < item[2] or item[1] < row["end"] < item[2]]
    if wrong:
        stop(source, wrong, "ranges are wrong", "Expected ranges inside annotated files that do not overlap.")
    if crossing:
        announce(source, crossing, "times a segment crosses an edge of a range; clipped to it")
    return [piece for entry in entries for piece in [_piece(entry, row) for row in cuts[entry.id]] or [entry]]


def _piece(entry: Entry, row: dict) -> Entry:
    low, high = row["start"], row["end"]
    inside = [(label, max(start, low) - low, min(end, high) - low) for label, start, end in entry.instances
              if min(end, high) > max(start, low)]
    return replace(entry, id=row["id"], subset=row["subset"] or entry.subset, instances=inside, start=low,
                   duration=high - low)
