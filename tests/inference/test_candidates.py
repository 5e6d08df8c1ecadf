"""Files of candidates before suppression."""

import torch

from losa.inference.candidates import Raw, load_raw, save_raw


def test_raw_predictions_round_trip(tmp_path):
    raw = {"b": Raw(torch.tensor([[0.5, 2.0], [1.0, 3.0]]), torch.tensor([0.9, 0.2]), torch.tensor([1, 0])),
           "a": Raw(torch.zeros(0, 2), torch.zeros(0), torch.zeros(0, dtype=torch.long))}
    again, classes = load_raw(save_raw(tmp_path / "raw.npz", raw, ("x", "y")))
    assert list(again) == ["b", "a"] and classes == ("x", "y") and not list(tmp_path.glob(".*"))
    assert all(torch.equal(p, q) for name in raw for p, q in zip(raw[name], again[name], strict=True))
