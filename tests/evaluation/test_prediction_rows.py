"""Predictions as people have them: read where there is no doubt, and said; refused in a sentence where there is."""

import pickle

import pytest

from helpers.eval_files import CLASSES, results, write
from losa.errors import EvaluationError
from losa.evaluation.prediction_rows import find_keys, shown
from losa.evaluation.records import read_predictions
from losa.segments import write_predictions
from losa.workflows.write_predictions import as_csv

PLAIN = results()


def plain(records):
    """What counts of the records."""
    return {v: [{name: r[name] for name in ("label", "segment", "score")} for r in items]
            for v, items in records.items()}


def as_rows(video="video-id", start="t-start", end="t-end"):
    return [{video: v, start: r["segment"][0], end: r["segment"][1], "label": r["label"], "score": r["score"]}
            for v, items in PLAIN.items() for r in items]


def renamed(**names):
    return {v: [{names.get(key, key): value for key, value in r.items()} for r in items] for v, items in PLAIN.items()}


def with_times(start, end):
    return {v: [{start: r["segment"][0], end: r["segment"][1], "label": r["label"], "score": r["score"]} for r in items]
            for v, items in PLAIN.items()}


def as_text(records, *names):
    def text(value):
        return [str(v) for v in value] if isinstance(value, list) else str(value)

    return {v: [{k: text(x) if k in names else x for k, x in r.items()} for r in items] for v, items in records.items()}


READ = {
    "bare": (PLAIN, 'there is no "results"; all 3 keys are read as videos'),
    "rows": (as_rows(), "a list of 12 rows is read as the predictions of 3 videos"),
    "rows below results": ({"results": as_rows("video_id", "start", "end")}, "a list of 12 rows"),
    "columns": ({key: [row[key] for row in as_rows()] for key in as_rows()[0]}, "columns video-id, t-start"),
    "confidence": ({"results": renamed(score="confidence")}, '"confidence" is read as the score (12 predictions)'),
    "class": ({"results": renamed(label="class_name")}, '"class_name" is read as the label (12 predictions)'),
    "timestamps": ({"results": renamed(segment="timestamps")}, '"timestamps" is read as the segment'),
    "t_start": ({"results": with_times("t_start", "t_end")}, '"t_start" and "t_end" are read as start and end'),
    "start and end": ({"results": with_times("start", "end")}, None),
    "text": ({"results": as_text(PLAIN, "segment", "score")}, "numbers written as text are read as numbers (12 "),
}


@pytest.mark.parametrize("name", READ)
def test_what_leaves_no_doubt_is_read_and_said(tmp_path, name, recwarn):
    content, note = READ[name]
    assert plain(read_predictions(write(tmp_path / "p.json", content))) == PLAIN
    said = [str(w.message) for w in recwarn]
    assert note is None or any(note in text and "p.json" in text for text in said), said
    assert (note is None) == (not said)


@pytest.mark.parametrize(("header", "separator", "note"), [
    ("video,start,end,label,score", ",", None), ("video\tstart\tend\tlabel\tscore", "\t", None),
    ("video_id;t-start;t-end;class;conf", ";", 'column "video_id" is read as the video')])
def test_a_table_is_read(tmp_path, header, separator, note, recwarn):
    lines = [separator.join(map(str, (v, *r["segment"], r["label"], r["score"])))
             for v, items in PLAIN.items() for r in items]
    path = write(tmp_path / "p.csv", "\n".join([header, *lines, "", f"clip_9{separator * 4}"]))
    assert plain(read_predictions(path)) == {**PLAIN, "clip_9": []}
    assert any(note in str(w.message) for w in recwarn) if note else not recwarn


def test_what_losa_writes_reads_back_silently(tmp_path, recwarn):
    path = write_predictions(tmp_path / "p.json", {**PLAIN, "clip_9": []}, {"card": {}})
    assert read_predictions(path) == {**PLAIN, "clip_9": []}
    odd = {"a,b/clip": [{"segment": [0.5, 1.25], "label": 'say "x", y', "score": 0.5}]}
    rows = [(v, f"{r['segment'][0]:.3f}", f"{r['segment'][1]:.3f}", r["label"], f"{r['score']:.4f}")
            for v, items in odd.items() for r in items]
    table = write(tmp_path / "p.csv", as_csv([("video", "start", "end", "label", "score"), *rows]))
    assert plain(read_predictions(table)) == odd and not recwarn


