"""Answers to the exercises of notebooks, folded at first, with the numbers of the run that is looked at."""

import html

import numpy as np
import pandas as pd
from IPython.display import HTML

from losa.evaluation.average_precision import LENGTHS
from losa.inspection.error_table import NOTHING, list_segments
from losa.inspection.model_internals import gates_view
from losa.inspection.run_data import RunData
from widgets.error_kinds import ErrorKind
from widgets.gates import share_out

Number = int | float
REVERSED = {"throw", "catch"}  # of the embedded world: one played backwards is the other


def fold(*paragraphs: str) -> HTML:
    """Return paragraphs of HTML under the word Answer, which unfolds them."""
    text = "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs if paragraph)
    return HTML(f"<details><summary>Answer</summary>{text}</details>")


def answer_confusion(errors: pd.DataFrame) -> HTML:
    """Tell which two classes are mistaken for each other most often. errors: of `list_errors`."""
    wrong = errors[errors.error == ErrorKind.WRONG_LABEL]
    pairs = pd.Series([tuple(sorted(pair)) for pair in zip(wrong.predicted, wrong.really, strict=True)]).value_counts()
    if pairs.empty:
        return fold("None: no prediction that is surer than the threshold has the right place and a wrong label.")
    (most, times), others = next(pairs.items()), [f"{_pair(pair)} ({n})" for pair, n in pairs.iloc[1:4].items()]
    why = ("In the embedded world a catch is a throw played backwards: the same poses in the other order. One frame "
           "cannot tell them apart, nor can an average over many. The model needs the <i>order</i> of poses, and the "
           "backbone of the preset \"gap\" has seen neither in its pretraining.")
    return fold(f"{_pair(most)}: {times} of {len(wrong)} wrong labels. {'Then ' if others else ''}{', '.join(others)}"
                f"{'.' if others else ''}", why if {*most} == REVERSED else
                "Ask of a frame in the middle of each: could you tell them apart without what comes before and after?")


def answer_background(errors: pd.DataFrame, label: str = "") -> HTML:
    """Tell what happens where this label, or else the one found most often there, was found in the background."""
    wrong = errors[errors.error == ErrorKind.BACKGROUND]
    if wrong.empty:
        return fold("None is: every prediction that is surer than the threshold overlaps an action.")
    label = label if label in {*wrong.predicted} else wrong.predicted.value_counts().index[0]
    there = wrong[wrong.predicted == label].really.value_counts()
    told = ", ".join(f"{n} x {_name(what) if what != NOTHING else what}" for what, n in there.items())
    twin = ("Such a movement looks like the class at one moment and is none. Nobody labels it, as in real videos; the "
            "model learnt what both have in common instead of what sets them apart."
            if there.index[0] != NOTHING else
            "Nothing is known of what happens there: look at some. Movements that look like the class and that nobody "
            "labels are the usual reason; sometimes a label is missing.")
    return fold(f"Of {there.sum()} times that {_name(label)} is found where no action is labelled: {told}.", twin)


def answer_lengths(run: RunData, min_score: Number = 0.25) -> HTML:
    """Tell how many actions of each length are missed, and of which classes the short ones are."""
    truth = _truth(run, min_score).assign(missed=lambda table: table.error == "missed")
    borders = [0.0, *(up_to for _, up_to in LENGTHS.values())]
    truth["length"] = pd.cut(truth.end - truth.start, borders, labels=_name_lengths(), include_lowest=True)
    told = [f"{part.missed.sum()} of {len(part)} {length}" for length, part in truth.groupby("length", observed=True)]
    short = truth[truth.length == truth.length.cat.categories[0]]
    classes = [f"{_name(label)} ({part.missed.sum()} of {len(part)} missed)" for label, part in
               sorted(short.groupby("really"), key=lambda row: -len(row[1]))[:4]]
    both = (f"Most of the short ones are {', '.join(classes)}. Length and class go together, so the chart of lengths "
            f"alone cannot tell which of them is the reason; {_book('03_ablations')} varies one thing at a time.")
    return fold(f"Missed: {', '.join(told)}.", both if classes else "")


