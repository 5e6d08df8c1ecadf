"""The one writer of offline HTML: a page is one file that asks the network for nothing.

Everything that is not `Html` is text and escaped. The page's policy allows no request and only our script, so
even markup that slipped through could neither load nor run anything. The page of one's own videos may play files
that lie beside it, no more.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from losa.files import write_text
from widgets.figures import ink_on, match_greedily, opacity, score_of, stack_rows

ASSETS = Path(__file__).parent
VIDEO_TYPES = {".mp4": "video/mp4", ".m4v": "video/mp4", ".webm": "video/webm"}


LEAST_SCORE, MOST_SEGMENTS, MOST_ROWS = 0.05, 60, 4  # of a track's predictions that a page carries
LONG = 120  # seconds from which times are told in hours, minutes and seconds
STEPS = tuple(round(0.05 * i, 2) for i in range(1, 20))  # positions of the slider


Number = int | float


class Html(str):
    """Text that is markup already and is not escaped again."""


def text(value: object) -> Html:
    """The value as markup: `Html` as it is, anything else escaped."""
    return value if isinstance(value, Html) else Html(escape(str(value)))


def element(name: str, *children: object, **attributes: object) -> Html:
    """`<name attributes>children</name>`, escaped; `class_` and `data_x` give class and data-x, None no attribute."""
    given = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
                    for key, value in attributes.items() if value is not None)
    return Html(f"<{name}{given}>{''.join(map(text, children))}</{name}>")


def write_page(path: str | Path, *, title: str, lede: str, sections: Sequence[tuple[str, Html]],
               linked: bool = False) -> Path:
    """The path of one self-contained HTML file: title, opening sentence, (heading, content) sections. Atomic.

    linked: it may play video files that lie where it lies, on the same disk or server.
    """
    path, script = Path(path), (ASSETS / "page.js").read_text(encoding="utf8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    media = "data: 'self' file:" if linked else "data:"
    policy = (f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; media-src {media}; "
              "img-src data:")
    body = "".join(element("section", element("h2", heading), content) for heading, content in sections)
    page = "\n".join([
        '<!doctype html>', '<html lang="en">', '<head>', '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">', '<link rel="icon" href="data:,">',
        element("title", title), f"<style>{(ASSETS / 'page.css').read_text(encoding='utf8')}</style>", "</head>",
        "<body>", element("header", element("h1", title), element("p", lede)), f"<main>{body}</main>",
        f"<script>{script}</script>", "</body>", "</html>"])
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_text(path, page + "\n")


def controls(min_score: Number, tiou: Number | None, colours: Mapping[str, str]) -> Html:
    """Slider and legend that belong to all timelines; without `tiou` nothing is right or wrong."""
    slider = Html(f'<input id="min-score" type="range" min="{STEPS[0]}" max="{STEPS[-1]}" step="0.05" '
                  f'value="{min_score}">')
    label = element("label", "Show predictions with a score of at least", slider,
                    element("output", f"{min_score:.2f}", id="min-score-shown", for_="min-score"))
    key = lambda name, kind="", style=None: element(  # noqa: E731
        "span", element("span", class_=f"swatch {kind}".strip(), style=style), name, class_="key")
    judged = [] if tiou is None else [key(f"right (tIoU at least {tiou:g})"), key("wrong", "wrong")]
    meaning = [*judged, key("fainter: lower score", "faint")]
    of_classes = [key(label, style=f"--c:{colour}") for label, colour in colours.items()]
    return Html(
        element("p", "Click a segment to watch it. Keys, with the timeline in focus: Space plays and pauses, ← → move "
                "1 s (with Shift 5 s), n and p walk through the segments, ↑ ↓ change the lane, Enter plays a segment.",
                class_="soft")
        + element("div", label, element("div", *meaning, class_="keys"), element("div", *of_classes, class_="keys"),
                  class_="controls"))


def video_panel(video: Mapping, colours: Mapping[str, str], tiou: Number, max_video_mb: Number) -> Html:
    """One video with its lanes; the first track is the ground truth of the others."""
    truth_name, truth = next(iter(video["tracks"].items()))
    lanes = [lane(name, records, truth if name != truth_name else None, float(video["duration"]), colours, tiou)
             for name, records in video["tracks"].items()]
    return panel(video, lanes, embedded(video, max_video_mb))


def panel(video: Mapping, lanes: Sequence[Html], player: Html, class_: str = "video", id: str | None = None) -> Html:
    """A video's name, player and lanes with the axis of time under them."""
    duration = float(video["duration"])
    most = 12 if duration < LONG else 7
    step = next((s for s in (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200) if duration / s <= most), 1800)
    moments = [step * i for i in range(int(duration / step) + 1)]
    while len(moments) > most + 1:
        moments = moments[::2]
    ticks = [element("span", clock(t, duration) if t else "0 s", style=f"left:{100 * t / duration:.3f}%",
                     class_="last" if t / duration > 0.97 else None) for t in moments]
    timeline = element("div", *lanes, element("div", *ticks, class_="axis", aria_hidden="true"),
                       element("div", class_="head", aria_hidden="true"), class_="lanes", tabindex="0", role="group",
                       aria_label=f"Timeline of {video['id']}, {clock(duration, duration)} "
                                  f"{'seconds' if duration < LONG else 'long'}")
    readout = element("p", "Point at a segment to read it.", class_="readout", aria_live="polite")
    return element("article", element("h3", video["id"]), player, element("div", timeline, readout), id=id,
                   class_=class_, data_duration=duration)


