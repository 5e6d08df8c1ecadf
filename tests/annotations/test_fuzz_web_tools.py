"""Files of web and desktop tools, damaged at random: each ends in a sheet or in one AnnotationError."""

import json
import os
import random
import warnings

import pytest

from helpers.tool_cases import CASES, mutate, mutate_text, write
from losa.annotations.check import check
from losa.annotations.scan import FORMATS, read_layout, scan
from losa.errors import AnnotationError
from losa.formats.via import write_via
from losa.label_files.rows import Item, Labelled
from losa.label_files.sheet import KINDS, Findings
from losa.label_files.source import Reading, open_source

ROUNDS = int(os.environ.get("LOSA_FUZZ", 25))
VIDEOS = [Labelled("a", [Item("jump", 1.0, 2.5, 0.5), Item("sit", 3.0, 4.0)], file="a.mp4", fps=25.0)]
VIA_CSV = ('# Exported using VGG Image Annotator\n'
           '# ATTRIBUTE = {"1":{"aname":"action","type":4,"options":{"0":"run"}}}\n'
           "# CSV_HEADER = metadata_id,file_list,flags,temporal_coordinates,spatial_coordinates,metadata\n"
           '"1_a","[""a.mp4""]",0,"[1.5,2.25]","[]","{""1"":""0""}"\n"1_b","[""b.mp4""]",0,"[3]","[2,1]","{}"\n')
BOXES = {"id": 1, "data": {"video": "a.mp4", "fps": 25}, "predictions": [], "drafts": [{"result": []}], "annotations": [
    {"completed_by": {"email": "a@b.c"}, "was_cancelled": False, "updated_at": "x", "ground_truth": True, "result": [
        {"id": "r", "type": "videorectangle", "from_name": "box", "to_name": "video", "value": {
            "framesCount": 100, "duration": 4.0, "labels": ["car"], "sequence": [{"frame": 1, "enabled": True},
                                                                                {"frame": 20, "enabled": False}]}},
        {"id": "r", "type": "choices", "from_name": "how", "value": {"choices": ["fast"]}}]}]}
SAMPLES = {"samples": [{"filepath": "data/a.mp4", "tags": ["train"], "metadata": {"frame_rate": 10, "duration": 9},
                        "events": {"_cls": "TemporalDetections", "detections": [
                            {"_cls": "TemporalDetection", "label": "run", "support": [1, 9]}]}}]}
TEXTS = {
    "project.json": (CASES / "label_studio" / "project.json").read_text(), "boxes.json": json.dumps([BOXES]),
    "min.json": json.dumps([{"video": "a.mp4", "id": 1, "annotator": 1, "t": [
        {"ranges": [{"start": 1, "end": 9}], "timelinelabels": ["run"]}]}]),
    "ls.csv": (CASES / "label_studio" / "ls.csv").read_text(), "via.json": write_via(VIDEOS)["via.json"],
    "via.csv": VIA_CSV, "labels.json": (CASES / "fiftyone" / "labels.json").read_text(),
    "samples.json": json.dumps(SAMPLES), "annotations.xml": (CASES / "cvat_xml" / "annotations.xml").read_text(),
    "anylabeling.json": json.dumps({"type": "video_classification", "video": "a.mp4", "fps": 25, "duration_ms": 9000,
                                    "segments": [{"label": "run", "start_ms": 1, "end_ms": 900}] * 2}),
}  # fmt: skip


def survives(path, reading=Reading()):  # noqa: B008 - it is frozen
    """Reading ends in a sheet or in an AnnotationError that names the file, and every message can be printed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for read in (lambda: scan(path, reading=reading), lambda: read_layout(path, reading=reading)):
            try:
                read()
            except AnnotationError as error:
                assert str(path) in str(error)
                str(error).encode()
        assert check(path).exit_code in (0, 1)


@pytest.mark.parametrize("name", TEXTS)
def test_damaged_json_and_text(tmp_path, name):
    content = json.loads(TEXTS[name]) if name.endswith(".json") else None
    for seed in range(ROUNDS):
        chance = random.Random(f"{name} {seed}")
        text = mutate_text(TEXTS[name], chance) if content is None or seed % 4 == 3 else mutate(content, chance)
        survives(write(tmp_path, name, text), chance.choice([Reading(), Reading(fps=25.0), Reading(label_column="x")]))


@pytest.mark.parametrize("known", ["label-studio", "via", "cvat", "fiftyone", "x-anylabeling"])
def test_every_reader_can_be_forced_on_every_file(tmp_path, known):
    for name, text in TEXTS.items():
        survives(write(tmp_path, name, text), Reading(format=known))


@pytest.mark.parametrize("name", TEXTS)
def test_every_file_is_of_one_format_only(tmp_path, name):
    source = open_source(write(tmp_path, name, TEXTS[name]), Findings(KINDS))
    assert len([each.name for each in FORMATS if each.name != "csv" and each.matches(source)]) == 1