def answer_won(run: RunData, other: RunData | None, min_score: Number = 0.25) -> HTML:
    """Tell which actions a run finds and another misses, in the video with most of them, and which adapters add there.
    """
    if other is None:
        return fold("There is no second run to compare with: give its folder as <code>compare_dir</code>.")
    found, known = (_truth(one, min_score) for one in (run, other))
    won = found[(found.error == "found") & (known.error.reindex(found.index) == "missed")]
    lost = (found.error == "missed") & (known.error.reindex(found.index) == "found")
    if won.empty:
        return fold(f"{_name(run.name)} finds no action that {_name(other.name)} misses; {lost.sum()} the other way.")
    video = won.index.get_level_values("video").value_counts().index[0]
    here = [f"{_name(row.really)} at {row.start:.1f} s" for row in won.loc[video].itertuples()]
    return fold(f"In {_name(video)}: {', '.join(here)}. In all videos {len(won)} actions are won so, and {lost.sum()} "
                f"are lost that {_name(other.name)} finds.", _tell_sources(run, video),
                "This is what the model <i>uses</i>, not what it could not do without: the same adapters may be as "
                f"loud where the other run is right as well. {_book('06_how_losa_works')} closes gates to find out.")


def _truth(run: RunData, min_score: Number) -> pd.DataFrame:
    """Return the rows of `list_segments` of the ground truth, by video and index."""
    table = list_segments(run, min_score)
    return table[table.kind == "truth"].set_index(["video", "index"]).sort_index()


def _tell_sources(run: RunData, video: str) -> str:
    """Return a sentence with the shares of what each block's adapters add in a video; "" for a model without any."""
    view = gates_view(run, video)
    if view["gates"] is None or not view["layers"]:
        return ""
    shares = 100 * share_out(np.abs(view["gates"]) * view["norms"])
    blocks = ", ".join(f"block {layer}: {share:.0f} %" for layer, share in zip(view["layers"], shares.sum(1),
                                                                              strict=True))
    ranges = ", ".join(f"{name} range {share:.0f} %" for name, share in zip(view["ranges"], shares.sum(0), strict=True))
    return f"Of what is added there, by size: {blocks}; {ranges}."


def answer_control(frame: pd.DataFrame, control: str = "no time") -> HTML:
    """Tell how much of a gain needs no time at all. frame: runs with "model" and "average_map", as `collect` makes it.
    """
    maps = {name: 100 * part.average_map for name, part in frame.groupby("model", sort=False)}
    told = "; ".join(f"{_name(name)} {values.mean():.1f} % ({', '.join(f'{one:.1f}' for one in values)})"
                     for name, values in maps.items())
    rule = ("Always run the control before you explain a gain by your idea: what you changed on purpose is never all "
            "that you changed. And look at every run before you take a mean: one seed whose training went wrong can "
            "\"prove\" any idea.")
    if control not in maps:
        return fold(f"So far: {told}. The control is not among them: add <i>{html.escape(control)}</i> to "
                    "<code>models</code> and run the cells from there.", rule)
    base, kept = maps.get("head only"), maps[control].mean()
    gains = [f"of the {values.mean() - base.mean():+.1f} points of {_name(name)} over the head alone, "
             f"{kept - base.mean():+.1f} come without time" for name, values in maps.items()
             if name not in ("head only", control)] if base is not None else []
    return fold(f"{told[0].upper()}{told[1:]}.", f"{'; '.join(gains)}.".capitalize() if gains else "", rule)


def _name_lengths() -> list[str]:
    """Return the groups of `LENGTHS` in words."""
    (_, low), *middle, (high, _) = LENGTHS.values()
    return [f"up to {low:g} s", *(f"of {above:g} to {up_to:g} s" for above, up_to in middle), f"over {high:g} s"]


def _name(text: str) -> str:
    return f"<i>{html.escape(text)}</i>"


def _book(stem: str) -> str:
    return f'<a href="{stem}.ipynb"><code>{stem}</code></a>'


def _pair(pair: tuple[str, str]) -> str:
    return f"{_name(pair[0])} and {_name(pair[1])}"
