"""Ground truth and predictions as they are read, test sets by name, and files that are nothing of the kind."""

import json
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.eval_files import CLASSES, DURATIONS, ROWS, truth_content
from losa.errors import EvaluationError, Note
from losa.evaluation.average_precision import evaluate
from losa.evaluation.records import count_instances, read_ground_truth, read_predictions, read_truth
from losa.segments import write_predictions


def instance(start, end, score=None, label="a"):
    record = {"segment": [float(start), float(end)], "label": label}
    return record if score is None else {**record, "score": score}


def test_predictions_file_comes_back(tmp_path):
    results = {"v": [instance(0.1, 2.5, 0.25)], "w": []}
    assert read_predictions(write_predictions(tmp_path / "p.json", results)) == results


def write(tmp_path, content, name="x.json"):
    path = tmp_path / name
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
        ("{", "cannot be read as JSON"),
        ([], 'has no "database"'),
        ({"results": {}}, "holds predictions, expected annotations"),
        ({"database": {"v": {"annotations": []}}}, "not one instance"),
        ({"database": {"v": {"annotations": [instance(0, 1)]}, "w": {"subset": "t"}}}, "v.subset: expected a text"),
        ({"database": {"v": {"subset": "t", "annotations": [instance(2, 1)]}}}, "start <= end"),
        ({"database": {"v": {"subset": "t", "annotations": [{"segment": [0, 1]}]}}}, 'v.annotations.0: expected a'),
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
        '{"results": {"v": [{"segment": ["0", "0:01"], "label": "a", "score": 1}]}}',
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
    with pytest.raises(ValueError, match="not UTF-8"):
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


# --- other layouts of the truth ---------------------------------------------------------------------------


def flat(records):
    return sorted((v, r["label"], *r["segment"]) for v, items in records.items() for r in items)


def as_table(separator, header):
    return "\n".join([header.replace(",", separator), *(separator.join(map(str, (*row, "test"))) for row in ROWS)])


