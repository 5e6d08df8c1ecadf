"""The page of the demo: what was done, the result, and the test videos with their timelines."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from losa.reports.page import Number, make_table, minutes, percent, write_page
from losa.reports.timeline_panels import Timelines, embed_video, make_controls
from losa.world.motions import UNSEEN
from widgets.figures import class_colours, run_colours
from widgets.html import Html, element

NAMES = {"head_only": "head only", "losa": "LoSA"}

NEXT_STEPS = (
    ("source .venv/bin/activate", "once per terminal, if make demo brought you here"),
    ("jupyter lab notebooks/02_train.ipynb", "train a variant: every setting is one line of its parameters cell"),
    ("losa train runs/short -s ranges=short", "the same from the command line, here with short-range adapters only"),
    ("losa data prepare mydata --videos FOLDER --annotations LABELS.csv", "the first step with your own videos"),
)


def demo_page(path: str | Path, result: Mapping, videos: Sequence[Mapping], *, classes: Sequence[str] = (),
              tiou: Number = 0.5, min_score: Number = 0.25, max_video_mb: Number = 10,
              next_steps: Sequence[tuple[str, str]] = NEXT_STEPS) -> Path:
    """Write the demo's page and return its path: what was done, the results, timelines, what to do next.

    `result` is the demo's result.json; `videos` are dicts with id, path, duration (s) and tracks {name: records},
    ground truth first. `classes` fixes the colours. A video file above `max_video_mb` is named, not embedded.
    """
    labels = {r["label"] for v in videos for records in v["tracks"].values() for r in records}
    data_classes = list(classes) or sorted(result["losa"]["per_class"])
    all_classes = [*data_classes, *sorted(labels - set(data_classes))]
    colours = {label: colour for label, colour in class_colours(all_classes).items() if label in labels}
    number = result.get("num_videos", {})
    gain = 100 * (result["losa"]["average_map"] - result["head_only"]["average_map"])
    lede = (f"Average mAP {percent(result['head_only']['average_map'])} with the head alone, "
            f"{percent(result['losa']['average_map'])} with LoSA ({gain:+.1f} points): one run, seed {result['seed']}, "
            f"{number.get('test', '?')} test videos. One seed is an example, not evidence.")
    timelines = Timelines(all_classes, min_score=min_score, tiou=tiou)
    panels = [timelines.panel(video, embed_video(video["path"], max_video_mb)) for video in videos]
    steps = [element("li", element("code", command), " ", why) for command, why in next_steps]
    return write_page(path, title="LoSA: finding actions in untrimmed video", lede=lede, sections=[
        ("What was done", Html(what_was_done(result) + diagram())),
        ("What came out", Html(result_table(result) + per_class_table(result, data_classes))),
        (f"See it: {len(videos)} test videos", Html(make_controls(min_score, colours, tiou) + "".join(panels))),
        ("What to do next", element("ol", *steps, class_="next")),
    ], **timelines.page_parts())


def what_was_done(result: Mapping) -> Html:
    """Return three sentences on what the demo trained and tested."""
    number, seconds = result.get("num_videos", {}), result.get("seconds", {})
    preset = {"gap": f" that has never seen {len(UNSEEN)} of the motions", "covered": " that has seen all the motions"}
    return element("p", (
        f"A small video transformer{preset.get(result.get('preset'), '')} watched {number.get('train', '?')} training "
        f"videos once and was never changed. Two models then learnt from what it saw to say which action happens from "
        f"when to when: a detection head on its last layer alone, and the same head with LoSA, small adapters of short "
        f"and long temporal range on its intermediate layers. Both were tested on {number.get('test', '?')} videos "
        f"that they were not trained on; everything together took {minutes(sum(seconds.values()))}."))


def diagram() -> Html:
    """Return a drawing of the method: only what is filled learns."""
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
    """Return the table of both runs: mAP, number of trained parameters, training time, and the memory below it."""
    heads = ["", "average mAP", *(f"tIoU {t:g}" for t in result["tiou"]), "trained parameters", "training"]
    rows = []
    for key, name in NAMES.items():
        seconds = result.get("seconds", {}).get(f"{key}_train")
        rows.append([name, element("strong", percent(result[key]["average_map"])), *map(percent, result[key]["map"]),
                     f"{result['trainable_parameters'][key]:,}", "–" if seconds is None else minutes(seconds)])
    pairs = [(result[key]["average_map"], *result[key]["map"]) for key in NAMES]
    rows.append(["difference", *(f"{100 * (b - a):+.1f}" for a, b in zip(*pairs, strict=True)), "", ""])
    note = (f"mAP in percent, as ActivityNet's evaluator computes it. Most memory of the whole demo: "
            f"{result.get('peak_memory_mb', float('nan')):,.0f} MB.")
    return Html(make_table(heads, rows, last_class="gain") + element("p", note, class_="soft"))


def per_class_table(result: Mapping, classes: Sequence[str]) -> Html:
    """Return bars of every class's AP, folded away."""
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
