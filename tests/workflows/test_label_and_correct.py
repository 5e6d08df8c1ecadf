"""Label, train, propose, correct: on a tiny world, in rounds that continue where they stopped."""

import json

import pytest

from losa.annotations.dataset import load_annotations
from losa.errors import LosaError, OwnVideoError
from losa.presets import PRESETS
from losa.workflows import label_and_correct as loop

SMALL = ("warmup_epochs", "epochs", "batch_size", "window", "head_levels", "head_dim", "adapter_dim", "cache")


def project(tiny, out, **more):
    config = PRESETS["tiny"](tiny, epochs=1, warmup_epochs=0).to_dict()
    given = {"annotations": str(tiny / "world" / "annotations.json"), "rounds": 2, "min_score": 0.001,
             "settings": {"backbone": "gap", "sample_fps": None, **{name: config[name] for name in SMALL}}}
    return loop.begin(out=out, **{**given, **more})


@pytest.fixture(scope="module")
def done(tiny, tmp_path_factory):
    made = project(tiny, tmp_path_factory.mktemp("rounds"))
    loop.label_all(made, quiet=True)
    return made


def test_the_labels_that_are_learnt_from_are_the_worlds_own_though_nobody_was_told_them(done, tiny):
    assert all(len(video.segments) == 0 for batch in done.batches for video in batch)
    world = {v.id: v for v in load_annotations(tiny / "world" / "annotations.json").videos}
    for way in loop.WAYS:
        learnt = load_annotations(loop.prepare_run(done, way, 2)[0].annotations)
        assert learnt.subsets.keys() == {"train", "test"} and len(learnt.subset("train")) == 6
        for video in learnt.videos:
            order = video.segments[:, 0].argsort()
            assert abs(video.segments[order] - world[video.id].segments).max() <= 0.5 / 12 + 1e-3
            assert [learnt.classes[i] for i in video.labels[order]] == [
                learnt.classes[i] for i in world[video.id].labels]


def test_the_first_round_is_shared_and_its_unlabelled_videos_have_proposals(done):
    half = load_annotations(loop.prepare_run(done, loop.WAYS[0], 1)[0].annotations)
    assert half.subsets["pool"] == (3, 0) and loop.prepare_run(done, loop.WAYS[1], 1) == loop.prepare_run(
        done, loop.WAYS[0], 1)
    job, scratch = (loop.open_round(done, 2, way) for way in reversed(loop.WAYS))
    assert any(job.proposals.values()) and not any(scratch.proposals.values())
    assert {name for name, found in job.proposals.items() if found} <= {video.id for video in job.videos}
    assert all(r["score"] >= done.min_score for found in job.proposals.values() for r in found)


def test_rows_of_both_ways(done):
    ways = loop.read_ways(done, quiet=True)
    first, last = ([rows[i] for rows in ways.values()] for i in (0, 1))
    assert list(ways) == list(loop.WAYS) and first[0] == first[1]
    assert [row["videos"] for row in last] == [6, 6] and len({row["instances"] for row in last}) == 1
    assert last[0]["operations"].keys() == {"create"} and last[0]["minutes"] > first[0]["minutes"]
    for way, rows in ways.items():
        result = json.loads((loop.prepare_run(done, way, 2)[1] / "result.json").read_text())
        assert rows[1]["average_map"] == result["average_map"]


def test_what_is_done_is_not_done_again(done, monkeypatch, capsys):
    files = {path: path.stat().st_mtime_ns for name in ("result.json", "*-*.json") for path in done.out.rglob(name)}
    assert len(files) == 6 and loop.next_round(done) is None
    monkeypatch.setattr(loop, "simulate_round", None)
    loop.label_all(done)
    job = loop.open_round(done, 2, quiet=True)
    assert capsys.readouterr().out == ""
    loop.finish_round(done, job, job.sessions)
    assert files == {path: path.stat().st_mtime_ns for path in files}
    said = capsys.readouterr().out
    assert "round 2, propose and correct (annotator: simulated): instances 3, " in said and "rounds left: 0" in said


