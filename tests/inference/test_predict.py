"""Prediction: windows that share a video, files, and the ground truth in evaluate's records."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers.made_sources import Waves, a_video
from losa.config import Config
from losa.inference.predict import predict, predict_video, video_gates, window_spans
from losa.model.losa import build


@pytest.mark.parametrize("align", [1, 8])
@pytest.mark.parametrize("total, window, overlap", [(10, 20, 0.5), (20, 20, 0.5), (21, 20, 0.5), (100, 20, 0.5),
                                                    (97, 30, 0.25), (97, 30, 0.0), (390, 128, 0.3)])
def test_every_position_is_answered_exactly_once_and_far_from_edges(total, window, overlap, align):
    spans = window_spans(total, window, overlap, align)
    assert all(start % align == 0 for start, *_ in spans)
    for position in np.arange(0, total, 0.5):
        owners = [(a, b) for a, b, low, high in spans if low <= position < high]
        assert len(owners) == 1
        start, stop = owners[0]
        assert start <= position <= stop and start >= 0 and stop <= total
    assert len(spans) == 1 or all(b - a == window for a, b, _, _ in spans[:-1])
    assert window - align < spans[-1][1] - spans[-1][0] <= window or len(spans) == 1


def test_a_long_video_in_windows_equals_the_video_in_one_piece():
    """With short ranges only and a small head, a window's middle does not feel its edges."""
    config = Config.make(ranges="short", short_window=1, head_dim=16, head_levels=2, head_stem=0, head_window=3,
                         window=600, pre_nms_score=0.0, pre_nms_topk=100_000)
    torch.manual_seed(0)
    model = build(config, dim=8, num_taps=2, num_classes=3, clip_snippets=8).eval()
    torch.nn.init.constant_(model.head.regress.out.bias, 60.0)  # segments far longer than a window's margin
    video, source = a_video(), Waves(390)
    whole = predict_video(model, source, video, config)
    parts = predict_video(model, source, video, config.replace(window=128))
    assert len(whole.scores) == len(parts.scores) > 500
    rows = lambda raw: np.array(sorted(zip(raw.segments[:, 0].tolist(), raw.segments[:, 1].tolist(),  # noqa: E731
                                           raw.labels.tolist(), raw.scores.tolist(), strict=True)))
    np.testing.assert_allclose(rows(whole), rows(parts), atol=2e-3)
    assert (whole.segments[:, 1] - whole.segments[:, 0]).max() > 40
    assert (whole.segments >= 0).all() and (whole.segments <= video.duration).all()


def test_candidates_end_with_the_video():
    """The source has 130 s of snippets, the video 100 s: what lies beyond is clipped, what only lies there is gone."""
    config = Config.make(head_dim=16, head_levels=2, pre_nms_score=0.0)
    model = build(config, dim=8, num_taps=2, num_classes=3, clip_snippets=8).eval()
    short, long = (predict_video(model, Waves(520), replace(a_video(), duration=seconds), config)
                   for seconds in (100.0, 130.0))
    assert short.segments.max() <= 100 < long.segments.max() and len(short.scores) < len(long.scores)
    assert (short.segments[:, 1] > short.segments[:, 0]).all()


def test_topk_keeps_the_best():
    config = Config.make(head_dim=16, head_levels=2, pre_nms_score=0.0, pre_nms_topk=10)
    torch.manual_seed(0)
    model = build(config, dim=8, num_taps=2, num_classes=3, clip_snippets=8).eval()
    torch.nn.init.constant_(model.head.regress.out.bias, 2.0)  # segments of some length everywhere
    few = predict_video(model, Waves(300), a_video(), config)
    many = predict_video(model, Waves(300), a_video(), config.replace(pre_nms_topk=5000))
    assert len(few.scores) == 10 and torch.equal(few.scores, many.scores[:10])


class Lengths(Waves):
    """Videos of different lengths, told by their names."""

    def num_snippets(self, video):
        return int(video.id)


@pytest.mark.parametrize("most", [2**24, 2 * 3 * 8 * 128])
def test_windows_of_many_videos_run_together_as_each_alone(monkeypatch, most):
    monkeypatch.setattr("losa.inference.predict.BATCH_NUMBERS", most)
    config = Config.make(head_dim=16, head_levels=2, pre_nms_score=0.0, window=128, long_keys=8)
    model = build(config, dim=8, num_taps=2, num_classes=3, clip_snippets=8).eval()
    torch.nn.init.constant_(model.head.regress.out.bias, 2.0)
    videos, source = [a_video(name) for name in ("300", "90", "128", "127", "40", "301", "96")], Lengths(0)
    sizes = []
    model.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    together = predict(model, source, videos, config, quiet=True)
    assert max(sizes) == (8 if most > 2**20 else 2)
    alone = {v.id: predict_video(model, source, v, config) for v in videos}
    assert list(together) == list(alone)
    for name, raw in alone.items():
        assert len(raw.scores) == len(together[name].scores) > 50
        torch.testing.assert_close(together[name].scores, raw.scores, rtol=0, atol=1e-5)
        rows = [sorted(zip(x.labels.tolist(), x.segments.tolist(), strict=True)) for x in (raw, together[name])]
        torch.testing.assert_close(*(torch.tensor([end for _, ends in r for end in ends]) for r in rows), rtol=0,
                                   atol=1e-3)


def test_gates_of_a_video_are_those_of_the_forward_pass():
    config = Config.make(head_dim=16, head_levels=2, gate="sigmoid")
    torch.manual_seed(0)
    model, source = build(config, dim=8, num_taps=2, num_classes=3, clip_snippets=8).eval(), Waves(40)
    gates = video_gates(model, source, a_video())
    tapped, last = source.features(source.fetch(None, 0, 40))
    with torch.no_grad():
        expected = model(tapped[None], last[None], torch.ones(1, 40).bool()).gates[0]
    assert gates.shape == (2, 2, 40) and torch.equal(gates, expected) and gates.std() > 0
    alone = build(config.replace(gate="concat"), dim=8, num_taps=2, num_classes=3, clip_snippets=8).eval()
    assert video_gates(alone, source, a_video()) is None
