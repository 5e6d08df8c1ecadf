"""What makes cached taps stale: the key of a file by hand, and everything it depends on."""

import hashlib
import json
import shutil
import zlib
from dataclasses import asdict, replace

import pytest

from helpers.made_sources import live_and_cache
from losa.annotations.dataset import load_annotations


@pytest.fixture(scope="module")
def videos(tiny):
    return load_annotations(tiny / "world" / "annotations.json").videos


def test_key_depends_on_content_and_on_every_ingredient(tiny, videos, tmp_path):
    _, cache = live_and_cache(tiny, tmp_path)
    keys = {cache.stored.key(videos[0]), cache.stored.key(videos[1])}
    other = dict(weights="x", layers=(0,), grid=2, clip_stride=8, sample_fps=5.0, frame_stride=2, input_size=32,
                 frames_per_video=64, resize="crop", clip_length=32, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0),
                 compute_dtype="bfloat16", format=9)
    keys |= {replace(cache.stored, **{k: v}).key(videos[0]) for k, v in other.items()}
    assert len(keys) == 2 + len(other)
    interpolated = replace(cache.stored, snippet_frames=1.0, snippets_per_video=None)
    assert interpolated.key(videos[0]) == cache.stored.key(videos[0])  # the files hold what lies before that
    moved = tmp_path / "elsewhere.mp4"
    shutil.copy(videos[0].path, moved)
    assert cache.stored.key(replace(videos[0], path=moved, id="renamed")) == cache.stored.key(videos[0])


def test_the_video_itself_keeps_the_name_it_always_had(tiny, videos, tmp_path):
    """The formula of caches written before there were copies, by hand."""
    _, cache = live_and_cache(tiny, tmp_path)
    data, video = videos[0].path.read_bytes(), videos[0]
    pieces = [i * max(len(data) - 2**15, 0) // 7 for i in range(8)]
    content = hashlib.sha256(str(len(data)).encode() + b"".join(data[at:at + 2**15] for at in pieces)).hexdigest()
    recipe = {**asdict(cache.stored), "snippet_frames": None, "snippets_per_video": None}
    assert recipe["format"] == 2 and list(recipe) == [
        "weights", "dim", "layers", "grid", "clip_length", "tubelet", "clip_stride", "sample_fps", "frame_stride",
        "frames_per_video", "input_size", "resize", "mean", "std", "compute_dtype", "format", "snippet_frames",
        "snippets_per_video"]
    text = f"{json.dumps([content, float(video.start), float(video.duration)])} {json.dumps(recipe, sort_keys=True)}"
    assert cache.path(video).name == f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.npy"
    copied = json.dumps([content, float(video.start), float(video.duration), 2, zlib.crc32(video.id.encode()), 1])
    text = f"{copied} {json.dumps(recipe, sort_keys=True)}"
    assert cache.path(video, 2).name == f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.npy"
    renamed = replace(video, id="renamed")
    assert cache.path(renamed) == cache.path(video) and cache.path(renamed, 2) != cache.path(video, 2)