def test_a_round_that_was_stopped_continues_and_other_labels_are_another_run(done, tiny, tmp_path):
    made = project(tiny, tmp_path)
    job = loop.next_round(made)
    assert (job.way, job.number, job.title) == (loop.WAYS[1], 1, "round 1, from scratch")
    assert made.out.name == done.out.name and len(loop.list_left(made)) == 4
    job.keep(job.sessions[:2])
    again = loop.next_round(made)
    assert again.number == 1 and again.sessions == job.sessions[:2]
    one = loop.finish_round(made, again, job.sessions, quiet=True)
    assert loop.open_round(made, 1).sessions == job.sessions and loop.next_round(made).number == 2
    fewer = [session | {"records": session["records"][:1]} for session in job.sessions]
    again.keep(fewer)
    assert loop.next_round(made).number == 2, "finished stays finished"
    assert loop.finish_round(made, again, fewer, quiet=True)["predictions"] != one["predictions"]


def test_ones_own_labels_stay_with_other_settings_and_the_simulated_annotators_do_not(tiny, tmp_path):
    you, other = (project(tiny, tmp_path, annotator="you", min_score=score).out for score in (0.1, 0.2))
    assert you == other != project(tiny, tmp_path, annotator="you", rounds=3).out
    assert project(tiny, tmp_path, min_score=0.1).out != project(tiny, tmp_path, min_score=0.2).out


def test_a_round_in_which_nothing_is_labelled_or_a_video_not_seen_is_not_finished(tiny, tmp_path):
    made, simulated = project(tiny, tmp_path, annotator="you", ways=[loop.WAYS[1]]), project(tiny, tmp_path)
    job, known = loop.next_round(made), loop.open_round(simulated, 1).sessions
    assert str(made).startswith("6 videos to label (") and " in 2 rounds, 3 others" in str(made)
    assert job.sessions == [] and made.who != simulated.who and "not measured on a person" in simulated.who
    with pytest.raises(OwnVideoError, match="round 1.*nothing is labelled yet.*widget"):
        loop.finish_round(made, job, [session | {"records": [], "changes": []} for session in known])
    unseen = {"began": 0.0, "ended": 0.0, "records": [], "changes": []}
    with pytest.raises(OwnVideoError, match=f"1 of its 3 videos were never opened .{known[2]['video']}"):
        loop.finish_round(made, job, [*known[:2], known[2] | unseen])
    loop.label_all(made)
    assert loop.list_left(made) == [(loop.WAYS[1], 1), (loop.WAYS[1], 2)] and loop.read_ways(made)[loop.WAYS[1]] == []


def test_ones_own_folder_is_labelled_by_oneself(tiny, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    for i, path in enumerate(sorted((tiny / "world" / "videos").glob("train_*"))[:3]):
        (folder / f"mine {i}.mp4").write_bytes(path.read_bytes())
    (folder / "broken.mp4").write_bytes(b"no video")
    with pytest.warns(UserWarning, match="3 videos to label; 1 cannot be read and are left out, broken: "):
        made = project(tiny, tmp_path, videos=str(folder), annotator="you", rounds=3, classes=["hop"])
    (folder / "broken.mp4").unlink()
    assert [[video.id for video in batch] for batch in made.batches] == [["mine 0"], ["mine 1"], ["mine 2"]]
    assert made.classes[-1] == "hop" and {video.subset for video in made.held_out} == {"test"}
    record = {"id": 1, "label": "hopscotch", "segment": [0.5, 1.0]}
    session = {"video": "mine 0", "duration": 10.0, "fps": 12.0, "began": 0.0, "ended": 9.0, "changes": [],
               "records": [record]}
    loop.finish_round(made, loop.next_round(made), [session], quiet=True)
    learnt = load_annotations(loop.prepare_run(made, loop.WAYS[0], 1)[0].annotations)
    assert learnt.classes[-2:] == ("hop", "hopscotch")
    assert {v.id: v.records(learnt.classes) for v in learnt.videos}["mine 0"] == [
        {"label": "hopscotch", "segment": [0.5, 1.0]}]
    with pytest.raises(OwnVideoError, match="3 of 3 videos nothing is known.*annotator='you'"):
        project(tiny, tmp_path, videos=str(folder), rounds=3)


@pytest.mark.parametrize("wrong, said", [({"annotator": "me"}, "simulated.*you"), ({"rounds": 9}, "expected 2 to 6"),
                                         ({"rounds": 1}, "expected 2 to 6"), ({"times": {"kye": 1}}, "kye.*key"),
                                         ({"ways": ["at once"]}, "at once.*one or both of 'from scratch'"),
                                         ({"videos": "there", "annotations": ""}, "without annotations")])
def test_wrong_input_is_said(tiny, tmp_path, wrong, said):
    with pytest.raises(LosaError, match=said):
        project(tiny, tmp_path, **wrong)