def lane(name: str, records: Sequence[Mapping], truth: Sequence[Mapping] | None, duration: Number,
         colours: Mapping[str, str], tiou: Number) -> Html:
    """One track; with `truth` its segments are right or wrong, filtered by score, and at most MOST_SEGMENTS."""
    shown = sorted(records, key=lambda r: -score_of(r))
    if truth is not None:
        shown = [r for r in shown if score_of(r) >= LEAST_SCORE][:MOST_SEGMENTS]
    found = [True] * len(shown) if truth is None else [j is not None for j in match_greedily(truth, shown, tiou)]
    said = None if truth is None else [f", score {score_of(r):.2f}, {'right' if right else 'wrong'}"
                                       for r, right in zip(shown, found, strict=True)]
    return track(name, f"{len(records)} segments" if truth is None else "", shown, found, said, duration, colours,
                 data_truth=None if truth is None else len(truth))


def track(name: str, note: str, shown: Sequence[Mapping], right: Sequence[bool], said: Sequence[str] | None,
          duration: Number, colours: Mapping[str, str], most_rows: int = MOST_ROWS, **data: object) -> Html:
    """A named row of segments, best first as given; `said` is told of each beside label and times."""
    rows = [min(row, most_rows - 1) for row in stack_rows(shown)]
    order = sorted(range(len(shown)), key=lambda i: shown[i]["segment"][0])
    drawn = []
    for i in order:
        (start, end), score, colour = shown[i]["segment"], score_of(shown[i]), colours[shown[i]["label"]]
        tell = (f"{shown[i]['label']}, {clock(start, duration, 1)} to {clock(end, duration, 1)}"
                f"{' s' if duration < LONG else ''}{said[i] if said else ''}")
        style = (f"left:{100 * start / duration:.3f}%;width:{100 * (end - start) / duration:.3f}%;--c:{colour};"
                 f"--on:{ink_on(colour)};--o:{opacity(score):.2f};--row:{rows[i]}")
        drawn.append(element("span", element("span", shown[i]["label"], class_="name"),
                             class_="seg" if right[i] else "seg wrong", style=style, role="button", tabindex="-1",
                             title=tell, aria_label=f"{name}: {tell}", data_start=start,
                             data_score=f"{score:.4f}", data_row=rows[i]))
    return element("div", element("div", name, element("small", note), class_="lane-name"),
                   element("div", *drawn, class_="track", style=f"--rows:{max(rows, default=0) + 1}", **data),
                   class_="lane")


def embedded(video: Mapping, max_video_mb: Number) -> Html:
    """The video's player with the file inside, or a box that says why it is not."""
    path = Path(video["path"])
    problem = None
    if not path.is_file():
        problem = f"{path} is not there"
    elif path.suffix.lower() not in VIDEO_TYPES:
        problem = f"{path} is not in a format that browsers play; convert it to H.264 mp4"
    elif path.stat().st_size > max_video_mb * 1e6:
        problem = f"{path} has {path.stat().st_size / 1e6:.1f} MB, more than the {max_video_mb:g} MB embedded here"
    if problem:
        return element("div", problem, class_="missing")
    return player(video["id"], data_address(path))


def data_address(path: Path) -> str:
    return f"data:{VIDEO_TYPES[path.suffix.lower()]};base64,{base64.b64encode(path.read_bytes()).decode()}"


def player(name: str, source: str, preload: str = "auto") -> Html:
    video = element("video", src=source, muted="", playsinline="", preload=preload, tabindex="-1",
                    aria_label=f"Video {name}")
    button = element("button", "Play", class_="play", type="button", aria_label=f"Play or pause {name}")
    return element("div", video, element("div", button, element("span", "0.0 s", class_="clock"), class_="player"))


def percent(value: Number) -> str:
    return f"{100 * value:.1f}"


def minutes(seconds: Number) -> str:
    """"48 s" or "3.2 min"."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def clock(seconds: Number, duration: Number, digits: int = 0) -> str:
    """"47.3" in a short video; "2:05.0" or "1:02:05.0" in one of LONG seconds or more."""
    if duration < LONG:
        return f"{seconds:.{digits}f}" if digits else f"{seconds:g}" if seconds == int(seconds) else f"{seconds:.0f}"
    units = round(seconds * 10 ** digits)
    whole, rest = divmod(units, 10 ** digits)
    head = f"{whole // 3600}:{whole // 60 % 60:02d}" if duration >= 3600 else f"{whole // 60}"
    return f"{head}:{whole % 60:02d}" + (f".{rest:0{digits}d}" if digits else "")
