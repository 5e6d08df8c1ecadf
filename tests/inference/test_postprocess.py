"""From candidates to records: suppression and voting by the config."""

import numpy as np
import pytest
import torch

from helpers.made_sources import a_video
from losa.config import Config
from losa.evaluation.ground_truth import make_truth
from losa.inference.candidates import Raw
from losa.inference.postprocess import suppress


def test_suppress_and_truth_give_records():
    raw = {"v": Raw(torch.tensor([[0.0, 2.0], [0.0, 2.0]]), torch.tensor([0.9, 0.8]), torch.tensor([1, 1]))}
    first, second = suppress(raw, Config(nms_sigma=0.5), ("x", "y"))["v"]
    assert first == {"segment": [0.0, 2.0], "label": "y", "score": pytest.approx(0.9)}
    assert second["score"] == pytest.approx(0.8 * np.exp(-1 / 0.5))
    assert make_truth([a_video()], ("x", "y"))["a"][1] == {"segment": [30.0, 31.0], "label": "y"}


@pytest.mark.parametrize("weight, class_wise, expected", [
    ("score_tiou", True, (0.8 * 10 + 0.4 * 0.9 * 11) / (0.8 + 0.4 * 0.9)),
    ("score", True, (0.8 * 10 + 0.4 * 11) / (0.8 + 0.4)),
    ("score", False, (0.8 * 10 + 0.4 * 11 + 0.6 * 10.5) / (0.8 + 0.4 + 0.6)),
])
def test_candidates_vote_on_an_end_by_the_style_and_the_classes_of_the_config(weight, class_wise, expected):
    """[1, 10] at 0.8 with its neighbour [1, 11] at 0.4 (tIoU 9/10) and, of another class, [1, 10.5] at 0.6."""
    raw = {"v": Raw(torch.tensor([[1.0, 10.0], [1.0, 10.5], [1.0, 11.0]]), torch.tensor([0.8, 0.6, 0.4]),
                    torch.tensor([0, 1, 0]))}
    config = Config.make(voting=0.75, voting_weight=weight, class_wise_nms=class_wise, max_segments=1)
    (kept,) = suppress(raw, config, ("a", "b"))["v"]
    assert kept["segment"] == pytest.approx([1.0, expected], abs=1e-5) and kept["score"] == pytest.approx(0.8)
    plain = suppress(raw, config.replace(voting=0.0), ("a", "b"))["v"]
    assert plain[0]["segment"] == [1.0, 10.0]
