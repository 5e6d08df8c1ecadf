"""The lesson's pictures, of every kind of run: drawn, or a sentence that says why not."""

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import papermill
import pytest
from IPython.display import Markdown

from helpers.paths import ROOT
from helpers.small_runs import small_run
from losa.errors import RunError
from losa.inspection.lesson_desk import gate_desk, show_average_map
from losa.inspection.lesson_figures import draw_clip, draw_sight, draw_taps, draw_truth, fold, or_say, reach
from losa.inspection.model_internals import features_view, gates_view
from widgets.figures import Picture

KINDS = ("world", "image", "videomae", "features", "head_only", "side_tokens", "channel", "concat")  # seconds each
NO_GATES = {"features", "head_only", "concat"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_run_has_its_pictures_or_says_why_not(tiny, kind):
    """Of every backbone, with and without taps, gates and places; what 05 shows of a model, too."""
    run = small_run(tiny, kind)
    video, config = next(iter(run.videos.values())), run.config
    clip, taps = draw_clip(run, video, 8), draw_taps(run, video)
    num_taps = len(run.model.adapters)
    if kind == "features":
        assert "no backbone to look into" in clip.data
    else:
        across = [ax for ax in clip.axes if ax.images]
        assert len(across) == 8 * (1 + (num_taps or len(clip.axes) // 8 - 1)) and across[0].get_ylabel() == "frames"
    labels = [text.get_text() for text in taps.axes[0].get_yticklabels()]
    assert labels[-1] == "last layer" and len(labels) == num_taps + 1 == len(taps.axes[0].images[0].get_array())
    with_gates = kind not in NO_GATES
    for shown in (gate_desk(run, video.id), show_average_map(run)):
        assert hasattr(shown, "data") if not with_gates else not str(getattr(shown, "data", "")).startswith("> **Not")
        if not with_gates:
            assert "no gates to turn by hand" in shown.data and f"mode {config.mode}, gate {config.gate}" in shown.data
    assert len(gates_view(run, video.id)["layers"]) == num_taps
    assert len(features_view(run, video.id, 20)["taps"]) == num_taps + 2


@pytest.mark.parametrize("kind, titles", [("image", ["backbone: 0 snippets = 0.0 s", "short: 5 snippets = 1.2 s"]),
                                          ("short", ["backbone: 7 snippets = 1.2 s", "short: 5 snippets = 0.8 s"])])
def test_titles_say_how_far_each_part_sees(tiny, kind, titles):
    run = small_run(tiny, kind)
    fig = draw_sight(run, next(iter(run.videos.values())), 9, 1)
    assert [ax.get_title() for ax in fig.axes][:2] == titles
    assert len(fig.axes) == (2 if kind == "short" else 3)


def test_reach_is_the_farthest_output_that_changes():
    assert reach(np.eye(5)) == 0 and reach(np.zeros((3, 3))) == 0
    assert reach(np.eye(5) + np.eye(5, k=-3) * 1e-3 + np.eye(5, k=4) * 1e-9) == 3


def test_only_what_a_run_cannot_show_is_said_in_a_sentence():
    def show(error):
        raise error

    assert or_say(show)(RunError("no gates")).data == "> **Not for this run:** no gates."
    with pytest.raises(ValueError, match="a bug"):
        or_say(show)(ValueError("a bug"))


def test_what_happens_is_drawn_over_the_seconds_of_the_video(run):
    video = next(iter(run.videos.values()))
    fig, ax = plt.subplots()
    plt.close(fig)
    draw_truth(run, video, ax)
    drawn = {(round(bar.get_x(), 3), round(bar.get_x() + bar.get_width(), 3)) for bar in ax.patches}
    assert {tuple(round(x, 3) for x in r["segment"]) for r in run.truth[video.id]} <= drawn
    assert ax.get_xlim() == (0, pytest.approx(video.duration))


@pytest.mark.parametrize("kind", ["image", "features"])
def test_the_lesson_runs_from_top_to_bottom_without_a_warning(tiny, tmp_path, kind):
    """On a model of images, the default for one's own videos, and where nearly every section has to say why not."""
    run = small_run(tiny, kind)
    papermill.execute_notebook(str(ROOT / "notebooks" / "06_how_losa_works.ipynb"), str(tmp_path / "06.ipynb"),
                               {"run_dir": str(run.path), "num_clips": 2}, kernel_name="python3", progress_bar=False)
    cells = [cell for cell in nbformat.read(tmp_path / "06.ipynb", 4).cells if cell.cell_type == "code"]
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type in ("stream", "error")]
    said = "".join(str(output.get("data", {}).get("text/markdown", "")) for output in outputs)
    assert ("no backbone to look into" in said) == (kind == "features") and "kept none; train it anew" in said
    silent = [cell.source for cell in cells if not cell.outputs]  # parameters, papermill's own, and the imports
    assert len(silent) == 3 and "import losa" in silent[2], silent


def test_what_answers_a_question_is_folded_and_the_same_at_every_execution():
    table, fig = pd.DataFrame({"mAP": [0.5]}).style, Picture()
    fig.subplots().plot([1, 2])
    for shown, inside in ((table, "0.5"), (fig, "data:image/png;base64,")):
        page = fold(shown, "a < b").data
        assert page.startswith("<details><summary>a &lt; b</summary>") and inside in page
        assert page == fold(shown, "a < b").data
    assert fold(Markdown("not for this run"), "Show").data == "not for this run"
