"""The desk of several videos: what is done in each is kept with its times; what was done before comes back."""

import pytest

from losa.annotations.dataset import load_annotations
from losa.inspection import labelling_desk
from losa.inspection.labelling_desk import LabellingDesk


@pytest.fixture
def videos(tiny):
    return load_annotations(tiny / "world" / "annotations.json").subset("train")[:2]


@pytest.fixture
def clock(monkeypatch):
    """The seconds that the desk reads."""
    now = [100.0]
    monkeypatch.setattr(labelling_desk.time, "time", lambda: now[0])
    return now


def test_each_video_has_its_own_labels_times_and_proposals(videos, clock):
    one, two = (video.id for video in videos)
    found = {one: [{"label": "jump", "segment": [1.0, 2.0], "score": 0.7}]}
    desk = LabellingDesk(videos, ["jump", "kick"], proposals=found)
    assert desk.children[1].lanes == ["labels", "proposals"] and desk.children[1].video_id == one
    desk.children[1].edit("accept", label="jump", segment=[1.0, 2.0], at=105.0, by="key", presses=2)
    clock[0] = 110.0
    desk.choice.value = two
    assert desk.children[1].lanes == ["labels"] and desk.children[1].classes == ["jump", "kick"]
    first, second = desk.sessions()
    assert (first["began"], first["ended"]) == (100.0, 110.0) and second["began"] == second["ended"] == 110.0
    assert [r["segment"] for r in first["records"]] == [[1.0, 2.0]] and second["records"] == []
    assert [(c["what"], c["at"], c["presses"]) for c in first["changes"]] == [("accept", 105.0, 2)]
    desk.choice.value = one
    assert desk.children[1].records == first["records"]


def test_a_video_that_was_never_opened_took_no_time(videos, clock):
    session = LabellingDesk(videos, ["jump"]).sessions()[1]
    assert session["began"] == session["ended"] and session["records"] == session["changes"] == []


def test_what_was_done_before_comes_back_and_more_is_added_to_it(videos, clock):
    desk = LabellingDesk(videos, ["jump"])
    desk.children[1].edit("create", label="jump", segment=[1.0, 2.0], at=104.0, by="key", presses=3)
    before = desk.sessions()
    clock[0] = 500.0
    again = LabellingDesk(videos, ["jump"], sessions=before)
    assert again.sessions() == before
    again.children[1].edit("delete", id=1, at=505.0, by="key", presses=1)
    after = again.sessions()[0]
    assert after["records"] == [] and after["began"] == 100.0 and after["ended"] == 505.0
    assert [change["what"] for change in after["changes"]] == ["create", "delete"]


def test_the_simulated_annotators_work_can_be_looked_through(videos, clock):
    op = {"what": "create", "label": "jump", "segment": [1.0, 2.0], "at": 5.0, "by": "key", "presses": 13}
    before = [{"video": video.id, "ops": [op]} for video in videos]
    desk = LabellingDesk(videos, ["jump"], sessions=before)
    assert [(c["what"], c["at"], c["presses"]) for c in desk.children[1].changes] == [("create", 5.0, 13)]
    desk.children[1].edit("undo")
    assert desk.children[1].records == [] and desk.sessions() == before
    assert LabellingDesk(videos, ["jump"], sessions=before, keep=lambda _: None).children[1].unsaved == 0
    assert "LabellingDesk" in desk.line() and desk.figure().axes


def test_every_change_is_given_away_at_once_and_a_video_that_was_not_opened_begins_when_it_is(videos, clock):
    kept = []
    desk = LabellingDesk(videos, ["jump"], keep=kept.append)
    assert kept == []
    desk.children[1].edit("create", label="jump", segment=[1.0, 2.0], at=104.0, by="key", presses=3)
    assert desk.children[1].unsaved == 0
    assert kept[-1] == desk.sessions() and len(kept[-1][0]["records"]) == 1 and kept[-1][1]["ended"] == 0.0
    clock[0] = 500.0
    again = LabellingDesk(videos, ["jump"], sessions=kept[-1], keep=kept.append)
    again.choice.value = videos[1].id
    assert len(kept[-1][0]["records"]) == 1 and kept[-1][1]["began"] == kept[-1][1]["ended"] == 500.0
    again.children[1].edit("create", label="jump", segment=[1.0, 2.0], at=503.0, by="key", presses=3)
    assert kept[-1][1]["began"] == 500.0 and kept[-1][1]["ended"] == 503.0
    again.children[1].edit("undo")
    assert kept[-1][1]["records"] == []
