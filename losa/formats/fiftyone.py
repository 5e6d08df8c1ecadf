"""Read and write FiftyOne's temporal detections.

A FiftyOneTemporalDetectionDataset has labels.json, {"classes": [names], "labels": {video: [{"label", "support" or
"timestamps", "confidence"}]}}; a label is a name or the number of a class, from 0. "support" is the first and the last
frame, counted from 1; "timestamps" are seconds. A FiftyOneDataset has samples.json, with the fields of every sample;
where its metadata.json names no version, a sample's "frames" is a file of labels of frames (the layout before 0.8,
which every later version imports and which leaves the fields' schema to the importer;
https://docs.voxel51.com/user_guide/export_datasets.html).
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence

from losa.errors import AnnotationError
from losa.formats.json_items import UNCLEAR, child, frame, objects, pick, texts
from losa.label_files.cells import short, without_suffix
from losa.label_files.rows import Item, Labelled, Row, collect
from losa.label_files.sheet import Findings, Sheet
from losa.label_files.source import Reading, Source
from losa.label_files.subsets import NAMES
from losa.label_files.times import seconds

TEMPORAL = ("TemporalDetections", "TemporalDetection")


def is_fiftyone(source: Source) -> bool:
    """Return whether a file is FiftyOne's labels.json or samples.json."""
    content = source.content
    if not isinstance(content, dict):
        return False
    if isinstance(content.get("labels"), dict) and content.keys() <= {"classes", "labels", "info"}:
        videos = content["labels"].values()
        listed = all(items is None or isinstance(items, list | dict) for items in videos)
        return "classes" in content or (listed and any(_is_item(items) for items in videos))
    samples = content.get("samples")
    return isinstance(samples, list) and any(isinstance(sample, dict) and "filepath" in sample for sample in samples)


def _is_item(items: object) -> bool:
    items = items if isinstance(items, list) else [items]
    return any(isinstance(item, dict) and {"support", "timestamps"} & item.keys() for item in items)


def read_fiftyone(source: Source, reading: Reading, findings: Findings) -> Sheet:
    """Read FiftyOne's temporal detections. Raises AnnotationError where there are none but other labels.

    Of several fields of a samples.json, `reading.label_column` names the one that holds the labels.
    """
    content = source.content
    if isinstance(content, dict) and isinstance(content.get("samples"), list):
        return collect("FiftyOne", list(_sample_rows(source, content, reading, findings)), findings)
    videos = child(content, "labels")
    classes = texts(child({"content": content}, "content").get("classes"))
    items = [item for held in videos.values() for item in (held if isinstance(held, list) else [held]) if item]
    if items and not any(map(_is_item, items)):
        raise AnnotationError(f"{source.path}: FiftyOne's labels without times, such as {short(items[0])}; export "
                              f"temporal detections as a FiftyOneTemporalDetectionDataset")
    rows = (row for name, held in videos.items() for row in _video_rows(name, held, classes, findings))
    return collect("FiftyOne", rows, findings, classes or None)


def _video_rows(name: str, held: object, classes: Sequence[str], findings: Findings) -> Iterator[Row]:
    yield Row(f"labels {name}", name)
    for place, item in objects([held] if isinstance(held, dict) else held, f"labels {name}", findings):
        label = _label(item.get("label"), classes)
        if label is None:
            findings.add(UNCLEAR, f"{place}: expected a class or a number from 0 to {len(classes) - 1}, got "
                         f"{short(item.get('label'))}")
        else:
            yield Row(place, name, label, *_times(item))


def _label(given: object, classes: Sequence[str]) -> str | None:
    """Return the name of a class that is given by name or number; a number where there is no list of them."""
    if isinstance(given, int) and not isinstance(given, bool) and classes:
        return classes[given] if 0 <= given < len(classes) else None
    return next(iter(texts(given)), None)


def _times(item: dict) -> tuple[object, object]:
    """Return the start and end of a detection: of frames from 1, the last included, or of seconds."""
    held = item.get("support", item.get("timestamps"))
    if not isinstance(held, list) or len(held) != 2:
        return repr(short(held)), repr(short(held))
    if item.get("support") is None:
        return held[0], held[1]
    return frame(held[0], 1), frame(held[1])


# --- samples.json ---------------------------------------------------------------------------------------------------


def _sample_rows(source: Source, content: dict, reading: Reading, findings: Findings) -> Iterator[Row]:
    """Yield the rows of the samples of a whole dataset."""
    samples = list(objects(content["samples"], "sample", findings))
    counts = Counter(name for _, sample in samples for name in sample if _detections(sample[name]))
    if not counts and not any(_kind(value) in TEMPORAL for _, sample in samples for value in sample.values()):
        raise AnnotationError(f"{source.path}: FiftyOne's samples without a field of temporal detections; export "
                              f"these, as a FiftyOneTemporalDetectionDataset")
    field = pick(source.path, reading.label_column, counts, "--label-column", "field")
    for place, sample in samples:
        common = _sample_row(place, sample)
        yield common
        for where, item in objects(_detections(sample.get(field)), f"{place} {field}", findings):
            start, end = _times(item)
            yield common._replace(place=where, label=next(iter(texts(item.get("label"))), None), start=start, end=end)


