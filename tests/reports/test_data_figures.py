"""Figures of the data: what they draw is where the numbers they were given say it is."""

import base64
import io
import itertools

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from PIL import Image

from helpers.paths import ROOT
from losa.reports import data_figures
from losa.world import motions
from widgets.figures import class_colours

CLASSES = ["a", "b", "c"]
COLOURS = class_colours(CLASSES)


def boxes(ax, colour=None):
    """(left, right) of every rectangle of that colour."""
    return [(round(p.get_x(), 3), round(p.get_x() + p.get_width(), 3)) for p in ax.patches
            if colour is None or to_hex(p.get_facecolor()) == colour.lower()]


def test_filmstrip_shows_the_frames_of_its_span():
    timestamps = np.arange(100) / 10
    frames = np.broadcast_to(np.arange(100, dtype=np.uint8)[:, None, None, None], (100, 4, 4, 3))
    fig = data_figures.filmstrip(lambda i: frames[i], timestamps, [{"segment": [3.0, 3.5], "label": "a"}], (2.5, 4.0),
                                 classes=CLASSES, num=4)
    *images, axis = fig.axes
    assert [int(ax.images[0].get_array()[0, 0, 0]) for ax in images] == [25, 30, 35, 40]
    assert [ax.texts[0].get_text() for ax in images] == ["2.5 s\n", "3.0 s\na", "3.5 s\n", "4.0 s\n"]  # its end is open
    assert axis.get_xlim() == (2.5, 4.0) and boxes(axis) == [(3.0, 3.5)]


@pytest.fixture
def grid():
    """A grid of 4 frames a second with tubelets of 2, clips of 8, and the points of two levels; all by hand."""
    points = np.array([0.125, 0.625, 1.125, 1.625, 2.125, 2.625, 3.125, 3.625, 0.125, 1.125, 2.125, 3.125])
    strides = np.array([0.5] * 8 + [1.0] * 4)
    ranges = np.array([(0.0, 0.6)] * 8 + [(0.6, 5000.0)] * 4)
    positive = np.isin(np.arange(12), [3, 10])
    return dict(fps=4.0, clip=2.0, tubelet=0.5, snippets=points[:8], points=(points, strides, ranges),
                positive=positive, margin=1.0, classes=CLASSES)


def test_time_grid_lays_everything_over_the_same_seconds(grid):
    fig = data_figures.time_grid({"segment": [1.5, 2.5], "label": "b"}, **grid)
    (ax,) = fig.axes
    assert ax.get_xlim() == (0.5, 3.5)
    drawn = boxes(ax)
    assert {(0, 2), (2, 4)} <= set(drawn)  # clips
    assert {(round(0.5 * i, 3), round(0.5 * i + 0.5, 3)) for i in range(1, 7)} <= set(drawn)  # tubelets
    frames = next(c for c in ax.collections if len(c.get_segments()) == 12).get_segments()
    assert [s[0][0] for s in frames] == pytest.approx(np.arange(2, 14) / 4)
    filled = [line.get_xdata().tolist() for line in ax.lines if line.get_color() == COLOURS["b"]
              and line.get_marker() == "o"]
    assert filled == [[1.625], [2.125]]  # the positive point of each level
    hollow = [line.get_xdata().tolist() for line in ax.lines if line.get_markerfacecolor() == "white"]
    assert list(map(len, hollow)) == [7, 3]
    # the bands of the level's middle points, 1.625 (nearest to 2.0, the first of two) and 2.125
    bands = boxes(ax, data_figures.BAND)
    assert bands == [(1.525, 2.125), (2.125, 2.725), (-4997.875, 1.525), (2.725, 5002.125)]
    names = [t.get_text() for t in ax.get_yticklabels()]
    assert names == ["annotation", "frames", "clips", "tubelets", "snippets", "level 0", "level 1"]
    said = [t.get_text() for t in ax.texts]
    assert "8 frames = 2.00 s: seen at once" in said
    assert "stride 2 snippets = 1 s\nregression range 0.6 s and more" in said


def test_nothing_in_the_time_grid_overlaps(grid):
    fig = data_figures.time_grid({"segment": [1.5, 2.5], "label": "b"}, **grid)
    fig.draw_without_rendering()
    (ax,) = fig.axes
    shown = [t.get_window_extent() for t in ax.texts if t.get_visible()]
    shown += [t.get_window_extent() for t in ax.get_yticklabels()] + [ax.xaxis.label.get_window_extent()]
    shown += [legend.get_window_extent() for legend in fig.legends]
    assert not [1 for one, other in itertools.combinations(shown, 2) if one.overlaps(other)]
    assert all(box.x0 >= 0 and box.x1 <= fig.bbox.x1 and box.y0 >= 0 for box in shown)


def test_time_grid_ends_where_the_video_does(grid):
    fig = data_figures.time_grid({"segment": [0.25, 3.6], "label": "b"}, **grid)
    assert fig.axes[0].get_xlim() == (0, 3.875)  # half a tubelet after the last snippet


