"""The page of one's own videos: a timeline per video, to be looked through as it lies, without a server.

Hundreds of videos open at once: only the strongest segments are drawn, videos stay the files they are (small ones
travel inside the page), and the browser works on what is in view.
"""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from losa.reports.html import (
    LEAST_SCORE,
    MOST_SEGMENTS,
    STEPS,
    VIDEO_TYPES,
    Html,
    clock,
    controls,
    data_address,
    element,
    panel,
    player,
    track,
    write_page,
)
from widgets.figures import class_colours, score_of

Number = int | float

LINKED_TYPES = {*VIDEO_TYPES, ".mov", ".mkv", ".ogv", ".3gp"}  # what some browser plays, with a codec it knows
PAGE_SEGMENTS, PAGE_VIDEOS = 6000, 500  # at most, on one page
ROWS = 8  # of overlapping segments in a lane
MOST_CLASSES = 20  # in table and legend, the most frequent ones


def own_page(path: str | Path, videos: Sequence[Mapping], *, classes: Sequence[str] = (),
             failed: Mapping[str, str] | None = None, min_score: Number = 0.25, made_by: str = "",
             files: Sequence[str] = (), max_video_mb: Number = 2, max_page_mb: Number = 20) -> Path:
    """The path of the page: what was found, by class; a timeline per video; what could not be used.

    videos: dicts with id, path, duration (s) and records. classes fixes the colours.
    failed: {file: why}. made_by: which model it was. files: names of what else lies in the page's folder.
    min_score: where the slider stands at first, and of the segments that are counted.
    max_video_mb, max_page_mb: videos up to this size are embedded, all of them up to that; the rest is linked.
    """
    path, failed = Path(path), failed or {}
    labels = {r["label"] for v in videos for r in v["records"]}
    colours = class_colours([*classes, *sorted(labels - set(classes))])
    shown, embed = videos[:PAGE_VIDEOS], small_ones(videos[:PAGE_VIDEOS], max_video_mb, max_page_mb)
    most = min(MOST_SEGMENTS, max(10, PAGE_SEGMENTS // max(len(shown), 1)))
    panels = [own_panel(v, f"video-{i}", colours, most, path.parent, v["id"] in embed) for i, v in enumerate(shown)]
    drawn = Counter(label for v in shown for label in drawn_labels(v["records"], most))
    told = {label for label, _ in drawn.most_common(MOST_CLASSES)}
    head = f"See it: {len(shown)} video{'s' * (len(shown) != 1)}"
    if len(shown) < len(videos):
        head = f"See it: the first {len(shown)} of {len(videos):,} videos"
    looking = controls(min_score, None, {c: colours[c] for c in colours if c in told})
    sections = [("What was found", Html(found_table(videos, colours, min_score) + file_list(files))),
                (head, Html(looking + index(shown, min_score) + "".join(panels)))]
    if failed:
        items = [element("li", element("strong", name), ": ", why) for name, why in failed.items()]
        sections.insert(1, (f"Not used: {len(failed)} file{'s' * (len(failed) != 1)}",
                            element("ul", *items, class_="failed")))
    return write_page(path, title="Actions found in your videos", lede=opening(videos, failed, min_score, made_by),
                      sections=sections, linked=True)


def opening(videos: Sequence[Mapping], failed: Mapping[str, str], min_score: Number, made_by: str) -> str:
    """One sentence of numbers, and who says so."""
    total, number = sum(v["duration"] for v in videos), len(strong(videos, min_score))
    text = (f"{len(videos):,} video{'s' * (len(videos) != 1)}, {clock(total, max(total, 120))} "
            f"{'hours' if total >= 3600 else 'minutes'} long: {number:,} segment{'s' * (number != 1)} with a score of "
            f"at least {min_score:g}")
    if failed:
        text += f"; {len(failed)} file{'s' * (len(failed) != 1)} could not be used"
    return f"{text}.{f' Model: {made_by}.' if made_by else ''} Nobody has checked these segments."


def strong(videos: Sequence[Mapping], min_score: Number) -> list[tuple[str, Mapping]]:
    """(video id, record) of every segment that scores at least so much."""
    return [(v["id"], r) for v in videos for r in v["records"] if score_of(r) >= min_score]


def drawn_labels(records: Sequence[Mapping], most: int) -> list[str]:
    ranked = sorted(records, key=lambda r: -score_of(r))[:most]
    return [r["label"] for r in ranked if score_of(r) >= LEAST_SCORE]


def small_ones(videos: Sequence[Mapping], max_video_mb: Number, max_page_mb: Number) -> set[str]:
    """Ids of the videos that travel inside the page."""
    left, chosen = max_page_mb * 1e6, set()
    for video in videos:
        file = Path(video["path"])
        size = file.stat().st_size if file.suffix.lower() in VIDEO_TYPES and file.is_file() else float("inf")
        if size <= min(left, max_video_mb * 1e6):
            left -= size
            chosen.add(video["id"])
    return chosen


def found_table(videos: Sequence[Mapping], colours: Mapping[str, str], min_score: Number) -> Html:
    """Per class: how many segments, in how many videos, how long together, the best score."""
    by_label: dict[str, list[tuple[str, Mapping]]] = {}
    for name, record in strong(videos, min_score):
        by_label.setdefault(record["label"], []).append((name, record))
    if not by_label:
        best = max((score_of(r) for v in videos for r in v["records"]), default=None)
        said = "nothing at all was found" if best is None else f"the best score of all is {best:.2f}"
        return element("p", f"No segment has a score of at least {min_score:g}; {said}.")
    rows = []
    for label, items in sorted(by_label.items(), key=lambda item: (-len(item[1]), item[0]))[:MOST_CLASSES]:
        seconds = sum(r["segment"][1] - r["segment"][0] for _, r in items)
        swatch = element("span", class_="swatch", style=f"--c:{colours[label]}")
        cells = (f"{len(items):,}", f"{len({name for name, _ in items}):,}", clock(seconds, 120),
                 f"{max(score_of(r) for _, r in items):.2f}")
        rows.append(element("tr", element("th", element("span", swatch, label, class_="key"), scope="row"),
                            *(element("td", cell) for cell in cells)))
    heads = ("class", "segments", "in videos", "together, min:s", "best score")
    head = element("thead", element("tr", *(element("th", h, scope="col") for h in heads)))
    more = f" {len(by_label) - len(rows)} rarer classes are not in this table." if len(by_label) > len(rows) else ""
    return Html(element("div", element("table", head, element("tbody", *rows)), class_="scroll")
                + element("p", f"Counted are segments with a score of at least {min_score:g}.{more}", class_="soft"))


def file_list(files: Sequence[str]) -> Html:
    """Links to what lies beside the page."""
    parts = [part for name in files for part in (element("a", name, href=quote(name)), ", ")][:-1]
    return element("p", "In the same folder: ", *parts, ".") if files else Html("")


def index(videos: Sequence[Mapping], min_score: Number) -> Html:
    """All panels by name, folded away, with how much there is in each."""
    if len(videos) < 6:
        return Html("")
    items = [element("li", element("a", v["id"], href=f"#video-{i}"), f" {len(strong([v], min_score))}")
             for i, v in enumerate(videos)]
    return element("details", element("summary", f"All by name, with the number of segments of at least {min_score:g}"),
                   element("ul", *items, class_="files"))


def own_panel(video: Mapping, anchor: str, colours: Mapping[str, str], most: int, folder: Path, embed: bool) -> Html:
    """One video: player, and one lane with its strongest segments."""
    duration = float(video["duration"])
    return panel(video, [own_lane(video["records"], duration, colours, most)], own_player(video, folder, embed),
                 class_="video one-of-many", id=anchor)


def own_lane(records: Sequence[Mapping], duration: Number, colours: Mapping[str, str], most: int) -> Html:
    """The `most` strongest segments; how many there are is said at every score."""
    ranked = sorted(records, key=lambda r: -score_of(r))
    shown = [r for r in ranked if score_of(r) >= LEAST_SCORE][:most]
    counts = " ".join(str(sum(score_of(r) >= step for r in ranked)) for step in STEPS)
    return track("found", "", shown, [True] * len(shown), [f", score {score_of(r):.2f}" for r in shown], duration,
                 colours, most_rows=ROWS, data_counts=counts, data_best=f"{score_of(ranked[0]):.2f}" if ranked else "")


def own_player(video: Mapping, folder: Path, embed: bool) -> Html:
    """The video with the file inside, or with its address as seen from `folder`; else a box that says why."""
    path, readable = Path(video["path"]), os.fsencode(video["path"]).decode(errors="replace")
    name = Path(readable).name
    if not path.is_file():
        return element("div", f"{name} is not there any more", class_="missing")
    if path.suffix.lower() not in LINKED_TYPES:
        return element("div", f"No browser plays {path.suffix} files; convert {name} to H.264 mp4 to watch it here.",
                       class_="missing")
    return player(video["id"], data_address(path) if embed else address(path, folder), preload="none")


def address(path: Path, folder: Path) -> str:
    """Where the file is, seen from a page in `folder`; the whole address where they lie on different drives."""
    try:
        return quote(os.fsencode(Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()))
    except ValueError:
        return path.resolve().as_uri()
