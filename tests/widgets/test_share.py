"""How a video gets to the browser, and what an offline page of widgets is made of."""

import json
import os
import re
import shlex

import pytest
import traitlets

from helpers.page_data import page_states
from helpers.video_files import X265, write_video
from widgets import share
from widgets.base import View, link, parts


class Labelled(View):
    """A widget with a text and numbers."""

    _esm = parts("", "js") + "\nexport default { render() {} };\n"
    _css = ".losa.labelled { color: red; }"
    label = traitlets.Unicode().tag(sync=True)
    data = traitlets.Bytes(b"\x00\xff").tag(sync=True)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("videos") / "a b.mp4", num_frames=10)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A folder that a Jupyter server, this process' parent, has as its root."""
    root, runtime = tmp_path / "root", tmp_path / "runtime"
    (root / "my videos").mkdir(parents=True)
    runtime.mkdir()
    (runtime / "jpserver-77.json").write_text(json.dumps({"root_dir": str(root), "pid": 77}))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(runtime))
    monkeypatch.setenv("JPY_PARENT_PID", "77")
    return root


def test_a_video_below_the_servers_root_is_sent_by_the_server(server, video, monkeypatch):
    inside = server / "my videos" / "ü #1?.mp4"
    inside.write_bytes(video.read_bytes())
    source, data = share.video_source(inside)
    assert source["kind"] == "files" and source["path"] == "my%20videos/%C3%BC%20%231%3F.mp4" and data == b""
    monkeypatch.chdir(server)
    assert share.video_source("my videos/ü #1?.mp4")[0] == source | {"message": share.video_source(
        "my videos/ü #1?.mp4")[0]["message"]}
    linked = server / "linked.mp4"
    linked.symlink_to(video)
    assert share.video_source(linked)[0]["path"] == "linked.mp4"


def test_hidden_and_foreign_videos_travel_as_bytes_up_to_a_limit(server, video):
    hidden = server / ".cache" / "clip.mp4"
    hidden.parent.mkdir()
    hidden.write_bytes(video.read_bytes())
    for path in (hidden, video):
        source, data = share.video_source(path)
        assert source["kind"] == "bytes" and data == video.read_bytes() and "losa data playable" in source["message"]
    source, data = share.video_source(video, max_mb=0.001)
    assert source["kind"] == "none" and data == b"" and "larger than 0.001 MB" in source["message"]


def test_without_a_server_or_with_a_strange_one_it_is_bytes(video, monkeypatch, tmp_path):
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    for pid in (None, "1", "../x", ""):
        monkeypatch.delenv("JPY_PARENT_PID", raising=False)
        if pid is not None:
            monkeypatch.setenv("JPY_PARENT_PID", pid)
        assert share.video_source(video)[0]["kind"] == "bytes"
    (tmp_path / "jpserver-5.json").write_text("[]")
    monkeypatch.setenv("JPY_PARENT_PID", "5")
    assert share.video_source(video)[0]["kind"] == "bytes"


def test_what_no_browser_shows_says_which_command_helps(video, tmp_path):
    avi = tmp_path / "it's.avi"
    avi.write_bytes(video.read_bytes())
    hevc = write_video(tmp_path / "new.mp4", num_frames=10, codec="libx265", options=X265)
    for path, why in ((avi, "of a kind (.avi)"), (hevc, "pictures (hevc)")):
        source, data = share.video_source(path)
        assert source["kind"] == "none" and why in source["message"] and data == b""
        words = shlex.split(source["message"].partition("Make a copy that it plays: ")[2])
        assert words == ["losa", "data", "playable", str(path), path.stem + "_playable.mp4"]
    webm = write_video(tmp_path / "new.webm", num_frames=10, codec="libvpx-vp9", options={"cpu-used": "8"})
    assert share.video_source(webm)[0]["kind"] == "bytes"
    assert share.video_source(None) == ({"kind": "none", "path": "", "message": ""}, b"")
    assert "no video at" in share.video_source(tmp_path / "gone.mp4")[0]["message"]


def test_a_page_is_strict_and_nothing_in_it_can_end_a_script(tmp_path):
    label = '</script><img src=x onerror=alert(1)><!--'
    first, second = Labelled(label=label), Labelled(label="b")
    link(first, second)
    path = first.to_html(tmp_path / "new" / "page.html", second, title=label)
    text = path.read_text()
    assert text.count("<script") == text.count("</script>") == 3 and "<img" not in text  # states, one part, the page
    one, two = page_states(text)
    assert [one["label"], two["label"]] == [label, "b"] and text.count('"part":0') == 2
    assert one["group"] == two["group"] and one["live"] is False
    assert one["data"] == {"$bytes": "AP8="} and not [k for k in one if k[0] == "_"]
    assert "default-src &#x27;none&#x27;" in text and "unsafe-eval" not in text and not re.search("https?://", text)
    assert os.listdir(tmp_path / "new") == ["page.html"]


def test_static_is_the_page_as_an_attribute():
    out = Labelled(label='"><script>').static().data
    assert out.count("<script") == 0 and out.count("<iframe") == 1 and "srcdoc=" in out
