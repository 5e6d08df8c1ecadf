"""The lesson's measurements against what is known of the model: reaches, gates, memory and gradient of each mode."""

import numpy as np
import pytest
import torch

from helpers.small_runs import small_run
from losa.inspection import lesson
from losa.inspection.lesson import LEAST, by_hand, clip_tokens, colours, sight, tapped_blocks, training_step
from losa.inspection.timeline_data import make_rescore


@pytest.fixture(scope="module")
def video(run):
    return next(iter(run.videos.values()))


def test_colours_keep_what_is_alike_alike_and_are_colours():
    x = torch.randn(8, 5, 4)
    x[:, 3] = x[:, 1]
    found = colours(x)
    assert found.shape == (5, 4, 3) and found.min() == 0 and found.max() == 1
    np.testing.assert_array_equal(found[3], found[1])
    assert np.ptp(colours(torch.ones(8, 6))) == 0
    assert colours(torch.randn(8, 1)).shape == (1, 3) and colours(torch.randn(2, 5)).shape == (5, 3)


def test_each_range_reaches_as_far_as_it_is_made_to(run, video):
    seen = sight(run, video, 1, num_clips=3)  # 24 snippets
    per_clip, near = 8, np.abs(np.subtract.outer(np.arange(24), np.arange(24)))
    clip = np.arange(24) // per_clip
    assert list(seen) == ["backbone", "short", "long"] and all(x.shape == (24, 24) for x in seen.values())
    np.testing.assert_array_equal(seen["backbone"] > 1e-5, clip[:, None] == clip)
    np.testing.assert_array_equal(seen["short"] > 1e-5, near <= run.config.short_window + 1)
    assert (seen["long"] > 0).all()


def test_gates_as_they_were_learnt_give_the_runs_predictions_and_others_do_not(run, video):
    learnt = run.model.fusion.static_gates().mean(2).detach().numpy()
    gates, sigma = learnt.copy(), run.config.nms_sigma
    rescore, before = by_hand(run, gates), run.model.state_dict()["fusion.gate"].clone()
    same, expected = rescore(sigma, video.id), make_rescore(run)(sigma, video.id)
    assert [r["label"] for r in same["records"]] == [r["label"] for r in expected["records"]]
    for name in ("segment", "score"):
        np.testing.assert_allclose(*([r[name] for r in x["records"]] for x in (same, expected)), atol=1e-4)
    done = []
    table = rescore(sigma, None, progress=lambda *n: done.append(n))["table"]
    assert table["average"].keys() == run.table["average"].keys() and done[-1] == (len(run.videos), len(run.videos))
    gates[:] = 0
    closed = rescore(sigma, video.id)["records"]
    assert [r["score"] for r in closed] != [r["score"] for r in same["records"]]
    assert run.model.fusion.gate.equal(before)  # the run's own model is as it was


def test_closed_gates_leave_the_last_layer_alone(run, video):
    """What a model without adapters would give: its fusion's norm of the last layer, then the head."""
    closed = by_hand(run, np.zeros((len(run.model.adapters), 2)))(run.config.nms_sigma, video.id)["records"]
    source, model = run.source(video), run.model
    taps, last = (x[None] for x in source.features(source.fetch(video, 0, source.num_snippets(video))))
    mask = torch.ones(1, last.shape[2], dtype=torch.bool)
    alone = (last - model.last_mean[:, None]) / model.last_std[:, None]
    logits, _, _ = model.head(model.fusion.norm(alone.transpose(1, 2)).transpose(1, 2), mask)
    assert closed[0]["score"] == pytest.approx(logits.sigmoid().max().item(), abs=1e-4)


def test_a_model_without_gates_says_so(run):
    other = lesson.replace(run)
    other.model = torch.nn.Module()
    other.model.fusion, other.model.adapters = torch.nn.Identity(), [1]
    with pytest.raises(ValueError, match="no gates to turn by hand"):
        by_hand(other, np.zeros((1, 2)))


