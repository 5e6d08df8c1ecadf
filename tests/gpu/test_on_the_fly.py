"""The on-the-fly training step (decode -> frozen chunks -> adapters -> step), on a GPU and as a CPU twin."""

import json

import pytest
import torch

from losa.annotations.dataset import load_annotations
from losa.backbones import vit as backbones
from losa.backbones.checkpoints import VIDEOMAE
from losa.backbones.clips import extract_taps, tap_layers
from losa.backbones.load import freeze_backbone, weights_id
from losa.model.losa import build
from losa.presets import PRESETS
from losa.taps.batch import stack
from losa.taps.cache_key import TapRecipe
from losa.taps.live import LiveTaps
from losa.training.optimiser import make_optimiser
from losa.training.train import batch_losses, split_batch, train
from losa.training.windows import Windows


def one_step(tiny, backbone, device, autocast=False):
    """Loss before the step and the model after it, for two windows of the tiny world."""
    config = PRESETS["tiny"](tiny, cache="", drop_path=0.0)
    videos = load_annotations(config.annotations).subset("train")
    source = LiveTaps(backbone.to(device), TapRecipe.make(config, backbone))
    torch.manual_seed(0)
    model = build(config, dim=backbone.dim, num_taps=len(source.recipe.layers), num_classes=10, clip_snippets=8)
    model = model.to(device)
    optimiser = make_optimiser(model, config)
    windows = Windows(videos, source, config.window)
    (some, targets, _), = split_batch([windows[0, 0], windows[0, 1]], config, 10, torch.device(device))
    batch = stack(some, source, device)
    with torch.autocast(device, torch.bfloat16, enabled=autocast):
        cls, reg = batch_losses(model, batch, targets, config, 100.0)
    (cls + reg).backward()
    optimiser.step()
    return float((cls + reg).detach()), model, source


def small_backbone():
    torch.manual_seed(0)
    return freeze_backbone(backbones.VideoViT(dim=24, depth=3, num_heads=2))


def test_cpu_twin_takes_a_step_and_leaves_the_backbone_alone(tiny):
    backbone = small_backbone()
    before = weights_id(backbone)
    loss, model, source = one_step(tiny, backbone, "cpu")
    assert loss > 0 and weights_id(source.backbone) == before
    assert all(p.grad is not None for p in model.parameters())
    assert all(p.grad is None for p in backbone.parameters())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_gpu_step_agrees_with_the_cpu_twin(tiny):
    torch.backends.cudnn.allow_tf32 = False
    on_cpu, twin, _ = one_step(tiny, small_backbone(), "cpu")
    on_gpu, model, _ = one_step(tiny, small_backbone(), "cuda")
    assert on_gpu == pytest.approx(on_cpu, rel=1e-3)
    assert one_step(tiny, small_backbone(), "cuda", autocast=True)[0] == pytest.approx(on_cpu, rel=5e-2)
    for (name, a), b in zip(model.named_parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(a.grad.cpu(), b.grad, rtol=5e-2, atol=1e-4, msg=name)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_vit_g_taps_keep_no_backbone_activation():
    """ViT-g frozen in bf16: peak memory does not grow with the number of clips, whose tokens would take gigabytes."""
    backbone = backbones.VideoViT(**VIDEOMAE["videomae_g"], input_size=224)
    backbone = freeze_backbone(backbone).to("cuda", torch.bfloat16)
    layers = tap_layers("all", backbone.depth)
    peaks = []
    for clips in (8, 32):
        frames = torch.randint(0, 256, (16 * clips, 3, 224, 224), dtype=torch.uint8)
        torch.cuda.reset_peak_memory_stats()
        extract_taps(backbone, frames, layers, chunk=4)
        peaks.append(torch.cuda.max_memory_allocated() / 2**20)
    assert peaks[1] - peaks[0] < 200


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_training_on_the_fly_on_a_gpu(tiny, tmp_path):
    config = PRESETS["tiny"](tiny, cache="", precision="bf16", compute_dtype="bfloat16", epochs=2)
    train(config, tmp_path / "run", quiet=True)
    rows = [json.loads(row) for row in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["cls_loss"] < rows[0]["cls_loss"]
