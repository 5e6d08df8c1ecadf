"""Published files without actions that have a class, a start and an end: refused by name."""

import json

import pytest

from helpers.annotation_files import write_text as write
from helpers.label_cases import CASES, damaged_json, survives
from losa.annotations.scan import FORMATS, read_layout, recognise, scan
from losa.errors import AnnotationError
from losa.formats.refused import KINDS, is_refused
from losa.label_files.sheet import Findings
from losa.label_files.source import Reading, open_source

CAPTIONS = {"v_uqiMw7tQ1Cc": {"duration": 55.15, "timestamps": [[0.28, 55.15], [13.79, 54.32]],
                              "sentences": ["A weight lifting tutorial is given.", " Two men gather."]}}
TACOS = {"s13-d21.avi": {"timestamps": [[252, 452]], "sentences": ["He took out a board."], "fps": 29.4,
                         "num_frames": 4418}}
QUERIES = {"version": "v1", "videos": [{"video_uid": "v", "split": "train", "clips": [
    {"clip_uid": "c", "annotations": [{"language_queries": [{"clip_start_sec": 1.0, "query": "Where is it?"}]}]}]}]}
COOK = {"database": {"GLd3aX16zBg": {"subset": "training", "duration": 241.6, "recipe_type": "113", "annotations": [
    {"segment": [90, 102], "id": 0, "sentence": "spread margarine on two slices of white bread"}]}}}
LTA = {"version": "v1", "split": "train", "clips": [{"video_uid": "v", "clip_uid": "c", "action_idx": 0,
                                                     "action_clip_start_sec": 0.0, "verb": "take"}]}
FHO = {"version": "v1", "videos": [{"video_uid": "v", "annotated_intervals": [{"narrated_actions": []}]}]}
HIGHLIGHTS = "".join(json.dumps({"qid": number, "query": "A man talks", "duration": 150, "vid": f"a_{number}",
                                 "relevant_windows": [[72, 82]]}) + "\n" for number in range(2))
KINETICS = {"---QUuC4vJs": {"annotations": {"label": "testifying", "segment": [84.0, 94.0]}, "duration": 10.0,
                            "subset": "validate", "url": "https://www.youtube.com/watch?v=---QUuC4vJs"}}
FILES = {
    "captions.json": ("ActivityNet Captions", json.dumps(CAPTIONS), "without a class"),
    "tacos.json": ("TACoS", json.dumps(TACOS), "without a class"),
    "tacos.txt": ("TACoS", "s13-d21.avi_252_452#He took out a board.\n", "without a class"),
    "charades_sta_train.txt": ("Charades-STA", "AO8RW 0.0 6.9##a person is putting a book on a shelf.\n",
                               "Charades_v1_train.csv"),
    "highlights.jsonl": ("QVHighlights", HIGHLIGHTS, "without a class"),
    "youcookii.json": ("YouCook2", json.dumps(COOK), "without a class"),
    "ava_train_v2.2.csv": ("AVA", "-5KQ66BBWC4,0902,0.077,0.151,0.283,0.811,80,1\n"
                           "-5KQ66BBWC4,0902,0.077,0.151,0.283,0.811,9,1\n", "key frames"),
    "ava_train_v1.0.csv": ("AVA", "-5KQ66BBWC4,902,0.077,0.151,0.283,0.811,80\n", "key frames"),
    "kinetics.csv": ("Kinetics", "label,youtube_id,time_start,time_end,split\ntestifying,---QUuC4vJs,84,94,validate\n",
                     "--from csv --columns video=youtube_id,start=time_start,end=time_end"),
    "kinetics_test.csv": ("Kinetics", "youtube_id,time_start,time_end,split\n---QUuC4vJs,84,94,test\n", "each clip"),
    "kinetics.json": ("Kinetics", json.dumps(KINETICS), "each clip"),
    "nlq_train.json": ("Ego4D", json.dumps(QUERIES), "moments_train.json"),
    "fho_lta_train.json": ("Ego4D", json.dumps(LTA), "moments_train.json"),
    "fho_main.json": ("Ego4D", json.dumps(FHO), "moments_train.json"),
    "video_info_new.csv": ("BMN's list of videos", "video,numFrame,seconds,fps,rfps,subset,featureFrame\n"
                           "v_a,2765,92.2,30,29.9,training,2752\n", "anet_anno_action.json"),
}


@pytest.mark.parametrize("name", FILES)
def test_the_file_is_named_with_what_it_holds_and_what_to_give_instead(tmp_path, name):
    kind, text, why = FILES[name]
    with pytest.raises(AnnotationError) as caught:
        read_layout(write(tmp_path / name, text))
    assert f"is a file of {kind}: " in str(caught.value) and why in str(caught.value)


def test_every_kind_is_tried():
    assert {kind for kind, _, _ in FILES.values()} == {kind.name for kind in KINDS}


def test_kinetics_can_be_read_as_the_error_says(tmp_path):
    path = write(tmp_path / "kinetics.csv", FILES["kinetics.csv"][1])
    columns = {"video": "youtube_id", "start": "time_start", "end": "time_end"}
    sheet = scan(path, reading=Reading(format="csv", columns=columns))
    assert sheet.entries[0].instances == [("testifying", 84, 94)] and sheet.entries[0].subset == "validate"


def test_no_file_that_is_read_is_refused(tmp_path):
    for path in sorted(CASES.rglob("*")):
        if path.is_file() and path.suffix in (".csv", ".json", ".txt", ".tsv", ".xml") and path.name != "truth.json":
            assert not is_refused(open_source(path, Findings({}))), path
    for text in ("", "{}", "[]", "[1]", "{\"a\": 1}", "video,label,start,end\n"):
        assert not is_refused(open_source(write(tmp_path / "a.txt", text), Findings({})))


def test_a_forced_format_and_a_file_of_another_kind_end_in_an_error_or_in_findings(tmp_path):
    texts = ["", "{}", "[]", "3", "[[1, 2], 3]", "<a><b/></a>", "video,label,start,end\na,b,1,2\n", "x\nx\ny\n",
             *(text for _, text, _ in FILES.values())]
    for text in texts:
        path = write(tmp_path / "a.txt", text)
        for known in FORMATS:
            if known.name != "thumos":
                survives(path, known.name)
    (tmp_path / "empty").mkdir()
    for known in FORMATS:
        survives(tmp_path / "empty", known.name)


def test_damaged_files_end_in_one_error_or_are_taken_for_others(tmp_path):
    for content in (CAPTIONS, TACOS, QUERIES, COOK, LTA, KINETICS):
        for seed in range(10):
            path = write(tmp_path / "a.json", damaged_json(content, seed))
            recognise(open_source(path, Findings({"ids are there more than once": ("error", "")})))
            survives(path, "no-segments")
