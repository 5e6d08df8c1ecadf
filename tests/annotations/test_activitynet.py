"""ActivityNet's JSON: keys that are there twice, and what is no instance."""

import json

import pytest

from helpers.annotation_files import instances, record
from helpers.annotation_files import write_text as write
from losa.annotations.activitynet import parse_instance, parse_json
from losa.annotations.formats import scan
from losa.annotations.times import seconds


def test_instances_under_a_repeated_key_are_not_lost(tmp_path):
    one, two = (json.dumps(record(("a", start, start + 1))) for start in (0, 5))
    sheet = scan(write(tmp_path / "a.json", f'{{"database": {{"v": {one}, "v": {two}}}}}'))
    assert instances(sheet.entries) == {"v": [("a", 0, 1), ("a", 5, 6)]}
    assert sheet.findings["ids are there more than once"].count == 1


def test_of_a_repeated_key_the_last_value_counts_with_the_annotations_of_all():
    repeated = []
    video = '"v": {"subset": "%s", "annotations": [%d], "actions": [%d]}'
    text = "{" + ", ".join(video % (name, i, -i) for i, name in enumerate("abc")) + ', "w": 1, "w": 2}'
    merged = {"subset": "c", "annotations": [0, 1, 2], "actions": [0, -1, -2]}
    assert parse_json(text, repeated) == {"v": merged, "w": 2} and repeated == ["v", "v", "w"]
    plain = '{"v": {"annotations": [1, {"label": "a"}]}, "w": null}'
    assert parse_json(plain, repeated) == json.loads(plain) and len(repeated) == 3
    with pytest.raises(ValueError, match="Expecting"):
        parse_json('{"v": ', [])


@pytest.mark.parametrize("item", [
    None, [], "jump", {}, {"label": "a"}, {"segment": [0, 1]}, {"label": 3, "segment": [0, 1]},
    {"label": "a", "segment": [0]}, {"label": "a", "segment": [0, 1, 2]}, {"label": "a", "segment": "01"},
    {"label": "a", "segment": [0, None]}, {"label": "a", "segment": ["soon", 1]}, {"label": "a", "segment": [True, 1]},
])  # fmt: skip
def test_what_is_no_label_with_two_times_is_no_instance(item):
    assert parse_instance(item, seconds) is None


def test_an_instance_keeps_its_label_and_the_times_as_they_are_understood():
    item = {"label": " a", "segment": ["1:02.5", 3], "score": 0.5}
    assert parse_instance(item, seconds) == (" a", 62.5, 3.0)
    assert parse_instance(item | {"segment": [9, 3]}, seconds) == (" a", 9, 3)  # backwards is for others to say
