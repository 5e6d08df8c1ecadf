"""The five ways of adapting: what gradient reaches, what starts as the frozen model, what is saved and kept."""

import pickle

import pytest
import torch
from safetensors.torch import load_file
from timm.utils import ModelEmaV3

from helpers.small_models import shaken
from losa.annotations.dataset import load_annotations
from losa.errors import CheckpointError
from losa.model.adapters import TemporalAdapter
from losa.model.checkpoint import load_model, save_model
from losa.model.losa import build
from losa.model.side_tokens import on_tokens
from losa.presets import PRESETS
from losa.studies.memory import MODES, forward, make_parts, saved_mib
from losa.taps.batch import stack
from losa.taps.live import LiveTaps
from losa.taps.open import open_features
from losa.taps.resampled import Resampled
from losa.taps.tuned import TunedTaps
from losa.training.state import swapped

CLIPS = torch.randint(0, 256, (40, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def videos(tiny):
    return load_annotations(tiny / "world" / "annotations.json").videos[:3]


def frozen(tiny, video, start=3, stop=31, **fields):
    """What the pretrained backbone gives."""
    source = open_features(PRESETS["tiny"](tiny, mode="head_only", cache="", **fields), (video,))
    return source.features(source.fetch(video, start, stop))[1]


def loss_of(config, source, videos):
    """A loss through a model of this config on windows of these videos, and that model."""
    torch.manual_seed(0)
    recipe = source.recipe
    model = build(config, dim=recipe.dim, num_taps=len(recipe.layers), num_classes=3,
                  clip_snippets=recipe.clip_length // recipe.tubelet)
    none = {"segments_grid": torch.zeros(0, 2), "labels": torch.zeros(0, dtype=torch.long)}
    batch = stack([{"fetched": source.fetch(v, 2, 40), "video": v.id, **none} for v in videos], source, "cpu")
    out = model(batch.taps, batch.last, batch.mask)
    return out.logits.square().mean() + out.offsets.square().mean(), model


# --- gradient -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_gradient_reaches_exactly_what_the_mode_trains(tiny, videos, mode):
    config = PRESETS["tiny"](tiny, mode=mode, cache="", taps=[1, 4])
    source = open_features(config, videos)
    if mode == "inside":
        shaken(source.tuned)  # behind a zero up-projection nothing but itself has a gradient
    loss, model = loss_of(config, source, videos[:2])
    loss.backward()
    reached = {p for p in source.backbone.parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert all(p.grad is not None for p in model.parameters())
    if mode in ("inside", "full"):
        trained = set(source.tuned.parameters())
        assert reached == trained == {p for p in source.backbone.parameters() if p.requires_grad}
        names = {n for n, p in source.backbone.named_parameters() if p in trained}
        assert all(n.startswith(("blocks.1.adapter", "blocks.4.adapter")) for n in names) == (mode == "inside")
        assert len(source.recipe.layers) == 0 and len(model.adapters) == 0
    else:
        assert source.tuned is None and not any(p.grad is not None or p.requires_grad
                                                for p in source.backbone.parameters())
        assert len(model.adapters) == {"losa": 2, "side_tokens": 2, "head_only": 0}[mode]


@pytest.mark.parametrize("mode", ["inside", "full"])
def test_no_graph_without_grad_mode_and_the_backbone_stays_in_eval_mode(tiny, videos, mode):
    source = open_features(PRESETS["tiny"](tiny, mode=mode), videos)
    fetched = source.fetch(videos[0], 0, 20)
    with torch.no_grad():
        assert not source.features(fetched)[1].requires_grad
    assert source.features(fetched)[1].requires_grad
    before = {n: b.clone() for n, b in source.backbone.named_buffers()}
    source.features(fetched)[1].sum().backward()
    assert before and all(torch.equal(b, before[n]) for n, b in source.backbone.named_buffers())
    assert not any(m.training for m in source.backbone.modules())


def test_a_step_of_full_lowers_the_loss_and_of_the_others_leaves_the_backbone(tiny, videos):
    config = PRESETS["tiny"](tiny, mode="full")
    source = open_features(config, videos)
    loss, model = loss_of(config, source, videos[:1])
    loss.backward()
    torch.optim.SGD([*source.tuned.parameters()], lr=1e-3).step()
    assert loss_of(config, source, videos[:1])[0] < loss


# --- inside ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [{}, dict(compute_dtype="bfloat16"), dict(clip_stride=8), dict(checkpointing=True),
                                    dict(snippet_frames=3.0)])
@pytest.mark.parametrize("mode", ["inside", "full"])
def test_before_training_it_is_the_frozen_model_bit_for_bit(tiny, videos, mode, fields):
    source = open_features(PRESETS["tiny"](tiny, mode=mode, **fields), videos)
    assert torch.equal(source.features(source.fetch(videos[0], 3, 31))[1], frozen(tiny, videos[0], **fields))
    same = open_features(PRESETS["tiny"](tiny, mode="head_only", cache="", **fields), videos).recipe
    assert source.recipe == same and isinstance(source, Resampled if "snippet_frames" in fields else TunedTaps)


def test_image_backbones_take_them_too(tiny, videos):
    fields = dict(backbone="timm/vit_tiny_patch16_224", weights="random", input_size=32, taps=[2], frame_stride=8)
    source = open_features(PRESETS["tiny"](tiny, mode="inside", checkpointing=True, **fields), videos)
    fetched = source.fetch(videos[0], 0, 4)
    assert torch.equal(source.features(fetched)[1], frozen(tiny, videos[0], 0, 4, **fields))
    shaken(source.tuned)
    source.features(fetched)[1].square().sum().backward()
    assert all(p.grad is not None for n, p in source.tuned.named_parameters())


# --- every token ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cache", [False, True])
def test_side_tokens_reads_every_token_and_its_model_has_losas_weights(tiny, videos, tmp_path, cache):
    config = PRESETS["tiny"](tiny, mode="side_tokens", cache=str(tmp_path) if cache else "", taps=[0, 3])
    source = open_features(config, videos[:1], quiet=True)
    assert source.recipe.grid == 4 and isinstance(source, LiveTaps) != cache
    tapped, _ = source.features(source.fetch(videos[0], 0, 16))
    live = open_features(config.replace(mode="losa", cache=""), ())
    tokens = live.backbone.embed(live.fetch(videos[0], 0, 8)["frames"].transpose(0, 1)[None])
    by_hand = live.backbone.as_map(live.backbone.blocks[0](tokens))[0]
    torch.testing.assert_close(tapped[0, :, :8], by_hand, rtol=2e-3, atol=2e-3)
    sizes = dict(dim=96, num_taps=2, num_classes=3, clip_snippets=8)
    side, plain = build(config, **sizes), build(config.replace(mode="losa"), **sizes)
    assert {k: v.shape for k, v in side.state_dict().items()} == {k: v.shape for k, v in plain.state_dict().items()}
    assert type(side.adapters[0][0]) is on_tokens(TemporalAdapter)


# --- weights --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["inside", "full"])
def test_what_was_tuned_comes_back_from_a_run(tiny, videos, tmp_path, mode):
    config = PRESETS["tiny"](tiny, mode=mode, taps=[0, 5])
    source = open_features(config, videos)
    fetched = source.fetch(videos[0], 0, 20)
    before = source.features(fetched)[1].detach()
    shaken(source.tuned)
    after = source.features(fetched)[1].detach()
    _, model = loss_of(config, source, videos[:1])
    save_model(model, tmp_path / "model.safetensors", config, ("a", "b", "c"), source.recipe.describe(), source.tuned)
    again = open_features(config.replace(checkpointing=True), videos, run=tmp_path)
    assert torch.equal(again.features(fetched)[1], after) and not torch.equal(before, after)
    assert torch.equal(open_features(config, videos).features(fetched)[1], before)
    loaded, _, _ = load_model(tmp_path, backbone=again.recipe.describe())
    assert {k: v.shape for k, v in loaded.state_dict().items()} == {k: v.shape for k, v in model.state_dict().items()}
    held = {k for k in load_file(tmp_path / "model.safetensors") if k.startswith("tuned.")}
    assert held == {f"tuned.{k}" for k in source.tuned.state_dict()}

    other = config.replace(mode="inside", taps=[2])
    with pytest.raises(CheckpointError, match="tensors of a tuned backbone do not fit: .*same mode, backbone, taps"):
        open_features(other, videos, run=tmp_path)
    save_model(model, tmp_path / "frozen.safetensors", config, ("a", "b", "c"), source.recipe.describe())
    with pytest.raises(CheckpointError, match="nothing was tuned inside the backbone; give a run of the same mode"):
        open_features(config, videos, run=tmp_path / "frozen.safetensors")
    with pytest.raises(FileNotFoundError, match="no model at"):
        open_features(config, videos, run=tmp_path / "none")


def test_swapped_computes_with_the_other_weights_and_gives_them_back(tiny, videos):
    source = open_features(PRESETS["tiny"](tiny, mode="full"), videos)
    fetched = source.fetch(videos[0], 0, 20)
    ema = ModelEmaV3(source.tuned, decay=0.5)
    plain = source.features(fetched)[1].detach()
    optimiser = torch.optim.AdamW(shaken(source.tuned).parameters(), lr=1e-3)
    ema.update(source.tuned, 9)
    now, kept = source.features(fetched)[1].detach(), [p.data_ptr() for p in source.tuned.parameters()]
    with swapped(source.tuned, ema.module):
        between = source.features(fetched)[1]
        assert not torch.equal(between, now) and not torch.equal(between, plain)
    assert torch.equal(source.features(fetched)[1], now) and kept == [p.data_ptr() for p in source.tuned.parameters()]
    with pytest.raises(KeyError), swapped(source.tuned, ema.module):
        raise KeyError
    assert torch.equal(source.features(fetched)[1], now)
    source.features(fetched)[1].sum().backward()
    optimiser.step()
    assert not torch.equal(source.features(fetched)[1], now)
    with swapped(None, None):
        pass


# --- frames kept, activations not -----------------------------------------------------------------------------------


def test_frames_are_decoded_once_and_are_what_a_fresh_reader_gives(tiny, videos, monkeypatch):
    config = PRESETS["tiny"](tiny, mode="inside", clip_stride=8, copies=3)
    source, fresh = open_features(config, videos), open_features(config.replace(mode="head_only", cache=""), ())
    stretches = [(v, a, b, c) for v in videos[:2] for a, b in ((0, 9), (5, 30), (11, 12)) for c in (0, 2)]
    expected = [fresh.fetch(*s) for s in stretches]
    reads, read = [], LiveTaps.read
    monkeypatch.setattr(LiveTaps, "read", lambda self, *a: reads.append(a) or read(self, *a))
    for _ in range(2):
        for s, e in zip(stretches, expected, strict=True):
            got = source.fetch(*s)
            assert torch.equal(got["frames"], e["frames"]) and got["lead"] == e["lead"]
        assert len(reads) == 4, "a video of each copy once"
    sent = pickle.dumps(source)
    assert len(sent) < 200_000 and pickle.loads(sent).tuned is None


def test_frames_beyond_the_room_and_new_copies_are_decoded_again(tiny, videos):
    source = open_features(PRESETS["tiny"](tiny, mode="inside", copies=0), videos)
    source.fetch(videos[0], 0, 9, 7)
    assert not source._kept
    one = source.num_frames(videos[0]) * 3 * source.recipe.input_size ** 2
    source.keep_bytes = one + 5
    for video in (videos[0], videos[1]):
        source.fetch(video, 0, 9)
    assert sum(frames.nbytes for frames in source._kept.values()) == one


@pytest.mark.parametrize("mode", ["inside", "full"])
def test_checkpointing_gives_equal_gradients_and_keeps_less(mode):
    found, saved = [], []
    for again in (False, True):
        parts = make_parts(mode, "videomae_s", 32, "cpu", again)
        if mode == "inside":
            torch.manual_seed(1)
            shaken(parts.tuned)
        weights = {p.untyped_storage().data_ptr() for m in (parts.backbone, parts.model) for p in m.parameters()}
        saved.append(saved_mib(lambda p=parts: forward(p, CLIPS, chunk=2), weights))
        forward(parts, CLIPS, chunk=2).backward()
        found.append([p.grad for p in parts.trained()])
    assert saved[1] < 0.3 * saved[0]
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)
