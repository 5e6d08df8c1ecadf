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
from losa.motions import UNSEEN
from widgets.figures import class_colours, ink_on, match_greedily, opacity, run_colours, score_of, stack_rows

ASSETS = Path(__file__).parent
VIDEO_TYPES = {".mp4": "video/mp4", ".m4v": "video/mp4", ".webm": "video/webm"}
NAMES = {"head_only": "head only", "losa": "LoSA"}
LEAST_SCORE, MOST_SEGMENTS, MOST_ROWS = 0.05, 60, 4  # of a track's predictions that a page carries
LONG = 120  # seconds from which times are told in hours, minutes and seconds
STEPS = tuple(round(0.05 * i, 2) for i in range(1, 20))  # positions of the slider
NEXT_STEPS = (
    ("source .venv/bin/activate", "once per terminal, if make demo brought you here"),
    ("jupyter lab notebooks/02_train.ipynb", "train a variant: every setting is one line of its parameters cell"),
    ("losa train runs/short -s ranges=short", "the same from the command line, here with short-range adapters only"),
    ("losa prepare mydata --videos FOLDER --annotations LABELS.csv", "the first step with your own videos and labels"),
)


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


def demo_page(path: str | Path, result: Mapping, videos: Sequence[Mapping], *, classes: Sequence[str] = (),
              tiou: Number = 0.5, min_score: Number = 0.25, max_video_mb: Number = 10,
              next_steps: Sequence[tuple[str, str]] = NEXT_STEPS) -> Path:
    """The path of the demo's page: what was done, the table, truth against both predictions, what to do next.

    `result` is the demo's result.json; `videos` are dicts with id, path, duration (s) and tracks {name: records},
    ground truth first. `classes` fixes the colours. A video file above `max_video_mb` is named, not embedded.
    """
    labels = {r["label"] for v in videos for records in v["tracks"].values() for r in records}
    known = list(classes) or sorted(result["losa"]["per_class"])
    colours = class_colours([*known, *sorted(labels - set(known))])
    number = result.get("num_videos", {})
    gain = 100 * (result["losa"]["average_map"] - result["head_only"]["average_map"])
    lede = (f"Average mAP {percent(result['head_only']['average_map'])} with the head alone, "
            f"{percent(result['losa']['average_map'])} with LoSA ({gain:+.1f} points): one run, seed {result['seed']}, "
            f"{number.get('test', '?')} test videos. One seed is an example, not evidence.")
    timelines = [controls(min_score, tiou, {c: colours[c] for c in colours if c in labels})]
    timelines += [video_panel(v, colours, tiou, max_video_mb) for v in videos]
    steps = [element("li", element("code", command), " ", why) for command, why in next_steps]
    return write_page(path, title="LoSA: finding actions in untrimmed video", lede=lede, sections=[
        ("What was done", Html(what_was_done(result) + diagram())),
        ("What came out", Html(result_table(result) + per_class_table(result, known))),
        (f"See it: {len(videos)} test videos", Html("".join(timelines))),
        ("What to do next", element("ol", *steps, class_="next")),
    ])


def what_was_done(result: Mapping) -> Html:
    """Three sentences."""
    number, seconds = result.get("num_videos", {}), result.get("seconds", {})
    preset = {"gap": f" that has never seen {len(UNSEEN)} of the motions", "covered": " that has seen all the motions"}
    return element("p", (
        f"A small video transformer{preset.get(result.get('preset'), '')} watched {number.get('train', '?')} training "
        f"videos once and was never changed. Two models then learnt from what it saw to say which action happens from "
        f"when to when: a detection head on its last layer alone, and the same head with LoSA, small adapters of short "
        f"and long temporal range on its intermediate layers. Both were tested on {number.get('test', '?')} videos "
        f"that they were not trained on; everything together took {minutes(sum(seconds.values()))}."))


