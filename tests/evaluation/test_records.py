"""Ground truth and predictions as they are read, test sets by name, and files that are nothing of the kind."""

import json
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from losa.evaluation.average_precision import evaluate
from losa.evaluation.records import count_instances, read_ground_truth, read_predictions
from losa.segments import write_predictions


def instance(start, end, score=None, label="a"):
    record = {"segment": [float(start), float(end)], "label": label}
    return record if score is None else {**record, "score": score}


def test_predictions_file_comes_back(tmp_path):
    results = {"v": [instance(0.1, 2.5, 0.25)], "w": []}
    assert read_predictions(write_predictions(tmp_path / "p.json", results)) == results


def write(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_subset_is_never_guessed(tmp_path):
    database = {
        "v": {"subset": "Test", "annotations": [instance(0, 1)]}, "w": {"subset": "empty", "annotations": []},
    }  # fmt: skip
    path = write(tmp_path, {"database": database})
    assert read_ground_truth(path, "Test") == {"v": [instance(0, 1)]}
    with pytest.raises(ValueError, match='Did you mean "Test"'):
        read_ground_truth(path, "test")
    with pytest.raises(ValueError, match="no ground truth instance"):
        read_ground_truth(path, "empty")
    with pytest.raises(ValueError, match=r'no subset "val"\. Subsets: "Test" \(1 instances\)'):
        read_ground_truth(path, "val")


@pytest.mark.parametrize(
    "content, message",
    [
        ("{", "not JSON"),
        ([], 'has no "database"'),
        ({"results": {}}, "swapped"),
        ({"database": {"v": {"annotations": []}}}, 'has no "subset"'),
        ({"database": {"v": {"subset": "t", "annotations": [instance(2, 1)]}}}, "start <= end"),
        ({"database": {"v": {"subset": "t", "annotations": [{"segment": [0, 1]}]}}}, 'item 0 of video "v"'),
        ({"database": {"v": {"subset": "t", "annotations": [{"segment": None, "label": "a"}]}}}, "expected"),
    ],
)
def test_bad_ground_truth(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read_ground_truth(write(tmp_path, content), "t")


@pytest.mark.parametrize(
    "record", [instance(0, 1), instance(0, 1, float("nan")), instance(0, float("inf"), 0.5), instance(0, 1, "x"), 7]
)
def test_bad_predictions(tmp_path, record):
    with pytest.raises(ValueError, match="finite score"):
        read_predictions(write(tmp_path, {"results": {"v": [record]}}))


@pytest.mark.parametrize(
    "text",
    [
        '{"results": {"v": [], "v": []}}',
        '{"results": ' + "[" * 100_000 + "}",
        '{"results": {"v": [{"segment": [0, 1], "label": "a", "score": 1' + "0" * 400 + "}]}}",
        '{"results": {"v": [{"segment": [0, 1], "label": "a", "score": 1' + "0" * 5000 + "}]}}",
        '{"results": {"v": [{"segment": [0, 1e300], "label": "a", "score": 1}]}}',
        '{"results": {"v": [{"segment": ["0", "1"], "label": "a", "score": 1}]}}',
        '{"results": {"v": [{"segment": [0, 1], "label": ["a"], "score": 1}]}}',
        '{"results": {"v": [{"segment": [false, true], "label": "a", "score": 1}]}}',
        '{"results": {"v": {"segment": [0, 1]}}}',
    ],
)
def test_odd_predictions_are_one_clear_error(tmp_path, text):
    with pytest.raises(ValueError, match=r"x\.json"):
        read_predictions(write(tmp_path, text))


def test_a_byte_order_mark_is_no_error_and_latin_1_is(tmp_path):
    path = tmp_path / "x.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps({"results": {"v": []}}).encode())
    assert read_predictions(path) == {"v": []}
    path.write_bytes('{"results": {"é": []}}'.encode("latin-1"))
    with pytest.raises(ValueError, match="not JSON"):
        read_predictions(path)
    with pytest.raises(FileNotFoundError, match="Check the path"):
        read_predictions(tmp_path / "none.json")


ODD = st.one_of(st.none(), st.booleans(), st.floats(), st.integers(-(10**400), 10**400), st.text(max_size=3),
                st.lists(st.one_of(st.floats(), st.text(max_size=2)), max_size=3))  # fmt: skip
RECORD = st.fixed_dictionaries({}, optional={
    "segment": st.one_of(ODD, st.tuples(st.floats(-2, 9), st.floats(-2, 9)).map(list)),
    "label": st.one_of(ODD, st.just("a")), "score": st.one_of(ODD, st.floats(0, 1)),
})  # fmt: skip
VIDEOS = st.dictionaries(st.text(max_size=4), st.one_of(ODD, st.lists(st.one_of(RECORD, ODD), max_size=3)), max_size=3)


@settings(max_examples=150)
@given(videos=VIDEOS, subset=st.one_of(ODD, st.just("t")), key=st.sampled_from(["database", "results", "x"]))
def test_mutated_files_are_read_or_refused(tmp_path_factory, videos, subset, key):
    path = tmp_path_factory.mktemp("fuzz") / "x.json"
    database = {v: {"subset": subset, "annotations": items} for v, items in videos.items()}
    path.write_text(json.dumps({key: videos if key == "results" else database}, default=str))
    good = {"v": [instance(0, 1)]}, {"v": [instance(0, 1, 0.5)]}
    for read in (lambda: evaluate(read_ground_truth(path, "t"), good[1]),
                 lambda: evaluate(good[0], read_predictions(path))):  # fmt: skip
        try:
            with warnings.catch_warnings(action="ignore"):
                assert 0 <= read().average_map <= 1
        except ValueError as error:
            assert "x.json" in str(error)


# --- THUMOS' text files -----------------------------------------------------------------------------------


def test_thumos_folder(tmp_path):
    (tmp_path / "Diving_test.txt").write_text("w  1.0 2.5\n\nv 0 1\nv 3 4\n")
    (tmp_path / "Ambiguous_test.txt").write_text("u 5 6\nv 7.0 8\n")
    (tmp_path / "Diving_val.txt").write_text("x 0 9\n")
    (tmp_path / "detclasslist.txt").write_text("26 Diving\n")
    got = read_ground_truth(tmp_path, "Test")
    vague = {"segment": [7.0, 8.0], "label": "Ambiguous", "ambiguous": True}
    assert list(got) == ["u", "v", "w"] and got["w"] == [instance(1, 2.5, label="Diving")]
    clear = [instance(0, 1, label="Diving"), instance(3, 4, label="Diving")]
    assert len(got["v"]) == 3 and all(record in got["v"] for record in (vague, *clear))
    assert count_instances(got) == 3 and list(read_ground_truth(tmp_path, "validation")) == ["x"]
    with pytest.raises(ValueError, match='no files of subset "train"'):
        read_ground_truth(tmp_path, "train")
    (tmp_path / "Diving_test.txt").write_text("v 0 1\nv 3\n")
    with pytest.raises(ValueError, match=r'Diving_test\.txt: line 2 is "v 3"'):
        read_ground_truth(tmp_path, "test")


def test_thumos_folder_and_json_are_the_same_instances(shared_data):
    texts = read_ground_truth(shared_data / "thumos14" / "official_txt", "test")
    annotated = read_ground_truth(shared_data / "thumos14" / "thumos14.json", "Test")

    def flat(records):
        return sorted((v, r["label"], *(round(x, 1) for x in r["segment"])) for v, rs in records.items() for r in rs
                      if not r.get("ambiguous"))  # fmt: skip

    assert flat(texts) == flat(annotated) and len(texts) == 213 and len(annotated) == 212
