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

HERE = Path(__file__).parent
PLAYED = {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".ogv", ".3gp"}  # containers that browsers open
CODECS = {"h264", "vp8", "vp9", "av1", "theora"}  # and what they show of them
POSTERS = 12  # frames of a video that is not shown
BODY = """body { margin: 0 auto; padding: 12px; max-width: 1180px; background: #ffffff; color: #1d2129;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.3rem; overflow-wrap: anywhere; } main > div { margin-bottom: 12px; }
@media (prefers-color-scheme: dark) { body { background: #0f1115; color: #e8eaee; } }"""


def video_source(path: str | Path | None, max_mb: float = 50) -> tuple[dict[str, str], bytes]:
    """How a notebook's browser gets this video, as the trait `source`, and the file's bytes where it takes those.

    kind: "files": the Jupyter server sends it, at `path` below its root (quoted, to be put behind baseUrl + "files/");
    "bytes": a file of at most `max_mb` megabytes from elsewhere; "none": neither, `message` says why and what to do.
    message: of the others, what to tell where the browser turns out not to play it.
    """
    if path is None:
        return {"kind": "none", "path": "", "message": ""}, b""
    path = Path(path)
    if not path.is_file():
        return {"kind": "none", "path": "", "message": f"There is no video at {path}: was it moved?"}, b""
    copy = f"losa playable {shlex.quote(str(path))} {shlex.quote(path.stem + '_playable.mp4')}"
    strange = _strange(path)
    message = f"{path.name}{strange or ' cannot be played by this browser'}. Make a copy that it plays: {copy}"
    below = None if strange else _below_root(path)
    if below is not None:
        return {"kind": "files", "path": quote(below.as_posix()), "message": message}, b""
    if not strange and path.stat().st_size <= max_mb * 1e6:
        return {"kind": "bytes", "path": "", "message": message}, path.read_bytes()
    if not strange:
        message = (f"{path.name} ({path.stat().st_size / 1e6:.0f} MB) is larger than {max_mb:g} MB and not below the "
                   f"folder that Jupyter was started in: start Jupyter there, or make a smaller copy: {copy}")
    return {"kind": "none", "path": "", "message": message}, b""


def page(path: str | Path, *views: Any, title: str = "", max_video_mb: float = 10) -> Path:
    """The path of one HTML file with these widgets, which needs neither kernel nor network nor any other file.

    Linked widgets stay linked. A video of more than `max_video_mb` megabytes becomes a strip of its frames.
    """
    path = Path(path)
    text = page_text(views, title=title, max_video_mb=max_video_mb)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def page_text(views: Sequence[Any], *, title: str = "", max_video_mb: float = 10, live: bool = False) -> str:
    """The text of that file. live: draw what needs Python, too (for tests, which answer in its place)."""
    scripts, styles, states = {}, {}, []
    for view in views:
        script, end, rest = view._esm.rpartition("export default")
        if not end:
            raise ValueError(f"the ES module of {type(view).__name__} has no `export default`; it cannot be shared")
        number = len(scripts)
        scripts.setdefault(view._esm, f"{script}(globalThis.losaParts ??= {{}})[{number}] ={rest}")
        styles[getattr(view, "_css", "")] = None
        states.append({"part": list(scripts).index(view._esm),
                       "state": offline_state(view, max_video_mb) | {"live": live}})
    code = [*scripts.values(), (HERE / "share.js").read_text(encoding="utf8")]
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in code]
    policy = ("default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'unsafe-inline'; "
              "img-src data: blob:; media-src data: blob:; script-src " + " ".join(f"'sha256-{h}'" for h in hashes))
    data = json.dumps(states, default=_bytes, allow_nan=False).replace("<", "\\u003c")
    head = f"<h1>{html.escape(title)}</h1>\n" if title else ""
    return "\n".join([
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy)}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{html.escape(title or 'LoSA')}</title>",
        *(f"<style>{text}</style>" for text in [BODY, *styles]),
        f'</head>\n<body class="losa-page">\n{head}<main></main>',
        f'<script type="application/json" id="losa-states">{data}</script>',
        *(f'<script type="module">{text}</script>' for text in code), "</body>\n</html>\n"])


def static(views: Sequence[Any], *, title: str = "", max_video_mb: float = 10, height: int = 600) -> Any:
    """The same page as the output of a cell, which stays alive in a notebook's HTML. height: until it knows its own."""
    from IPython.display import HTML

    text = html.escape(page_text(views, title=title, max_video_mb=max_video_mb))
    return HTML(f'<div><iframe title="{html.escape(title or "LoSA")}" srcdoc="{text}" '
                f'style="width: 100%; height: {height:d}px; border: 0"></iframe></div>')


def offline_state(view: Any, max_video_mb: float) -> dict[str, Any]:
    """The widget's traits with its video as bytes, or as a strip of frames where it is too large or cannot be played.

    Of a widget with the trait `source`: attributes `video` (path or None) and `frames` (times in seconds -> JPEGs).
    """
    state = view.page_state()
    if "source" not in state:
        return state
    path, frames = getattr(view, "video", None), getattr(view, "frames", None)
    path = Path(path) if path is not None and Path(path).is_file() else None
    if path and not _strange(path) and path.stat().st_size <= max_video_mb * 1e6:
        told = {"kind": "bytes", "path": "", "message": "This browser cannot play the video in this page."}
        return state | {"source": told, "video_bytes": path.read_bytes(), "poster": []}
    times = [round((i + 0.5) * view.duration / POSTERS, 3) for i in range(POSTERS)]
    pictures = list(frames(times)) if frames and path else []
    told = f"The video is not part of this page{f' (over {max_video_mb:g} MB)' if path else ''}."
    poster = [{"time": time, "jpeg": picture} for time, picture in zip(times, pictures, strict=bool(pictures))]
    return state | {"source": {"kind": "none", "path": "", "message": told}, "video_bytes": b"", "poster": poster}


def _bytes(value: object) -> dict[str, str]:
    return {"$bytes": base64.b64encode(value).decode()}


def _strange(path: Path) -> str:
    """Why no browser plays this file, as the end of a sentence; empty where one may."""
    if path.suffix.lower() not in PLAYED:
        return f" is of a kind ({path.suffix or 'no ending'}) that browsers do not play"
    try:
        import av

        with av.open(str(path.absolute())) as container:
            codec = container.streams.video[0].codec_context.name
    except Exception:  # no decoder here, or a file that is none: the browser says it
        return ""
    known = any(codec.startswith(name) or codec.endswith(name) for name in CODECS)  # libdav1d, libvpx-vp9
    return "" if known or "dav1d" in codec else f" has pictures ({codec}) that browsers do not show"


def _below_root(path: Path) -> Path | None:
    """The path below the root of the Jupyter server that this kernel belongs to; None without one, or elsewhere."""
    try:
        from jupyter_core.paths import jupyter_runtime_dir

        info = Path(jupyter_runtime_dir(), f"jpserver-{int(os.environ['JPY_PARENT_PID'])}.json")
        root = Path(json.loads(info.read_text(encoding="utf8"))["root_dir"]).expanduser()
    except (ImportError, KeyError, ValueError, OSError):
        return None
    for given, top in ((Path(os.path.abspath(path)), Path(os.path.abspath(root))), (path.resolve(), root.resolve())):
        if given.is_relative_to(top):
            below = given.relative_to(top)
            return None if any(part.startswith(".") for part in below.parts) else below  # hidden: it sends none
    return None