def test_books_of_each_mode(run, video):
    books = {mode: training_step(run.config, video, len(run.classes), mode, num_clips=2)
             for mode in ("head_only", "losa", "inside", "full")}
    stages = list(books["losa"])
    inside = [stage for stage in stages if stage == "stem" or stage.startswith("block")]
    assert stages == [*inside, "adapters", "head", "loss"] and len(inside) == 7
    for mode in ("head_only", "losa"):  # nothing is kept in the backbone and no gradient gets there
        assert not any(books[mode][stage][what] for stage in inside for what in ("kept", "gradient"))
    for stage in ("adapters", "head"):
        assert all(book[stage]["gradient"] > 0 for book in books.values())
    assert books["losa"]["adapters"]["kept"] > 10 * books["head_only"]["adapters"]["kept"]
    assert books["inside"]["stem"] == {"kept": 0.0, "gradient": 0.0}
    assert all(books["inside"][stage]["gradient"] > 0 for stage in inside[1:])
    assert books["inside"]["block 0"]["kept"] < 0.5 * books["inside"]["block 1"]["kept"]
    assert books["full"]["stem"]["gradient"] > 0
    assert books["full"]["stem"]["kept"] > books["full"]["block 1"]["kept"] > books["inside"]["block 1"]["kept"]


def test_a_run_that_shows_nothing_of_a_backbone_says_so(run, video):
    other = lesson.replace(run, config=run.config.replace(snippets_per_video=64))
    for looked in (lambda: sight(other, video, 0, 2), lambda: training_step(other.config, video, 10, "losa", 2)):
        with pytest.raises(ValueError, match="give a run without features, snippet_frames"):
            looked()
    with pytest.raises(ValueError, match="tap 6 of a run with 6"):
        sight(run, video, 6, 2)
    agnostic = training_step(run.config.replace(class_agnostic=True), video, 10, "head_only", num_clips=2)
    assert agnostic["head"]["gradient"] > 0


@pytest.mark.parametrize("kind, blocks, tokens", [("image", [0, 2], (2, 64, 8, 2, 2)),
                                                  ("videomae", [5, 11], (2, 384, 8, 2, 2)),
                                                  ("head_only", [*range(6)], (6, 96, 8, 4, 4))])
def test_tokens_of_a_clip_are_the_backbones_own(tiny, kind, blocks, tokens):
    """Also of single frames, and where the run taps nothing; their mean over space is what the taps hold."""
    run = small_run(tiny, kind)
    video, live = next(iter(run.videos.values())), lesson.backbone_of(run)
    seen = clip_tokens(run, video, 1)
    assert tapped_blocks(run) == seen["blocks"] == blocks and seen["tokens"].shape == tokens
    assert seen["frames"].shape == (8, live.recipe.input_size, live.recipe.input_size, 3)
    first = round(float(live.time_grid(video).to_grid(seen["start"])))
    assert first == live.recipe.clip_length // live.recipe.tubelet
    source = run.source(video)
    if kind != "head_only":
        taps, _ = source.features(source.fetch(video, first, first + 8))
        np.testing.assert_allclose(seen["tokens"].mean((3, 4)), taps[..., 0, 0], atol=0.02)  # stored as fp16
    last = clip_tokens(run, video, 10_000)
    assert last["tokens"].shape[2] == len(last["frames"]) >= 1


def test_what_was_trained_inside_the_backbone_is_looked_into(tiny):
    """Not the pretrained weights: the last block's tokens lead to the last layer that the run itself computes."""
    run = small_run(tiny, "full")
    video, live = next(iter(run.videos.values())), lesson.backbone_of(run)
    weights = next(live.backbone.parameters())
    assert torch.equal(weights, next(run.source(video).backbone.parameters()))
    assert not clip_tokens(run, video, 0)["tokens"].requires_grad


def test_a_model_of_images_sees_single_frames_and_its_adapters_as_far_as_others(tiny):
    run = small_run(tiny, "image")
    seen = sight(run, next(iter(run.videos.values())), 1, num_clips=2)
    near = np.abs(np.subtract.outer(np.arange(LEAST), np.arange(LEAST)))
    np.testing.assert_array_equal(seen["backbone"] > 1e-5, near == 0)
    np.testing.assert_array_equal(seen["short"] > 1e-6 * seen["short"].max(), near <= run.config.short_window + 1)
    assert (seen["long"] > 0).all()


def test_where_clips_overlap_and_where_nothing_is_tapped(tiny):
    run = small_run(tiny, "overlap")
    seen = sight(run, next(iter(run.videos.values())), 0, num_clips=3)
    far = np.abs(np.subtract.outer(np.arange(24), np.arange(24)))
    assert seen["backbone"].shape == (24, 24) and not (seen["backbone"][far > 7] > 1e-5).any()
    assert (seen["backbone"] > 1e-5).sum() > 3 * 8 * 8  # more than three clips that do not overlap
    head = small_run(tiny, "head_only")
    assert list(sight(head, next(iter(head.videos.values())), 3, num_clips=1)) == ["backbone"]
