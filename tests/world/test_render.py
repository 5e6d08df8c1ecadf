"""The embedded world: same seed same frames, exact boundaries, files that readers agree on, resuming."""

import json

import av
import numpy as np
import pytest
from PIL import Image

from losa.world import motions
from losa.world import render as world


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    out = tmp_path_factory.mktemp("world")
    return world.make_world(out, "tiny", seed=3, num_workers=0)


def test_a_script_draws_the_same_frames_every_time_and_another_seed_draws_others():
    first, again, other = (world.script_video(seed, "val", 1, (10.0, 15.0)) for seed in (0, 0, 1))
    frames = [np.stack(list(world.draw_frames(s, 48, 0, 30))) for s in (first, again, other)]
    assert np.array_equal(frames[0], frames[1])
    assert not np.array_equal(frames[0], frames[2])
    whole = list(world.draw_frames(first, 48))
    assert np.array_equal(whole[20], next(world.draw_frames(first, 48, 20, 21)))  # no state between frames


def test_splits_and_indices_differ_but_the_number_of_videos_changes_nothing(tmp_path):
    scripts = [world.script_video(0, split, index) for split in world.SPLITS for index in range(3)]
    assert len({s.seed for s in scripts}) == 9
    a = json.loads(world.make_world(tmp_path / "a", (0, 1, 1), num_workers=0).read_text())["database"]
    b = json.loads(world.make_world(tmp_path / "b", (0, 1, 0), num_workers=0).read_text())["database"]
    assert a["val_0000"] == b["val_0000"]
    name = "videos/val_0000.mp4"
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_files_have_the_frames_rate_and_size_that_the_annotations_state(tiny):
    decord = pytest.importorskip("decord")
    database = json.loads(tiny.read_text())["database"]
    assert [sum(v["subset"] == s for v in database.values()) for s in world.SPLITS] == [6, 3, 3]
    for name in ("train_0000", "test_0002"):
        record, path = database[name], tiny.parent / database[name]["path"]
        reader = decord.VideoReader(str(path))
        with av.open(str(path)) as file:
            stream = file.streams.video[0]
            frames = list(file.decode(stream))
        assert len(frames) == len(reader) == round(record["duration"] * world.FPS)
        assert float(stream.average_rate) == pytest.approx(reader.get_avg_fps()) == pytest.approx(world.FPS)
        assert reader[0].shape == (world.SIZE, world.SIZE, 3)
        assert [f.pts * f.time_base * world.FPS for f in frames] == list(range(len(frames)))
        assert max(np.diff([i for i, f in enumerate(frames) if f.key_frame] or [0]), default=0) <= 32
        drawn = np.stack(list(world.draw_frames(world.script_video(3, *split_index(name), (10.0, 15.0)))))
        decoded = np.stack([f.to_ndarray(format="rgb24") for f in frames])
        assert np.abs(decoded.astype(int) - drawn).mean() < 6


def split_index(name):
    split, index = name.split("_")
    return split, int(index)


@pytest.mark.parametrize("name", motions.CLASSES)
def test_the_pose_moves_inside_the_labelled_interval_and_nowhere_else(name):
    for seed in range(20):
        script, _ = world.script_clip(np.random.default_rng(seed), name)
        event = script.events[0]
        still = world.Script(script.num_frames, script.seed, [e for e in script.events if e.hold], script.shots)
        change = np.abs(world.pose_track(script)[0] - world.pose_track(still)[0]).max(1)
        assert (change[: event.start] == 0).all() and (change[event.end :] == 0).all()
        moving = np.flatnonzero(change > 0)
        assert moving[0] == event.start and moving[-1] == event.end - 1


def test_twins_in_order_are_each_other_backwards():
    for name, twin in (("throw", "catch"), ("sit", "rise")):
        forth = world._offsets(world.Event(name, 0, 40))
        back = world._offsets(world.Event(twin, 0, 40))
        np.testing.assert_allclose(forth, back[::-1], atol=1e-9)


def pictures(path) -> np.ndarray:
    """All frames of a file."""
    with av.open(str(path)) as file:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]).astype(np.int16)


def test_a_stopped_rendering_goes_on_where_it_was(tiny):
    folder = tiny.parent / "videos"
    before = {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.glob("*.mp4")}
    assert not list(folder.glob("*.part")) and len(before) == 12
    (folder / "train_0004.mp4").unlink()
    (folder / "train_0004.mp4.1.part").write_bytes(b"left by a killed process")
    tiny.unlink()
    world.make_world(tiny.parent, "tiny", seed=3, num_workers=0)
    after = {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.glob("*.mp4")}
    assert {n for n in before if before[n] != after[n]} <= {"train_0004.mp4"}
    assert {n for n in before if before[n][0] != after[n][0]} == {"train_0004.mp4"}
    (folder / "before.mp4").write_bytes(before["train_0004.mp4"][1])
    old, new = (pictures(folder / name) for name in ("before.mp4", "train_0004.mp4"))
    (folder / "before.mp4").unlink()
    assert old.shape == new.shape and np.abs(old - new).mean() < 0.5  # grey levels; bytes may differ by rounding
    assert tiny.exists()
    (folder / "train_0004.mp4.1.part").unlink()


def test_wrong_requests_say_what_to_do(tiny, tmp_path):
    with pytest.raises(ValueError, match="tiny, demo, full"):
        world.make_world(tmp_path, "huge")
    with pytest.raises(ValueError, match="three numbers"):
        world.make_world(tmp_path, (0, 0, 0))
    with pytest.raises(ValueError, match="another world.*choose another folder"):
        world.make_world(tiny.parent, "tiny", seed=4)
    with pytest.raises(ValueError, match="cartwheel.*choose from"):
        world.render_clips(("jump", "cartwheel"), 4, 0)


def test_clips_do_not_depend_on_workers_or_on_how_many_there_are():
    clips, labels = world.render_clips(motions.PRESETS["gap"], 130, 0, num_workers=2)
    again, _ = world.render_clips(motions.PRESETS["gap"], 20, 0, num_workers=0)
    assert clips.shape == (130, 3, 16, 48, 48) and clips.dtype == np.uint8
    assert np.array_equal(clips[:20], again)
    assert labels.tolist() == [i % 10 for i in range(130)]
    assert clips.astype(int).std(2).max() > 10  # something moves


def test_the_contact_sheet_shows_every_motion(tmp_path):
    path = world.contact_sheet(tmp_path / "sheet.png")
    image = np.asarray(Image.open(path))
    assert image.std() > 10 and image.size > 8 * 96 * 96 * 3 * len(motions.ALL)


def test_the_plain_world_knows_nothing_of_the_context_world(tmp_path):
    path = world.make_world(tmp_path / "context", (1, 0, 0), seed=3, num_workers=0, kind="context")
    assert json.loads(path.read_text())["classes"] == [*motions.CLASSES, "answered_kick"]
    with pytest.raises(ValueError, match="another world"):
        world.make_world(tmp_path / "context", (1, 0, 0), seed=3)
    with pytest.raises(ValueError, match="'odd' is unknown; give one of plain, context"):
        world.make_world(tmp_path / "odd", "tiny", kind="odd")
    script = world.script_video(3, "test", 0)
    assert "kind" not in json.loads((world.make_world(tmp_path / "plain", (1, 0, 0), seed=3).parent /
                                     "world.json").read_text())
    first = [(e.name, e.start) for e in script.events[:3]]  # as drawn before there were kinds:
    assert (script.num_frames, first) == (679, [("bow", 12), ("catch", 65), ("point", 85)])