RECORD = {"label": "a", "segment": [0, 1], "score": 0.5}
REFUSED = [
    ({**RECORD, "score": float("nan")}, r'item 0 of video "v" is .*its score is nan, expected .*finite score'),
    ({**RECORD, "score": float("inf")}, "its score is inf"),
    ({**RECORD, "score": None}, "its score is None"),
    ({**RECORD, "score": "high"}, "its score is high"),
    ({"label": "a", "segment": [0, 1]}, r'it has no "score" but "label", "segment"'),
    ({"label": "a", "segment": [0, 1], "conf": 1, "prob": 1}, r'it has "conf", "prob", expected one "score"'),
    ({**RECORD, "segment": [5, 4]}, "ends before it starts"),
    ({**RECORD, "segment": ["0:05", "0:06"]}, "its times are"),
    ({**RECORD, "segment": [0, 1, 2]}, "its times are"),
    ({**RECORD, "label": None}, "its label is None"),
    ({**RECORD, "label": True}, "its label is True"),
    ({**RECORD, "label": 1.5}, "its label is 1.5"),
    ({"label": "a", "score": 1, "start_frame": 3, "end_frame": 5}, r'"start_frame", "end_frame", expected .*seconds'),
    ({"label": "a", "score": 1, "start": 3, "duration": 5}, r'it has no "segment" but'),
    ({"verb": 0, "noun": 1, "action": "0,1", "score": 1, "segment": [0, 1]}, "choose one, e.g. --label-key verb"),
    ("text", "expected"),
]


@pytest.mark.parametrize(("record", "message"), REFUSED)
def test_the_rest_is_refused_in_a_sentence(tmp_path, record, message):
    with pytest.raises(EvaluationError, match=message) as caught:
        read_predictions(write(tmp_path / "p.json", {"results": {"v": [record]}}))
    assert "p.json" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(("text", "message"), [
    ("a,1,2,x,0.5\n", r'no column video, start, score: the first line is "a,1,2,x,0.5"; expected a first line video,'),
    ("video,start,end,label\na,1,2,x", "no column score"),
    ("video,start,end,label,score\na,1,2,x\n", r'line 2 has 4 cells instead of 5: "a,1,2,x"'),
    ("video,start,end,label,score\na,1,2,x,nan\n", "line 2 is .*its score is nan"),
    ("video,start,end,label,score\n,1,2,x,1\n", r'line 2: "video" is ; expected the id'),
    ('video,start,end,label,score\na,1,2,"x,1\n', "line 2"),
    ("", "has no column"),
])
def test_a_table_of_another_kind_is_refused_with_its_line(tmp_path, text, message):
    with pytest.raises(EvaluationError, match=message):
        read_predictions(write(tmp_path / "p.csv", text))


@pytest.mark.parametrize(("content", "message"), [
    ({"database": {}}, "swapped"), (7, 'has no "results" \\(int\\)'), ({}, "empty"), ([1], "expected a row with"),
    ([{"label": "a"}], "expected a row with"), ([{"video": 3}], "expected the id of a video"),
    ({"results": {"v": {"segment": [0, 1]}}}, "expected a list of records")])
def test_another_kind_of_file_is_named(tmp_path, content, message):
    with pytest.raises(EvaluationError, match=message):
        read_predictions(write(tmp_path / "p.json", content))


class Danger:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


@pytest.mark.parametrize("name", ["eval_results.pkl", "predictions.json"])
def test_a_pickle_is_never_loaded_and_its_conversion_is_told(tmp_path, name):
    (tmp_path / name).write_bytes(pickle.dumps(Danger(), protocol=4))
    with pytest.raises(EvaluationError, match=r"never loaded.*python -c .*to_json\('.*\.json', orient='records'\)"):
        read_predictions(tmp_path / name)


@pytest.mark.parametrize("kind", [int, float, str])
def test_class_numbers_are_text_and_get_names_when_they_are_given(tmp_path, kind):
    def change(video, record):
        number = CLASSES.index(record["label"])
        return video, {**record, "label": str(number) if kind is str else kind(number)}

    path = write(tmp_path / "p.json", {"results": results(change)})
    assert {r["label"] for rs in read_predictions(path).values() for r in rs} == set("01234")
    listed = write(tmp_path / "classes.txt", "\n".join(f"{i} {name}" for i, name in enumerate(CLASSES)))
    assert plain(read_predictions(path, classes=listed)) == PLAIN
    with pytest.raises(EvaluationError, match="class number 0 is not in the list of classes, which has 1 to 5"):
        read_predictions(path, classes=CLASSES)


def test_the_key_with_the_class_may_be_chosen(tmp_path):
    records = {"v": [{"verb": 4, "noun": 1, "action": "4,1", "score": 1, "segment": [0, 1]}]}
    path = write(tmp_path / "p.json", {"results": records})
    with pytest.warns(UserWarning, match='"verb" is read as the label'):
        assert read_predictions(path, label_key="verb")["v"][0]["label"] == "4"
    with pytest.raises(EvaluationError, match=r'it has no "vreb" but "verb", "noun"'):
        read_predictions(path, label_key="vreb")


def test_own_names_go_before_others():
    assert find_keys(("label", "category", "score", "confidence", "segment", "start", "end")) == (
        "label", "segment", "", "score")
    assert shown(10**5000).startswith("a int") and shown("x" * 200) == "x" * 120