def diagram() -> Html:
    """The method as a drawing: only what is filled learns."""
    boxes, lines = [], []
    def box(x, y, width, height, kind, *rows):  # noqa: E306
        boxes.append(f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="6"/>')
        for i, row in enumerate(rows):
            at = y + height / 2 + 5 + (i - (len(rows) - 1) / 2) * 17
            boxes.append(f'<text x="{x + width / 2}" y="{at}"{" class=small" if i else ""}>{escape(row)}</text>')
    def line(points, arrow=True):  # noqa: E306
        end = ' marker-end="url(#tip)"' if arrow else ""
        lines.append(f'<path class="flow" d="M{points}"{end}/>')
    box(4, 30, 104, 54, "frozen", "video", "16-frame clips")
    for i in range(4):
        box(150 + 76 * i, 30, 64, 54, "frozen", "block" if i != 2 else "…")
        line(f"{108 if i == 0 else 138 + 76 * i} 57 H{148 + 76 * i}")
        line(f"{182 + 76 * i} 84 V{118}")
    box(150, 120, 292, 40, "learns", "short-range adapters, one per tap")
    box(150, 172, 292, 40, "learns", "long-range adapters, one per tap")
    box(500, 120, 132, 92, "learns", "gated fusion", "how much of each")
    box(684, 136, 110, 60, "learns", "head", "class, start, end")
    box(846, 136, 110, 60, "frozen", "segments", "in seconds")
    line("442 57 H566 V118")
    line("442 140 H498")
    line("442 192 H498")
    line("632 166 H682")
    line("794 166 H844")
    words = ('<text class="small" x="298" y="20">frozen backbone: nothing is backpropagated through it</text>'
             '<text class="small" x="510" y="48">last layer</text>'
             '<text class="small" x="298" y="232">filled: what learns</text>'
             '<text class="small" x="434" y="106">taps</text>')
    label = ("Diagram: clips of a video pass a frozen backbone; its intermediate layers are tapped, short-range and "
             "long-range adapters work on the taps, gated fusion adds them to the last layer, a head gives segments.")
    return Html(
        f'<svg class="diagram" viewBox="0 0 960 240" role="img" aria-label="{escape(label)}"><defs>'
        '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 L8 4 L0 8 z" fill="var(--soft)"/></marker></defs>'
        f'{"".join(lines)}{"".join(boxes)}{words}</svg>')


def result_table(result: Mapping) -> Html:
    """Both runs side by side: mAP, what was trained, how long, how much memory."""
    heads = ["", "average mAP", *(f"tIoU {t:g}" for t in result["tiou"]), "trained parameters", "training"]
    rows = []
    for key, name in NAMES.items():
        seconds = result.get("seconds", {}).get(f"{key}_train")
        cells = [element("td", percent(result[key]["average_map"]), class_="strong"),
                 *(element("td", percent(v)) for v in result[key]["map"]),
                 element("td", f"{result['trainable_parameters'][key]:,}"),
                 element("td", "–" if seconds is None else minutes(seconds))]
        rows.append(element("tr", element("th", name, scope="row"), *cells))
    pairs = [(result[key]["average_map"], *result[key]["map"]) for key in NAMES]
    gains = [element("td", f"{100 * (b - a):+.1f}") for a, b in zip(*pairs, strict=True)]
    rows.append(element("tr", element("th", "difference", scope="row"), *gains, element("td"), element("td"),
                        class_="gain"))
    head = element("thead", element("tr", *(element("th", h, scope="col") for h in heads)))
    note = (f"mAP in percent, as ActivityNet's evaluator computes it. Most memory of the whole demo: "
            f"{result.get('peak_memory_mb', float('nan')):,.0f} MB.")
    return Html(element("div", element("table", head, element("tbody", *rows)), class_="scroll")
                + element("p", note, class_="soft"))


def per_class_table(result: Mapping, classes: Sequence[str]) -> Html:
    """AP of every class as bars, folded away."""
    colours, rows = run_colours(list(NAMES)), []
    for label in classes:
        values = {key: result[key]["per_class"].get(label) for key in NAMES}
        if not all(values.values()):
            continue
        means = {key: sum(v) / len(v) for key, v in values.items()}
        bars = [element("i", style=f"width:{100 * means[key]:.1f}%;background:{colours[key]}") for key in NAMES]
        change = " → ".join(map(percent, means.values()))
        rows += [element("span", label), element("span", *bars), element("span", change)]
    return element("details", element("summary", "Per class: AP of head only (grey) and LoSA (blue)"),
                   element("div", *rows, class_="bars"))


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
