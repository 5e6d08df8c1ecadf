"""Figures: the pure functions against independent answers, and what is drawn where."""

import base64
import io
import itertools

import matplotlib.colors
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.interactiveshell import InteractiveShell
from matplotlib.figure import Figure
from PIL import Image

from losa.evaluation.average_precision import evaluate
from losa.inspection.run_figures import map_bars
from widgets import figures
from widgets.figures import class_colours, timeline
from widgets.verdicts import precise, stack_rows, verdicts

CLASSES = ["a", "b", "c"]
records = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 15), st.sampled_from(CLASSES)), max_size=9)


def made(items, scored=True):
    """Records from (start, length, label); all scores differ."""
    return [{"segment": [s, s + n], "label": label, **({"score": 0.95 - 0.07 * i} if scored else {})}
            for i, (s, n, label) in enumerate(items)]


@given(records, records, st.sampled_from([0.3, 0.5, 0.7]))
def test_right_predictions_are_those_of_the_evaluator(truth, predictions, tiou):
    """The evaluator's AP of one video and class, computed anew from the marks, is the evaluator's own."""
    truth, predictions = made(truth, scored=False), made(predictions)
    found = [judgement["verdict"] == "true positive" for judgement in verdicts(truth, predictions, tiou)[0]]
    for label in {r["label"] for r in truth}:
        mine = [found[i] for i, r in enumerate(predictions) if r["label"] == label]
        total = sum(r["label"] == label for r in truth)
        precision = np.cumsum(mine) / np.arange(1, len(mine) + 1)
        best = [max(precision[i:]) for i, right in enumerate(mine) if right]
        theirs = evaluate({"v": truth}, {"v": predictions}, tiou=(tiou,)).per_class[label][0]
        assert sum(best) / total == pytest.approx(theirs, abs=1e-9)


@given(records, st.floats(0, 1))
def test_marks_and_rows_do_not_depend_on_the_score_threshold(items, threshold):
    predictions, truth = made(items), made([(0, 10, "a"), (5, 9, "b"), (20, 6, "a")], scored=False)
    kept = [i for i, r in enumerate(predictions) if r["score"] >= threshold]
    fewer = [predictions[i] for i in kept]
    everything, _ = verdicts(truth, predictions)
    assert verdicts(truth, fewer)[0] == [everything[i] for i in kept]
    rows = stack_rows(predictions)
    assert stack_rows(fewer) == [rows[i] for i in kept]


@given(records)
def test_segments_in_one_row_do_not_overlap(items):
    shown = made(items)
    for (a, row), (b, other) in itertools.combinations(zip(shown, stack_rows(shown), strict=True), 2):
        apart = a["segment"][1] <= b["segment"][0] or b["segment"][1] <= a["segment"][0]
        assert row != other or apart


def test_class_colours_are_fixed_and_distinct():
    many = [f"class {i}" for i in range(24)]
    colours = class_colours(many)
    assert len(set(colours.values())) == 24
    assert list(class_colours(many[:10]).items()) == list(colours.items())[:10]


def test_the_first_eight_colours_stay_apart_for_the_colour_blind():
    """Viénot, Brettel and Mollon 1999: linear RGB as a deuteranope and a protanope see it."""
    linear = np.array([[(v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4)
                        for v in matplotlib.colors.to_rgb(c)] for c in figures.PALETTE])
    views = {"deuteranope": [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]],
             "protanope": [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]]}
    for name, matrix in views.items():
        seen = (linear @ np.array(matrix).T).clip(0, 1) ** (1 / 2.2)
        nearest = min(np.abs(a - b).max() for a, b in itertools.combinations(seen, 2))
        assert nearest > 0.06, name


@pytest.mark.parametrize("colour", figures.PALETTE)
def test_ink_is_legible_on_every_colour(colour):
    """Contrast at least 4.5 : 1, as WCAG 2.1 defines it."""
    def luminance(c):
        return float(np.dot([v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4
                             for v in matplotlib.colors.to_rgb(c)], (0.2126, 0.7152, 0.0722)))
    dark, light = sorted([luminance(colour), luminance(figures.ink_on(colour))])
    assert (light + 0.05) / (dark + 0.05) >= 4.5


