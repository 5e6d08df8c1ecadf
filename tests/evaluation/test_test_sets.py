"""Published test sets by name, what they leave out, and block lists."""

import json

import pytest

from losa.evaluation.records import count_instances, read_ground_truth
from losa.evaluation.test_sets import TEST_SETS, choose_test_set, leave_out, read_block_list


@pytest.mark.parametrize("name, num", [("thumos14-213", 213), ("thumos14-212", 212), ("thumos14-210", 210)])
def test_thumos_test_sets_count_what_their_users_count(shared_data, recwarn, name, num):
    truth = choose_test_set(read_ground_truth(shared_data / "thumos14" / "official_txt", "test"), name)
    assert (len(truth), count_instances(truth)) == (num, TEST_SETS[name].num_instances) and not recwarn


def test_opentads_test_set_lacks_four_more_instances_and_says_so(shared_data):
    annotated = read_ground_truth(shared_data / "thumos14" / "thumos14.json", "Test")
    with pytest.warns(UserWarning, match=r"211 videos with 3,329 instances, where OpenTAD.* 3,325 instances"):
        chosen = choose_test_set(annotated, "thumos14-211")
    durations = json.loads((shared_data / "thumos14" / "thumos14.json").read_text())["database"]
    assert sum(r["segment"][1] <= durations[v]["duration"] for v, rs in chosen.items() for r in rs) == 3325


def test_activitynet_test_set(shared_data, recwarn):
    path = shared_data / "activitynet13" / "activity_net.v1-3.rebuilt.json"
    truth = read_ground_truth(path, "validation")
    assert len(choose_test_set(truth, "activitynet-4728")) == 4728 and not recwarn
    with pytest.warns(UserWarning, match="4,926 videos"):
        choose_test_set(truth, "activitynet-4926")


def test_unknown_test_set():
    with pytest.raises(ValueError, match="did you mean thumos14-212"):
        choose_test_set({}, "thumos-212")


def test_leaving_out():
    truth = {"v_x": [], "y": [], "z": []}
    assert list(leave_out(truth, ("x", "v_y"))) == ["z"]
    assert leave_out(truth, ()) == truth


@pytest.mark.parametrize("text", ['["a", "b"]', '{"a": 1, "b": {}}', "a\nb\n", "# two\na # x\n\nb\na\n", "\ufeffa\nb"])
def test_block_list(tmp_path, text):
    path = tmp_path / "x.txt"
    path.write_text(text, encoding="utf-8")
    assert read_block_list(path) == ("a", "b")


@pytest.mark.parametrize("text", ["", "[]", "[1]", "[", "# nothing", '{"": 1}'])
def test_bad_block_list(tmp_path, text):
    path = tmp_path / "x.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"x\.txt"):
        read_block_list(path)
