"""Write the page of one's own videos: a timeline per video, to be looked through as it lies, without a server.

A page of hundreds of videos opens at once: only the strongest segments are on it, videos stay the files they are
(small ones travel inside the page), and the browser draws the timelines that are in view.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from losa.reports.page import Number, make_table, write_page
from losa.reports.score_notes import describe_hidden, describe_none_shown, find_best
from losa.reports.timeline_panels import (
    EMBEDDED,
    MOST_SEGMENTS,
    STEPS,
    Timelines,
    choose_strongest,
    link_video,
    make_controls,
)
from widgets.figures import class_colours
from widgets.html import Html, element
from widgets.still import clock
from widgets.verdicts import precise, score_of

PAGE_SEGMENTS, PAGE_VIDEOS = 6000, 500  # at most, on one page
MOST_ROWS = 8  # of overlapping segments in a lane
SLIDER = "move the slider to the left"
MOST_CLASSES = 20  # in table and legend, the most frequent ones


def own_page(path: str | Path, videos: Sequence[Mapping], *, classes: Sequence[str] = (),
             failed: Mapping[str, str] | None = None, min_score: Number = 0.25, made_by: str = "",
             files: Sequence[str] = (), max_video_mb: Number = 2, max_page_mb: Number = 20) -> Path:
    """Write the page and return its path: numbers by class, a timeline per video, files that could not be used.

    videos: dicts with id, path, duration (s) and records. classes fixes the colours.
    failed: {file: why}. made_by: which model it was. files: names of what else lies in the page's folder.
    min_score: where the slider stands at first, and of the segments that are counted.
    max_video_mb, max_page_mb: videos up to this size are embedded, all of them up to that; the rest is linked.
    """
    path, failed = Path(path), failed or {}
    labels = {r["label"] for v in videos for r in v["records"]}
    all_classes = [*classes, *sorted(labels - set(classes))]
    colours, shown = class_colours(all_classes), videos[:PAGE_VIDEOS]
    embedded = choose_embedded(shown, max_video_mb, max_page_mb)
    most = min(MOST_SEGMENTS, max(10, PAGE_SEGMENTS // max(len(shown), 1)))
    timelines = Timelines(all_classes, min_score=min_score, has_truth=False, most_rows=MOST_ROWS)
    panels = [timelines.panel({**video, "tracks": {"found": video["records"]}},
                              link_video(video["path"], path.parent, video["id"] in embedded), most=most,
                              class_="video one-of-many", note=count_note(video["records"], min_score))
              for video in shown]
    drawn = Counter(r["label"] for video in shown for r in choose_strongest(video["records"], most))
    in_legend = {label for label, _ in drawn.most_common(MOST_CLASSES)}
    head = f"See it: {len(shown)} video{'s' * (len(shown) != 1)}"
    if len(shown) < len(videos):
        head = f"See it: the first {len(shown)} of {len(videos):,} videos"
    controls = make_controls(min_score, {label: colours[label] for label in colours if label in in_legend})
    sections = [("What was found", Html(class_table(videos, colours, min_score) + file_list(files))),
                (head, Html(controls + video_index(shown, min_score) + "".join(panels)))]
    if failed:
        items = [element("li", element("strong", name), ": ", why) for name, why in failed.items()]
        sections.insert(1, (f"Not used: {len(failed)} file{'s' * (len(failed) != 1)}",
                            element("ul", *items, class_="failed")))
    return write_page(path, title="Actions found in your videos", lede=opening(videos, failed, min_score, made_by),
                      sections=sections, linked=True, **timelines.page_parts())


def opening(videos: Sequence[Mapping], failed: Mapping[str, str], min_score: Number, made_by: str) -> str:
    """Return the opening: one sentence of numbers, which model they are from, and that nobody checked them."""
    total, number = sum(v["duration"] for v in videos), len(choose_scoring(videos, min_score))
    text = (f"{len(videos):,} video{'s' * (len(videos) != 1)}, {clock(total, max(total, 120))} "
            f"{'hours' if total >= 3600 else 'minutes'} long: {number:,} segment{'s' * (number != 1)} with a score of "
            f"at least {min_score:g}")
    if failed:
        text += f"; {len(failed)} file{'s' * (len(failed) != 1)} could not be used"
    hidden = describe_hidden({v["id"]: find_best(v["records"]) for v in videos}, min_score, SLIDER) if videos else ""
    text += f". {hidden[0].upper()}{hidden[1:]}" if hidden else ""
    return f"{text}.{f' Model: {made_by}.' if made_by else ''} Nobody has checked these segments."


def choose_scoring(videos: Sequence[Mapping], min_score: Number) -> list[tuple[str, Mapping]]:
    """Return (video id, record) of every segment with a score of at least `min_score`."""
    return [(v["id"], r) for v in videos for r in v["records"] if score_of(r) >= min_score]


def choose_embedded(videos: Sequence[Mapping], max_video_mb: Number, max_page_mb: Number) -> set[str]:
    """Return the ids of the videos that travel inside the page: small ones, the first ones first."""
    left, chosen = max_page_mb * 1e6, set()
    for video in videos:
        file = Path(video["path"])
        size = file.stat().st_size if file.suffix.lower() in EMBEDDED and file.is_file() else float("inf")
        if size <= min(left, max_video_mb * 1e6):
            left -= size
            chosen.add(video["id"])
    return chosen


def class_table(videos: Sequence[Mapping], colours: Mapping[str, str], min_score: Number) -> Html:
    """Return a table of the classes: how many segments, in how many videos, how long together, the best score."""
    by_label: dict[str, list[tuple[str, Mapping]]] = {}
    for name, record in choose_scoring(videos, min_score):
        by_label.setdefault(record["label"], []).append((name, record))
    if not by_label:
        best = find_best(r for v in videos for r in v["records"])
        return element("p", f"No segment to count: {describe_none_shown(best, min_score, SLIDER)}.")
    rows = []
    for label, items in sorted(by_label.items(), key=lambda item: (-len(item[1]), item[0]))[:MOST_CLASSES]:
        seconds = sum(r["segment"][1] - r["segment"][0] for _, r in items)
        swatch = element("span", class_="swatch", style=f"--c:{colours[label]}")
        rows.append([element("span", swatch, label, class_="key"), f"{len(items):,}",
                     f"{len({name for name, _ in items}):,}", clock(seconds, 120),
                     f"{max(score_of(r) for _, r in items):.2f}"])
    heads = ("class", "segments", "in videos", "together, min:s", "best score")
    more = f" {len(by_label) - len(rows)} rarer classes are not in this table." if len(by_label) > len(rows) else ""
    note = f"Counted are segments with a score of at least {min_score:g}.{more}"
    return Html(make_table(heads, rows) + element("p", note, class_="soft"))


def file_list(files: Sequence[str]) -> Html:
    """Return links to the files that lie beside the page."""
    parts = [part for name in files for part in (element("a", name, href=quote(name)), ", ")][:-1]
    return element("p", "In the same folder: ", *parts, ".") if files else Html("")


def video_index(videos: Sequence[Mapping], min_score: Number) -> Html:
    """Return links to all panels by name, folded away, with the number of segments in each; nothing for a few."""
    if len(videos) < 6:
        return Html("")
    items = [element("li", element("a", v["id"], href=f"#video-{i}"), f" {len(choose_scoring([v], min_score))}")
             for i, v in enumerate(videos)]
    return element("details", element("summary", f"All by name, with the number of segments of at least {min_score:g}"),
                   element("ul", *items, class_="files"))


def count_note(records: Sequence[Mapping], min_score: Number) -> Html:
    """Return "12 segments", with the number of segments at every position of the slider."""
    scores = [score_of(r) for r in records]
    counts = " ".join(str(sum(score >= step for score in scores)) for step in STEPS)
    number, best = sum(score >= min_score for score in scores), precise(max(scores)) if scores else ""
    said = f"{number} segment{'s' * (number != 1)}" if number else f"none; the best score is {best}" if best else "none"
    return element("small", said, class_="count", data_counts=counts, data_best=best)