TRUTH = [{"segment": [2, 6], "label": "a"}, {"segment": [10, 10.2], "label": "b"}]
FOUND = [{"segment": [2.2, 6.1], "label": "a", "score": 0.9}, {"segment": [20, 25], "label": "c", "score": 0.5},
         {"segment": [1, 3], "label": "b", "score": 0.05}]


def bars(fig):
    return {(round(p.get_x(), 2), round(p.get_width(), 2)): p for p in fig.axes[0].patches}


def test_timeline_draws_every_segment_where_it_is():
    fig = timeline({"truth": TRUTH, "LoSA": FOUND}, 30, classes=CLASSES, min_score=0.2)
    drawn = bars(fig)
    assert set(drawn) == {(2, 4), (10, 0.2), (2.2, 3.9), (20, 5)}  # the one below min_score is not there
    assert drawn[2.2, 3.9].get_hatch() is None and drawn[20, 5].get_hatch()  # right, wrong
    assert drawn[2.2, 3.9].get_alpha() > drawn[20, 5].get_alpha()  # score
    assert matplotlib.colors.to_hex(drawn[2, 4].get_facecolor()) == class_colours(CLASSES)["a"].lower()
    names = [t.get_text() for t in fig.axes[0].get_yticklabels()]
    assert names == ["truth\n2 segments", "LoSA\n1 of 2 found, 1 wrong"]
    labels = {t.get_text(): t.get_visible() for t in fig.axes[0].texts if t.width_seconds < 1}
    assert labels == {"b": False}  # no room in 0.2 s


def test_a_lane_whose_segments_are_all_below_the_threshold_says_so():
    fig = timeline({"truth": TRUTH, "LoSA": FOUND}, 30, classes=CLASSES, min_score=0.99)
    best = max(r["score"] for r in FOUND)
    assert [t.get_text() for t in fig.axes[0].get_yticklabels()] == [
        "truth\n2 segments", f"LoSA\n0 of 2 found, 0 wrong\nnothing above 0.99\nthe best is {precise(best)}"]


def test_a_single_track_is_not_judged():
    fig = timeline({"found": FOUND}, 30, classes=CLASSES)
    assert [t.get_text() for t in fig.axes[0].get_yticklabels()] == ["found\n2 segments"]
    assert not any(bar.get_hatch() for bar in bars(fig).values())
    assert [t.get_text() for t in fig.axes[0].get_legend().get_texts()] == ["fainter: lower score"]


@pytest.mark.parametrize("num_classes", [1, 3, 30])
def test_nothing_in_a_timeline_overlaps(num_classes):
    classes = [f"a long label {i}" for i in range(num_classes)]
    truth = [{"segment": [2 * i, 2 * i + 1.5], "label": c} for i, c in enumerate(classes)]
    fig = timeline({"truth": truth, "same": truth}, 60, classes=classes)
    ax = fig.axes[0]
    fig.draw_without_rendering()
    legends = [a.get_window_extent() for a in (*ax.artists, ax.get_legend()) if a is not None]
    boxes = [ax.xaxis.label.get_window_extent(), ax.get_window_extent(),
             *(box for box in legends)]
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other) or one is other
    assert min(box.y0 for box in boxes) >= 0


def test_labels_are_text_not_formulas():
    fig = timeline({"truth": [{"segment": [0, 9], "label": "$x_1^{"}]}, 10, classes=["$x_1^{"])
    fig.draw_without_rendering()


def test_one_legend_stands_for_several_timelines_and_says_only_what_is_there():
    bare = timeline({"found": FOUND}, 30, classes=CLASSES, legend=False)
    assert bare.axes[0].get_legend() is None
    sure = timeline({"truth": TRUTH, "same": TRUTH}, 30, classes=CLASSES, legend=CLASSES)
    assert "fainter: lower score" not in [t.get_text() for t in sure.axes[0].get_legend().get_texts()]
    (listed,) = [a for a in sure.axes[0].artists if hasattr(a, "get_texts")]
    assert [t.get_text() for t in listed.get_texts()] == list(CLASSES)


