"""Widgets outside of a live notebook: how a video gets to the browser, one offline file of widgets, a picture of it."""

import base64
import hashlib
import html
import json
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jupyter_core.paths import jupyter_runtime_dir

PLAYED = {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".ogv", ".3gp"}  # containers that browsers open
CODECS, POSTERS = {"h264", "vp8", "vp9", "av1", "theora"}, 12  # what they show of them; frames where they show none
BODY = """body { margin: 0 auto; padding: 12px; max-width: 1180px; background: #fff; color: #1d2129; font: 15px
  system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.3rem; overflow-wrap: anywhere; } main > div { margin-bottom: 12px; }
@media (prefers-color-scheme: dark) { body { background: #0f1115; color: #e8eaee; } }"""


def _source(kind: str, message: str, path: str = "") -> dict[str, str]:
    return {"kind": kind, "path": path, "message": message}


def video_source(path: str | Path | None, max_mb: float = 50) -> tuple[dict[str, str], bytes]:
    """How a notebook's browser gets this video, as the trait `source`, and the file's bytes where it takes those.

    kind "files": the Jupyter server sends it, from baseUrl + "files/" + `path`; "bytes": elsewhere, `max_mb` megabytes
    at most; "none": `message` says why and what to do, which of the others is for a browser that cannot play it.
    """
    if path is None or not (path := Path(path)).is_file():
        return _source("none", "" if path is None else f"There is no video at {path}: was it moved?"), b""
    copy = f"losa data playable {shlex.quote(str(path))} {shlex.quote(path.stem + '_playable.mp4')}"
    strange, size_mb = _strange(path), path.stat().st_size / 1e6
    message = f"{path.name} {strange or 'cannot be played by this browser'}. Make a copy that it plays: {copy}"
    if strange:
        return _source("none", message), b""
    if (below := _below_root(path)) is not None:
        return _source("files", message, quote(below.as_posix())), b""
    if size_mb <= max_mb:
        return _source("bytes", message), path.read_bytes()
    return _source("none", f"{path.name} ({size_mb:.0f} MB) is larger than {max_mb:g} MB and not below the folder that "
                   f"Jupyter was started in: start Jupyter there, or make a smaller copy: {copy}"), b""


def page(path: str | Path, *views: Any, title: str = "", max_video_mb: float = 10) -> Path:
    """The path of one HTML file with these widgets, see `View.to_html`; linked ones stay linked."""
    path, text = Path(path), page_text(views, title=title, max_video_mb=max_video_mb)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    return temporary.replace(path)


def page_text(views: Sequence[Any], *, title: str = "", max_video_mb: float = 10, live: bool = False) -> str:
    """The text of that file. live: draw what needs Python, too (for tests, which answer in its place)."""
    scripts, states = {}, []
    for view in views:
        script, _, rest = view._esm.rpartition("export default")
        scripts.setdefault(view._esm, f"{script}(globalThis.losaParts ??= {{}})[{len(scripts)}] ={rest}")
        states.append({"part": list(scripts).index(view._esm),
                       "state": offline_state(view, max_video_mb) | {"live": live}})
    code = [*scripts.values(), Path(__file__).with_suffix(".js").read_text(encoding="utf8")]
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in code]
    policy = ("default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'unsafe-inline'; "
              "img-src data: blob:; media-src data: blob:; script-src " + " ".join(f"'sha256-{h}'" for h in hashes))
    data = json.dumps(states, default=lambda value: {"$bytes": base64.b64encode(value).decode()}, allow_nan=False)
    data = data.replace("<", "\\u003c")  # no label ends the script
    return "\n".join([
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy)}">',
        f'<title>{html.escape(title or "LoSA")}</title>',
        *(f"<style>{css}</style>" for css in {BODY: 0} | {getattr(v, "_css", ""): 0 for v in views}),
        '</head>\n<body class="losa-page">', f"<h1>{html.escape(title)}</h1>" if title else "", "<main></main>",
        f'<script type="application/json" id="losa-states">{data}</script>',
        *(f'<script type="module">{text}</script>' for text in code), "</body>\n</html>\n"])


def static(views: Sequence[Any], *, title: str = "", max_video_mb: float = 10) -> Any:
    """The same page as the output of a cell, which stays alive in a notebook's HTML."""
    from IPython.display import HTML

    text = html.escape(page_text(views, title=title, max_video_mb=max_video_mb))
    return HTML(f'<div><iframe title="{html.escape(title or "LoSA")}" srcdoc="{text}" style="width: 100%; '
                'height: 600px; border: 0"></iframe></div>')  # the page inside sets its height


def offline_state(view: Any, max_video_mb: float) -> dict[str, Any]:
    """The widget's traits with its video as bytes, or as a strip of frames where it is too large or not playable."""
    state, path = view.page_state(), getattr(view, "video", None)
    if "source" not in state:
        return state
    kind, video, poster = "none", b"", []
    message = "The video is not part of this page."
    if path is None or Path(path).is_file():
        if path is not None and Path(path).stat().st_size <= max_video_mb * 1e6 and not _strange(Path(path)):
            kind, video, message = "bytes", Path(path).read_bytes(), "This browser cannot play the video of this page."
        else:
            poster = strip(view)
    return state | {"source": _source(kind, message), "video_bytes": video, "poster": poster}


def strip(view: Any) -> list[dict]:
    """Evenly spaced frames of the widget's video, as its trait `poster` has them; none where it has no `frames`."""
    times = [round((i + 0.5) * view.duration / POSTERS, 3) for i in range(POSTERS)] if view.frames else []
    pictures = view.frames(times) if times else ()
    return [{"time": t, "jpeg": bytes(jpeg)} for t, jpeg in zip(times, pictures, strict=False)]


def _strange(path: Path) -> str:
    """Why no browser plays this file, as the end of a sentence; empty where one may."""
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
    """The path below the root of the Jupyter server that started this kernel; None without one, or elsewhere."""
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
