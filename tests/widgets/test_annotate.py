"""The timeline in which one can label, in Python: its records, changes, verdicts and what it saves. No browser."""

import json

import pytest

from widgets.annotate import Annotate

TRUTH = [{"segment": [1, 3], "label": "jump", "note": "n"}, {"segment": [5.0, 9.0], "label": "wave"}]
RUN = [{"segment": [1.2, 3.1], "label": "jump", "score": 0.75}]


def document(**more):
    """A file of labels with a second video."""
    database = {"v": {"subset": "test", "annotations": TRUTH}, "w": {"subset": "test", "annotations": [], **more}}
    return {"database": database}


def made(written, truth=TRUTH, given=None, **more):
    """A widget that writes into a list."""
    def write(done, changes, path):
        written.append((done, changes, path))
        return path or "new.json"

    return Annotate(None, {"truth": truth, "run": RUN}, document=given or document(), write=write, duration=30, fps=25,
                    video_id="v", **more)


def test_records_have_ids_keep_their_fields_and_are_judged():
    shown = made([])
    assert shown.records == [{**record, "id": i} for i, record in enumerate(TRUTH, start=1)]
    assert [r["verdict"] for r in shown.tracks["truth"]] == ["found", "missed"] and shown.unsaved == 0
    shown.edit("relabel", id=1, label="wave")
    assert shown.tracks["run"][0]["verdict"] == "wrong label" and shown.unsaved == 1
    (change,) = shown.changes
    assert change["by"] == "python" and change["at"] > 1.7e9
    shown.edit("undo")
    assert shown.tracks["run"][0]["verdict"] == "true positive" and shown.unsaved == 0


def test_a_new_label_is_a_new_class_with_a_colour():
    shown = made([])
    shown.edit("create", label="sit", segment=[10, 12])
    assert shown.classes == shown.shown_classes == ["jump", "wave", "sit"] == [*shown.colours]


def test_save_hands_over_the_file_and_the_changes():
    written = []
    shown = made(written)
    shown.edit("delete", id=2)
    assert written == [], "nothing is written before"
    assert shown.save("x.json") == "x.json" and shown.unsaved == 0
    ((done, changes, path),) = written
    assert done["database"] == {"v": {"subset": "test", "annotations": TRUTH[:1]}, "w": document()["database"]["w"]}
    assert [(c["video"], c["what"], path) for c in changes] == [("v", "delete", "x.json")]


def test_the_button_is_answered_with_the_name_or_the_reason():
    shown = made([])
    shown._handle_custom_msg({"kind": "save"}, [])
    assert shown.answer == {"number": 1, "text": "Saved as new.json"}
    shown._write = lambda *_: (_ for _ in ()).throw(ValueError("the disk is full"))
    shown._handle_custom_msg({"kind": "save"}, [])
    assert shown.answer == {"number": 2, "text": "Not saved: the disk is full"}


def test_save_still_writes_figures(tmp_path):
    assert made([]).save(tmp_path / "a.png").stat().st_size > 2000


def test_of_a_large_file_only_this_video_goes_to_the_browser_and_all_is_saved():
    written, large = [], document(note="x" * 2_000_000)
    shown = made(written, given=large)
    assert [*shown.document["database"]] == ["v"]
    shown.save()
    assert [*written[0][0]["database"]] == ["v", "w"]


def test_another_video_in_its_place_starts_anew():
    shown = made([])
    shown.edit("delete", id=1)
    shown.show(None, {"truth": TRUTH[1:]}, duration=20, video_id="w", has_truth=False)
    assert (shown.records, shown.changes, shown.unsaved) == ([{**TRUTH[1], "id": 1}], [], 0)
    assert [r["label"] for r in shown.tracks["truth"]] == ["wave"] and shown.classes == ["wave"]


def test_what_was_typed_lives_in_the_traits_that_pages_and_notebooks_keep():
    shown = made([])
    shown.edit("delete", id=1)
    kept = json.loads(json.dumps(shown.page_state(), default=str))
    assert [kept[name] for name in ("records", "saved", "made")] == [shown.records, shown.saved, 2]
    assert kept["changes"][0]["before"] == [{**TRUTH[0], "id": 1}]


def test_no_tracks_are_refused_as_a_timeline_does():
    with pytest.raises(ValueError, match="give at least one track"):
        Annotate(None, {}, document=document(), write=None, duration=3, video_id="v")