def test_titles_and_labels_of_a_timeline_are_no_formulas(tmp_path):
    strange = r"$\frac{$"
    fig = timeline({"truth": [{"segment": [1, 2], "label": strange}]}, 5, classes=[strange], title=strange)
    fig.savefig(tmp_path / "timeline.svg")
    assert strange in [text.get_text().replace("\\$", "$") for text in fig.findobj(lambda x: hasattr(x, "get_text"))]


def drawn(fig):
    """The figure as a notebook shows it, and as a file has it: RGBA arrays."""
    saved = io.BytesIO()
    shown = base64.b64decode(fig._repr_mimebundle_()["image/png"])
    fig.savefig(saved, dpi=90)
    return [np.asarray(Image.open(each).convert("RGBA")).reshape(-1, 4) for each in (io.BytesIO(shown), saved)]


@pytest.mark.parametrize("fig", [
    map_bars({"run": {"map": [0.5, 0.2], "tiou": [0.3, 0.5], "average_map": 0.4}}),
    figures.heat_map(np.array([[0.0, 1.0], [-2.0, 3.0]]), ["one", "two"], 9.0),
    figures.bar_charts([("chart", [("a bar", 0.5, "7", "#a8324f"), ("none", 0.0, "0", "#5a5ac8")])])])
def test_a_notebook_shows_grey_ink_without_ground_and_a_file_has_black_on_white(fig):
    """Contrast (WCAG 2.1) above 4 : 1 with white, and with #111111, JupyterLab's dark page."""
    shown, saved = drawn(fig)
    assert (shown[:, 3] == 0).mean() > 0.2 and shown[shown[:, 3] > 250, :3].max(1).min() > 75
    assert (saved[:, 3] == 255).all() and saved[:, :3].max(1).min() < 20
    assert (saved[:, :3] == 255).all(1).mean() > 0.2
    again = drawn(fig)  # showing it changed nothing for good
    assert again[1][:, :3].max(1).min() < 20
    grey = (((int(figures.GREY[1:3], 16) / 255) + 0.055) / 1.055) ** 2.4
    assert 1.05 / (grey + 0.05) > 4 and (grey + 0.05) / (0.0056 + 0.05) > 4


def test_a_picture_stays_itself_when_pyplot_has_a_format_for_all_figures(monkeypatch):
    shell = InteractiveShell()
    shell.display_formatter.formatters["image/png"].for_type(Figure, lambda fig: b"black on white")
    monkeypatch.setattr(figures, "get_ipython", lambda: shell)
    made = figures.Picture(figsize=(2, 1))
    assert shell.display_formatter.format(made)[0]["image/png"] == figures.notebook_png(made)


def test_a_map_shows_every_number_and_both_signs_around_the_middle_colour():
    values = np.array([[0.0, 1.0], [-2.0, 3.0]])
    image = figures.heat_map(values, ["one", "two"], 9.0, "$").axes[0].images[0]
    assert np.array_equal(image.get_array(), values) and image.get_clim() == (-3, 3)
    assert image.get_extent() == [0, 9, 2, 0]


def test_bar_charts_have_a_bar_of_its_share_and_colour_for_each_name():
    charts = [("left", [("a", 0.25, "1 of 4", "#a8324f"), ("b", 1.0, "9", "#5a5ac8")]),
              ("right", [("c", 0.5, "", "#000000")])]
    left, right = figures.bar_charts(charts).axes
    assert [(bar.get_width(), matplotlib.colors.to_hex(bar.get_facecolor())) for bar in left.patches] == [
        (0.25, "#a8324f"), (1.0, "#5a5ac8")]
    assert [t.get_text() for t in left.texts] == ["1 of 4", "9"] and right.patches[0].get_width() == 0.5
