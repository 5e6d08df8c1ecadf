"""What `probe` says of damaged, disguised and mutated files, and `probe_many` of those that hang or crash."""

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import losa.video.probe
from helpers.video_files import edit, mutate, write_video
from losa.errors import VideoError
from losa.video.probe import probe
from losa.video.reader import Reader

PLAYLISTS = {
    "live.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://192.0.2.1/a.ts\n",
    "list.mp4": "ffconcat version 1.0\nfile small.mp4\n",
    "session.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
                   "a=rtpmap:96 H264/90000\n",
}  # fmt: skip


def test_a_file_is_opened_once_until_it_changes(small, tmp_path, monkeypatch):
    opened, real = [], losa.video.probe.open_container
    monkeypatch.setattr(losa.video.probe, "open_container", lambda *a, **k: (opened.append(a), real(*a, **k))[1])
    path = tmp_path / "film.mp4"
    path.write_bytes((small / "small.mp4").read_bytes())
    assert probe(path) == probe(str(path)) == probe(path)
    Reader(path).read([1])
    assert len(opened) == 1
    write_video(path, 15)
    assert probe(path).num_frames == 15 and len(opened) == 2


@pytest.mark.parametrize("name", PLAYLISTS)
def test_a_playlist_is_no_video_and_nobody_waits_for_the_network(small, name):
    (small / name).write_text(PLAYLISTS[name])
    with pytest.raises(VideoError):
        probe(small / name)


def test_a_part_shown_by_an_edit_list_is_not_truncated(tmp_path):
    path = edit(write_video(tmp_path / "a.mp4", 100), tmp_path / "b.mp4", [(1, 0.08)])
    assert (probe(path).num_frames, probe(path).duration, probe(path).risks) == (25, pytest.approx(1.0), ("edit list",))
    nothing = edit(tmp_path / "a.mp4", tmp_path / "c.mp4", [(1, 50.0)])
    with pytest.raises(VideoError, match="no frame|none of its frames"):
        probe(nothing)


def test_impossible_times_are_damage(tmp_path):
    path = write_video(tmp_path / "long.mkv", 5, times_ms=[0, 40, 80, 120, 5 * 10**9])
    with pytest.raises(VideoError, match="time stamps are damaged"):
        probe(path)


def test_an_unknown_codec_is_one_clear_error(small, tmp_path):
    data = (small / "small.mkv").read_bytes()
    (tmp_path / "odd.mkv").write_bytes(data.replace(b"V_MPEG4/ISO/AVC", b"V_STRANGE/ISO/X"))
    with pytest.raises(VideoError, match="cannot be decoded here"):
        probe(tmp_path / "odd.mkv")


def test_a_truncated_file_of_every_container_is_refused_or_shorter(small, tmp_path):
    for name in ("small.mp4", "small.mkv", "small.avi", "small.ts"):
        data = (small / name).read_bytes()
        for keep in np.linspace(0, len(data) - 1, 12).astype(int):
            path = tmp_path / name
            path.write_bytes(data[:keep])
            try:
                assert probe(path).num_frames <= 12
            except VideoError as error:
                assert error.path == path and "\n" not in error.why


where = st.one_of(st.floats(0, 0.999), st.floats(0, 0.05), st.floats(0.9, 0.999))
numbers = st.sampled_from([b"\0" * 4, b"\xff" * 4, b"\x7f" + b"\xff" * 3, b"\x80" + b"\0" * 3, b"\xff" * 8])
change = st.tuples(where, st.sampled_from(["set", "set", "set", "cut", "add", "end"]), numbers | st.binary(max_size=12))


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(["small.mp4", "small.mkv", "small.avi", "small.ts"]), changes=st.lists(change, max_size=6))
def test_mutated_files_are_read_or_refused_by_a_video_error(small, tmp_path, name, changes):
    path = tmp_path / name
    path.write_bytes(mutate((small / name).read_bytes(), changes))
    try:
        info = probe(path)
    except VideoError as error:
        assert error.path == path and error.why and "\n" not in error.why
        return
    assert info.num_frames > 0 and 0 < info.fps < 1e5 and 0 <= info.duration <= losa.video.probe.LONGEST
    assert info.width > 0 and info.height > 0


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(head=st.sampled_from([b"", b"\0\0\0\x20ftypisom", b"\x1aE\xdf\xa3", b"RIFF", b"\x47", b"FLV\x01", b"#EXTM3U\n"]),
       data=st.binary(max_size=300))
def test_arbitrary_bytes_are_a_video_error_or_a_video(tmp_path, head, data):
    (tmp_path / "bytes.mp4").write_bytes(head + data)
    try:
        assert probe(tmp_path / "bytes.mp4").num_frames > 0
    except VideoError as error:
        assert "\n" not in error.why


def test_probe_gives_signs_while_it_reads(small, tmp_path, monkeypatch):
    monkeypatch.setattr(losa.video.probe.Signs, "EVERY_S", 0.0)
    path, signs = tmp_path / "film.mp4", []
    path.write_bytes((small / "small.mp4").read_bytes())
    assert probe(path, lambda: signs.append(1)).num_frames == 12 and len(signs) >= 12
    monkeypatch.setattr(losa.video.probe.Signs, "EVERY_S", 3600.0)
    os.utime(path, ns=(0, 0))
    del signs[:]
    assert probe(path, lambda: signs.append(1)).num_frames == 12 and len(signs) <= 1
