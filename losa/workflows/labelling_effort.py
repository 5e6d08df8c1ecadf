"""Count what labelling cost, in seconds and in keys and clicks, from the changes that a labelling timeline keeps.

A session is what one person, or the simulated one, did to one video: {"video": id, "duration" in seconds, "fps",
"began", "ended": seconds on one clock, "records": the labels at its end, "changes": as `widgets.edits` lists them, each
with "at" on the same clock and "presses", the keys and clicks since the change before}.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from widgets.figures import WIDTH, Picture, bare

Number = int | float
PAUSE_S = 120.0  # a longer gap between two changes is a break, unless it is no longer than the video
COLOURS = {"from scratch": "#D55E00", "propose and correct": "#0072B2"}
DONE = {"create": "made anew", "accept": "accepted", "move_edge": "edges dragged", "relabel": "labels mended"}
COLUMNS = {"round": "round", "videos": "videos labelled", "instances": "instances", "minutes": "minutes so far",
           "presses": "keys and clicks so far", "seconds_each": "seconds per instance",
           "presses_each": "keys and clicks per instance", "average_map": "mAP on held-out videos"}


def count_effort(session: Mapping) -> dict:
    """Return the "seconds", "presses" and "instances" of a session, and how often each operation was done.

    A gap between two changes counts up to PAUSE_S seconds or the video's duration, whichever is more: what is longer
    was a break. What was undone is not in the list of changes: its keys are not counted, its time is.
    """
    most, changes = max(PAUSE_S, session["duration"]), session["changes"]
    stamps = [session["began"], *(change["at"] for change in changes), session["ended"]]
    gaps = [min(max(late - early, 0.0), most) for early, late in zip(stamps, stamps[1:], strict=False)]
    return {"seconds": float(sum(gaps)), "presses": sum(change.get("presses", 0) for change in changes),
            "instances": len(session["records"]), "operations": dict(Counter(change["what"] for change in changes))}


def add_efforts(sessions: Sequence[Mapping]) -> dict:
    """Return the sums of several sessions' efforts, and the seconds and presses for each instance that was kept."""
    efforts = [count_effort(session) for session in sessions]
    seconds, presses, kept = (sum(effort[name] for effort in efforts) for name in ("seconds", "presses", "instances"))
    done: Counter[str] = Counter()
    for effort in efforts:
        done.update(effort["operations"])
    return {"seconds": seconds, "presses": presses, "instances": kept, "operations": dict(done),
            "seconds_each": seconds / kept if kept else None, "presses_each": presses / kept if kept else None}


def follow(rounds: Sequence[Mapping]) -> list[dict]:
    """Return a row for each round of one way of labelling, with the effort and the instances summed up to it.

    rounds: {"sessions", "average_map"} in their order. "seconds_each" and "presses_each" are of that round alone.
    """
    rows, past = [], []
    for number, done in enumerate(rounds, start=1):
        past = [*past, *done["sessions"]]
        total, own = add_efforts(past), add_efforts(done["sessions"])
        rows.append({"round": number, "videos": len(past), "instances": total["instances"],
                     "minutes": total["seconds"] / 60, "presses": total["presses"],
                     "seconds_each": own["seconds_each"], "presses_each": own["presses_each"],
                     "operations": own["operations"], "average_map": done["average_map"]})
    return rows


def tabulate(ways: Mapping[str, Sequence[Mapping]]) -> pd.DataFrame:
    """Return a table of `follow`'s rows, for each way of labelling by its name."""
    rows = [{"way": way, **row} for way, listed in ways.items() for row in listed]
    table = pd.DataFrame(rows, columns=["way", *COLUMNS]).rename(columns=COLUMNS)
    return table.set_index(["way", "round"])


def compare(ways: Mapping[str, Sequence[Mapping]]) -> pd.DataFrame:
    """Return a table of what an instance cost: in the first round, and in each way's later ones together."""
    shared = next(iter(ways.values()))[:1]
    parts = {"from scratch, round 1": shared} if shared else {}
    parts |= {f"{way}, later rounds": rows for way, rows in ways.items() if len(rows) > 1}
    return pd.DataFrame([_cost(rows) for rows in parts.values()], index=[*parts])


def _cost(rows: Sequence[Mapping]) -> dict:
    """Return the cost of an instance in the last of some rows without the first, or in the only one."""
    first, own = (rows[0], rows[1:]) if len(rows) > 1 else ({}, rows)
    kept, minutes, presses = (rows[-1][name] - first.get(name, 0) for name in ("instances", "minutes", "presses"))
    done: Counter[str] = Counter()
    for row in own:
        done.update(row["operations"])
    return {"instances": kept, "seconds per instance": 60 * minutes / kept if kept else None,
            "keys and clicks per instance": presses / kept if kept else None,
            **{name: done[what] for what, name in DONE.items()}}


def draw_curves(ways: Mapping[str, Sequence[Mapping]], who: str) -> Figure:
    """Draw mAP against minutes of labelling, a curve for each way; who: says in the title whose minutes these are."""
    fig = Picture(figsize=(WIDTH, 3.4), layout="constrained")
    ax = fig.subplots()
    for way, rows in ways.items():
        shown = [row for row in rows if row["average_map"] is not None]
        ax.plot([row["minutes"] for row in shown], [100 * row["average_map"] for row in shown], marker="o", label=way,
                color=COLOURS.get(way), linestyle="--" if way == "from scratch" else "-")
    ax.set(xlabel=f"minutes of labelling ({who})", ylabel="average mAP on held-out videos (%)", xlim=(0, None),
           ylim=(0, None), title=f"What labelling buys ({who})")
    ax.legend(frameon=False, loc="lower right")
    bare(ax, grid="y")
    return fig