def test_lengths_are_counted_at_their_level():
    fig = data_figures.length_levels([0.5, 0.6, 4.0, 30.0, 31.0], [0, 0, 2, -1, -1], 3)
    assert sorted(t.get_text() for t in fig.axes[0].get_legend().get_texts()) == [
        "level 0: 2", "level 2: 1", "no level: 2"]
    tops = {}
    for bar in fig.axes[0].patches:
        tops[bar.get_x()] = max(tops.get(bar.get_x(), 0), bar.get_y() + bar.get_height())
    assert sum(tops.values()) == 5


def test_durations_show_every_instance():
    fig = data_figures.durations({"a": [1.0, 2.0], "c": [5.0]}, CLASSES)
    dots = [c.get_offsets()[:, 0].tolist() for c in fig.axes[0].collections if isinstance(c, PathCollection)]
    assert dots == [[1.0, 2.0], [], [5.0]]
    assert [t.get_text() for t in fig.axes[0].get_yticklabels()] == ["a  (2)", "b  (0)", "c  (1)"]


def test_batch_windows_show_crop_and_padding():
    segments = [{"segment": [1, 3], "label": "a"}]
    window = {"title": "v", "duration": 20.0, "segments": segments, "window": (2.0, 18.0, 24.0)}
    (ax,) = data_figures.batch_windows([window], CLASSES).axes
    drawn = boxes(ax)
    assert {(1, 2), (2, 3), (2, 18), (18, 24)} <= set(drawn)
    assert (0, 2) in drawn and (18, 20) in drawn  # what this crop leaves out
    opacity = {box: patch.get_facecolor()[3] for box, patch in zip(drawn[:5], ax.patches, strict=False)}
    cut, kept = (pytest.approx(share * 0x33 / 255) for share in (0.3, 1))
    assert not _has_white(ax.figure)
    assert opacity == {(0, 2): cut, (1, 2): 0.3, (2, 18): kept, (2, 3): 1, (18, 20): cut}


def test_window_targets_have_a_cell_around_every_valid_point():
    mask, strides = np.arange(8) < 6, np.array([1] * 8 + [2] * 4)
    targets = np.zeros((12, 3))
    targets[2, 1] = targets[9, 2] = targets[7, 0] = 1  # the last one is masked
    fig = data_figures.window_targets({"last layer": np.random.randn(5, 6)}, mask,
                                      [{"segment": [1.5, 2.5], "label": "b"}], strides, targets, CLASSES)
    features, masked, segments, pyramid = fig.axes
    assert features.images[0].get_extent()[:2] == [-0.5, 5.5]
    assert boxes(masked) == [(-0.5, 5.5), (5.5, 7.5)] and boxes(segments) == [(1.5, 2.5)]
    assert len(pyramid.patches) == 6 + 3
    assert boxes(pyramid, COLOURS["b"]) == [(1.5, 2.5)] and boxes(pyramid, COLOURS["c"]) == [(1, 3)]
    assert not boxes(pyramid, COLOURS["a"])
    assert masked.patches[0].get_facecolor()[3] < 0.3  # bars without a class are veils, for light and dark pages
    assert min(patch.get_facecolor()[3] for patch in pyramid.patches) < 0.3


def test_every_class_and_filler_has_a_row_of_frames_and_no_white_sheet_behind_them():
    fig = data_figures.class_pictures()
    rows = {ax.get_title(loc="left"): ax for ax in fig.axes}
    assert [*rows] == [*motions.ACTIONS, *motions.OTHERS]
    frames = rows["jump"].images[0].get_array()
    assert frames.shape == (96, 8 * 98, 3) and (frames[:, :96] != frames[:, 98 * 4:98 * 4 + 96]).any()
    assert [text.get_text() for text in rows["walk"].texts] == ["filler: strides to another place, turning towards it"]
    assert np.mean(_pixels(fig)[..., 3] == 0) > 0.2


def _pixels(fig) -> np.ndarray:
    """What a notebook shows of a figure, (H, W, 4) uint8."""
    raw = base64.b64decode(fig._repr_mimebundle_()["image/png"])
    return np.asarray(Image.open(io.BytesIO(raw)).convert("RGBA"))


def _has_white(fig) -> bool:
    """Whether there are bars that glare on a dark page: sixty opaque near-white pixels side by side."""
    pixels = _pixels(fig)
    white = (pixels[..., :3].min(-1) > 225) & (pixels[..., 3] > 250)
    return bool((np.lib.stride_tricks.sliding_window_view(white, 60, 1).all(-1)).any())


def test_a_notebook_shows_figures_of_data_on_its_own_ground_in_grey_ink():
    fig = data_figures.durations({"a": [1.0, 2.0]}, CLASSES)
    pixels = _pixels(fig).reshape(-1, 4)
    assert (pixels[:, 3] == 0).mean() > 0.2 and pixels[pixels[:, 3] > 250, :3].max(1).min() > 75
    for path in (ROOT / "losa" / "reports", ROOT / "losa" / "inspection"):
        assert not [each.name for each in path.glob("*.py") if "pyplot" in each.read_text("utf8")], "use Picture"