LAYOUTS = {
    "gt.csv": as_table(",", "video,label,start,end,subset"), "gt.tsv": as_table("\t", "video,label,start,end,subset"),
    "gt.txt": as_table(",", "video,label,start,end,subset"),
    "gt_mp4.csv": as_table(",", "filename,action,start,end,split"), "gt.json": truth_content(),
    "gt_string_times.json": json.loads(json.dumps(truth_content()), parse_float=str),
    "gt_no_subset.json": truth_content(subset=None),
    "gt_no_subset.csv": "video,label,start,end\n" + "\n".join(",".join(map(str, row)) for row in ROWS),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_truth_in_every_layout_is_the_same_twelve_instances(tmp_path, name):
    truth = read_truth(write(tmp_path, LAYOUTS[name], name), "test")
    assert flat(truth.records) == sorted(ROWS) and truth.subset == "test" and truth.classes == CLASSES
    assert truth.subsets.keys() == DURATIONS.keys()
    if name.endswith(".json"):
        assert truth.durations == DURATIONS and set(truth.fps.values()) == {12}


def test_class_numbers_get_the_names_of_a_list(tmp_path):
    content = {v: {"subset": "testing", "duration": duration, "actions": [
        [CLASSES.index(label) + 1, start, end] for name, label, start, end in ROWS if name == v]}
        for v, duration in DURATIONS.items()}  # fmt: skip
    path = write(tmp_path, content)
    listed = write(tmp_path, "\n".join(CLASSES), "classes.txt")
    assert flat(read_ground_truth(path, "testing", classes=listed)) == sorted(ROWS)
    assert read_truth(path, "testing").classes[0] == "class_1"


def test_what_is_read_otherwise_than_written_is_said(tmp_path):
    with pytest.warns(Note, match='names no subsets; all of it, 12 instances, is taken as subset "test"'):
        read_ground_truth(write(tmp_path, truth_content(subset=None)), "test")
    with pytest.warns(Note, match="filename") as said:
        read_ground_truth(write(tmp_path, LAYOUTS["gt_mp4.csv"], "x.csv"), "test")
    assert "Rename them" not in str(said[0].message)
    content = truth_content()
    content["database"]["clip_0000"]["annotations"].append({"label": "Ambiguous", "segment": [30, 33]})
    with pytest.warns(UserWarning, match="13 instances read = 12 kept \\+ 1 set aside .*ambiguous"):
        truth = read_truth(write(tmp_path, content), "test")
    assert truth.records["clip_0000"][0] == {"label": "Ambiguous", "segment": [30.0, 33.0], "ambiguous": True}
    assert count_instances(truth.records) == 12 and truth.classes == CLASSES


@pytest.mark.parametrize(("subsets", "chosen"), [
    (("train", "test"), "test"), (("training", "validation"), "validation"), (("Validation", "Test"), "Test"),
    (("val", "testing"), "testing"), (("mine",), "mine"), (("train",), "train")])
def test_without_a_subset_the_one_for_testing_is_taken_and_said(tmp_path, subsets, chosen):
    database = {name: {"subset": name, "annotations": [instance(0, 1)]} for name in subsets}
    database["hidden"] = {"subset": "test_hidden", "annotations": []}
    with pytest.warns(Note, match=f'subset "{chosen}" is taken, with 1 instances; all subsets: .*--subset NAME'):
        assert list(read_ground_truth(write(tmp_path, {"database": database}))) == [chosen]


def test_without_a_subset_nothing_is_guessed(tmp_path):
    database = {name: {"subset": name, "annotations": [instance(0, 1)]} for name in ("train", "day1")}
    with pytest.raises(EvaluationError, match=r'several subsets: "day1" \(1 instances\), .* Choose one: --subset NAME'):
        read_ground_truth(write(tmp_path, {"database": database}))


@pytest.mark.parametrize("asked", ["val", "Val", "validaton"])
def test_a_subset_in_another_spelling_is_proposed(tmp_path, asked):
    path = write(tmp_path, {"database": {"v": {"subset": "validation", "annotations": [instance(0, 1)]}}})
    with pytest.raises(EvaluationError, match='Did you mean "validation"'):
        read_ground_truth(path, asked)


def test_repeated_and_late_instances_stay_as_published(tmp_path):
    items = [instance(0, 1), instance(0, 1), instance(90, 99), instance(2, 2)]
    path = write(tmp_path, {"database": {"v": {"subset": "t", "duration": 5, "annotations": items}}})
    assert read_ground_truth(path, "t") == {"v": items}
    table = write(tmp_path, "video,label,start,end\nv,a,0,1\nv,a,0,1\n", "x.csv")
    assert len(read_ground_truth(table, "all")["v"]) == 2


def test_reversed_instances_are_counted_and_named(tmp_path):
    items = [instance(0, 1), instance(10, 9)]
    database = {"v": {"subset": "t", "annotations": items}, "w": {"subset": "train", "annotations": [instance(3, 2)]}}
    with pytest.raises(EvaluationError, match='1 instances end before .*\n  item 1 of video "v": a from 10 to 9'):
        read_ground_truth(write(tmp_path, {"database": database}), "t")


def test_times_written_as_text_change_no_number(tmp_path, shared_data):
    """G-TAD's thumos_gt.json has its times in quotes."""
    content = json.loads((shared_data / "thumos14" / "thumos14.json").read_text(), parse_float=str)
    path = write(tmp_path, content)
    assert read_ground_truth(path, "Test") == read_ground_truth(shared_data / "thumos14" / "thumos14.json", "Test")


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
    with pytest.raises(ValueError, match=r"Diving_test\.txt line 2: v 3"):
        read_ground_truth(tmp_path, "test")


def test_thumos_folder_and_json_are_the_same_instances(shared_data):
    texts = read_ground_truth(shared_data / "thumos14" / "official_txt", "test")
    annotated = read_ground_truth(shared_data / "thumos14" / "thumos14.json", "Test")

    def flat(records):
        return sorted((v, r["label"], *(round(x, 1) for x in r["segment"])) for v, rs in records.items() for r in rs
                      if not r.get("ambiguous"))  # fmt: skip

    assert flat(texts) == flat(annotated) and len(texts) == 213 and len(annotated) == 212
