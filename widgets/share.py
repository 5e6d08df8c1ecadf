"""Widgets outside of a live notebook: how a video gets to the browser, and offline pages of widgets."""

import json
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jupyter_core.paths import jupyter_runtime_dir

from widgets import html

PLAYED = {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".ogv", ".3gp"}  # containers that browsers open
CODECS = {"h264", "vp8", "vp9", "av1", "theora"}  # codecs whose pictures they show
POSTERS = 12  # frames that stand for a video that cannot be shown
BODY = """body { margin: 0 auto; padding: 12px; max-width: 1180px; background: #fff; color: #1d2129; font: 15px
  system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.3rem; overflow-wrap: anywhere; } main > div { margin-bottom: 12px; }
@media (prefers-color-scheme: dark) { body { background: #0f1115; color: #e8eaee; } }"""


def make_source(kind: str, message: str, path: str = "") -> dict[str, str]:
    """Return a value of the trait `source`, see `video_source`."""
    return {"kind": kind, "path": path, "message": message}


def video_source(path: str | Path | None, max_mb: float = 50) -> tuple[dict[str, str], bytes]:
    """Return how a notebook's browser gets this video, as the trait `source`, and the file's bytes if it takes those.

    kind "files": the Jupyter server sends it, from baseUrl + "files/" + `path`. kind "bytes": it travels in the trait
    video_bytes, up to `max_mb` megabytes. kind "none": it cannot be shown, and `message` says why and what to do.
    (kind "link", on offline pages only: from the address `path`.) With "files", "bytes" and "link", `message` is shown
    by a browser that cannot play the video.
    """
    if path is None or not (path := Path(path)).is_file():
        return make_source("none", "" if path is None else f"There is no video at {path}: was it moved?"), b""
    if not path.stat().st_size:  # no browser can tell it from a strange format
        return make_source("none", f"{path.name} is empty (0 bytes): was it copied in full?"), b""
    strange, size_mb = unplayable(path), path.stat().st_size / 1e6
    message = (f"{path.name} {strange or 'cannot be played by this browser'}. "
               f"Make a copy that it plays: {copy_command(path)}")
    if strange:
        return make_source("none", message), b""
    if (below := _below_root(path)) is not None:
        return make_source("files", message, quote(below.as_posix())), b""
    if size_mb <= max_mb:
        return make_source("bytes", message), path.read_bytes()
    return make_source("none", f"{path.name} ({size_mb:.0f} MB) is larger than {max_mb:g} MB and not below the folder "
                       "that Jupyter was started in: start Jupyter there, or make a smaller copy: "
                       f"{copy_command(path)}"), b""


def page(path: str | Path, *views: Any, title: str = "", max_video_mb: float = 10) -> Path:
    """Write one HTML file with these widgets (see `View.to_html`) and return its path; linked ones stay linked."""
    path, content = Path(path), page_text(views, title=title, max_video_mb=max_video_mb)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(content, encoding="utf-8")
    return temporary.replace(path)


def page_text(views: Sequence[Any], *, title: str = "", max_video_mb: float = 10, live: bool = False) -> str:
    """Return the text of that file. live: show what needs Python, too (for tests, which answer in its place)."""
    places = html.element("main", *(html.widget_place(i, still=view.still()) for i, view in enumerate(views)))
    body = html.Html((html.element("h1", title) if title else "") + places)
    return html.page_text(
        title or "LoSA", body, styles=[BODY, *(view.style for view in views)],
        widgets=[(view.script, offline_state(view, max_video_mb) | {"live": live}) for view in views])


def static(views: Sequence[Any], *, title: str = "", max_video_mb: float = 10) -> Any:
    """Return the same page as the output of a cell, which keeps working in a notebook's HTML."""
    from IPython.display import HTML

    content = page_text(views, title=title, max_video_mb=max_video_mb)  # it sets the height of the frame itself
    return HTML(html.element("div", html.element("iframe", title=title or "LoSA", srcdoc=content,
                                                 style="width: 100%; height: 600px; border: 0")))


def offline_state(view: Any, max_video_mb: float) -> dict[str, Any]:
    """Return the widget's traits with its video as bytes, or a strip of frames if it is too large or not playable."""
    state, path = view.page_state(), getattr(view, "video", None)
    if "source" not in state:
        return state
    kind, video, poster = "none", b"", []
    message = "The video is not part of this page."
    if path is None or Path(path).is_file():
        if path is not None and Path(path).stat().st_size <= max_video_mb * 1e6 and not unplayable(Path(path)):
            kind, video, message = "bytes", Path(path).read_bytes(), "This browser cannot play the video of this page."
        else:
            poster = strip(view)
    return state | {"source": make_source(kind, message), "video_bytes": video, "poster": poster}


def strip(view: Any) -> list[dict]:
    """Return evenly spaced frames of the widget's video for its trait `poster`; none if it has no `frames`."""
    times = [round((i + 0.5) * view.duration / POSTERS, 3) for i in range(POSTERS)] if view.frames else []
    pictures = view.frames(times) if times else ()
    return [{"time": t, "jpeg": bytes(jpeg)} for t, jpeg in zip(times, pictures, strict=False)]


def copy_command(path: Path) -> str:
    """Return the command that makes a copy of the video that browsers play."""
    return f"losa data playable {shlex.quote(str(path))} {shlex.quote(path.stem + '_playable.mp4')}"


def unplayable(path: Path) -> str:
    """Return why no browser plays this file, as the end of a sentence; empty where one may."""
    if path.suffix.lower() not in PLAYED:
        return f"is of a kind ({path.suffix or 'no ending'}) that browsers do not play"
    try:
        import av

        safe = {"protocol_whitelist": "file", "format_whitelist": "mov,matroska,ogg"}  # no playlist reaches out
        with av.open(str(path.absolute()), options=safe) as container:
            codec = container.streams.video[0].codec_context.codec.canonical_name
    except Exception:  # no decoder here, or a file that is none: the browser will tell
        return ""
    return "" if codec in CODECS else f"has pictures ({codec}) that browsers do not show"


def _below_root(path: Path) -> Path | None:
    """Return the path below the root of the Jupyter server of this kernel; None without one, or if it is elsewhere."""
    try:
        info = Path(jupyter_runtime_dir(), f"jpserver-{int(os.environ['JPY_PARENT_PID'])}.json")
        root = json.loads(info.read_text(encoding="utf8"))["root_dir"]
    except (LookupError, TypeError, ValueError, OSError):
        return None
    for full in (os.path.abspath, os.path.realpath):
        if (given := Path(full(path))).is_relative_to(top := Path(full(os.path.expanduser(root)))):
            below = given.relative_to(top)
            return None if any(part.startswith(".") for part in below.parts) else below  # it sends no hidden files
    return None