def _sample_row(place: str, sample: dict) -> Row:
    """Return what a sample says about its video; a tag that is one of subsets.NAMES is its subset."""
    name, metadata = next(iter(texts(sample.get("filepath"))), ""), child(sample, "metadata")
    rate, duration = (seconds(metadata.get(key)) for key in ("frame_rate", "duration"))
    subset = [tag for tag in texts(sample.get("tags")) if tag.lower() in NAMES]
    return Row(place, name.removeprefix("data/"), subset=subset[0] if len(subset) == 1 else "",
               duration=duration if duration and duration > 0 else None,
               fps=rate if rate and 0 < rate <= 1000 else None)


def _kind(value: object) -> object:
    return value.get("_cls") if isinstance(value, dict) else None


def _detections(value: object) -> list:
    """Return the temporal detections of a field, one or several; empty for another field."""
    if not isinstance(value, dict) or _kind(value) not in TEMPORAL:
        return []
    held = value.get("detections") if _kind(value) == TEMPORAL[0] else [value]
    return held if isinstance(held, list) else []


# --- writing --------------------------------------------------------------------------------------------------------


def write_fiftyone(videos: Sequence[Labelled]) -> dict[str, str]:
    """Return {name of a file: its text} of a dataset that FiftyOne imports.

    Of labels or predictions alone, labels.json of a FiftyOneTemporalDetectionDataset, times in seconds: put the videos
    into data/ beside it. Of predictions with ground truth, a FiftyOneDataset with both, see `write_samples`. Scores
    become "confidence".
    """
    if any(video.truth is not None for video in videos):
        return write_samples(videos)
    classes = sorted({item.label for video in videos for item in video.items})
    labels = {without_suffix(video.file or video.id): [
        {"label": classes.index(item.label), "timestamps": [item.start, item.end],
         **({} if item.score is None else {"confidence": item.score})} for item in video.items] for video in videos}
    return {"labels.json": json.dumps({"classes": classes, "labels": labels}, indent=1, ensure_ascii=False) + "\n"}


NO_FRAMES = "frames/none.json"  # labels of frames: none, for all samples


def write_samples(videos: Sequence[Labelled]) -> dict[str, str]:
    """Return the files of a FiftyOneDataset with the fields "ground_truth" and "predictions", in frames from 1.

    Videos are where they were found, else in data/ beside it. A prediction has its score as "confidence", and the
    verdict of the evaluation and its tIoU as attributes. Raises AnnotationError for a video without a frame rate.
    """
    unknown = [video.id for video in videos if not video.fps]
    if unknown:
        raise AnnotationError(f"{len(unknown)} videos have no known frame rate, such as {unknown[0]!r}, but FiftyOne "
                              "wants frames; give the folder of the videos (--videos FOLDER) or the rate (--fps 25)")
    classes = sorted({item.label for video in videos for item in [*video.items, *(video.truth or [])]})
    files = {"metadata.json": {"media_type": "video", "default_classes": classes}, NO_FRAMES: {"frames": {}},
             "samples.json": {"samples": [_sample(video) for video in videos]}}
    return {name: json.dumps(content, indent=1, ensure_ascii=False) + "\n" for name, content in files.items()}


def _sample(video: Labelled) -> dict:
    file, rate = video.found, float(video.fps or 0)
    seconds_long = video.duration or max((item.end for item in [*video.items, *(video.truth or [])]), default=0)
    total = file.num_frames if file else max(round(seconds_long * rate), 1)
    size = {"frame_width": file.width, "frame_height": file.height} if file else {}
    fields = {name: {"_cls": TEMPORAL[0], "detections": [_detection(item, rate, total) for item in items]}
              for name, items in (("ground_truth", video.truth or []), ("predictions", video.items))}
    return {"filepath": str(file.path.resolve()) if file else f"data/{video.file or video.id}",
            "tags": [video.subset] if video.subset else [], "frames": NO_FRAMES,
            "metadata": {"_cls": "VideoMetadata", "frame_rate": rate, "total_frame_count": total,
                         "duration": seconds_long, **size}, **fields}


def _detection(item: Item, rate: float, total: int) -> dict:
    """Return an instance with the first and the last frame that belong to it, inside the video."""
    first = min(max(round(item.start * rate), 0), total - 1) + 1
    last = min(max(round(item.end * rate), first), total)
    more = {"confidence": item.score, "verdict": item.verdict, "tiou": item.tiou}
    return {"_cls": TEMPORAL[1], "label": item.label, "support": [first, last],
            **{name: value for name, value in more.items() if value is not None}}
