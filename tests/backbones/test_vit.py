"""Frozen backbones: time grid, chunks, overlap, image ViTs against timm itself, weights that do not fit."""

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from losa.backbones import vit as backbones
from losa.backbones.checkpoints import VIDEOMAE
from losa.backbones.clips import clip_starts, extract_taps, resize_frames, tap_layers
from losa.backbones.load import freeze_backbone, load_backbone
from losa.backbones.vit import VideoViT

FRAMES = torch.randint(0, 256, (41, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def small(**options):
    torch.manual_seed(0)
    return freeze_backbone(VideoViT(dim=24, depth=3, num_heads=2, input_size=16, patch=8, **options))


@pytest.mark.parametrize("options", [{}, dict(stem="conv"), dict(contrast=True)])
def test_one_clip_equals_running_the_blocks_by_hand(options):
    model = small(**options)
    clip = FRAMES[:16].transpose(0, 1)[None]
    tokens, by_hand = model.embed(clip), []
    for block in model.blocks:
        tokens = block(tokens)
        by_hand.append(tokens.reshape(8, 2, 2, 24).permute(3, 0, 1, 2))
    tapped, last = extract_taps(model, FRAMES[:16], (0, 2), grid=2)
    torch.testing.assert_close(tapped, torch.stack([by_hand[0], by_hand[2]]))
    mean = by_hand[2].mean((2, 3)).T
    torch.testing.assert_close(last, torch.nn.functional.layer_norm(mean, (24,), eps=1e-6).T, rtol=1e-4, atol=1e-5)


def test_chunk_size_does_not_matter_and_time_is_stitched():
    model = small()
    one, many = extract_taps(model, FRAMES, (0, 1), chunk=1), extract_taps(model, FRAMES, (0, 1), chunk=50)
    assert one[0].shape == (2, 24, 21, 1, 1) and one[1].shape == (24, 21)
    torch.testing.assert_close(one, many, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(one[1][:, 8:16], extract_taps(model, FRAMES[16:32], ())[1], rtol=1e-4, atol=1e-5)


def test_last_clip_repeats_its_last_frame():
    model = small()
    padded = torch.cat([FRAMES, FRAMES[-1:].expand(7, -1, -1, -1)])
    torch.testing.assert_close(extract_taps(model, FRAMES, ())[1], extract_taps(model, padded, ())[1][:, :21],
                               rtol=1e-4, atol=1e-5)


def test_overlapping_clips_are_averaged():
    model = small()
    frames = FRAMES[:32]
    clips = [extract_taps(model, frames[s:s + 16], (1,))[0] for s in (0, 8, 16)]
    got = extract_taps(model, frames, (1,), clip_stride=8)[0]
    torch.testing.assert_close(got[:, :, 4:8], (clips[0][:, :, 4:] + clips[1][:, :, :4]) / 2, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(got[:, :, :4], clips[0][:, :, :4], rtol=1e-4, atol=1e-5)
    assert clip_starts(32, 16, 8) == [0, 8, 16] and clip_starts(33, 16, 8) == [0, 8, 16, 24]


def test_grid_cells_average_to_the_single_cell():
    model = small()
    torch.testing.assert_close(extract_taps(model, FRAMES, (1,), grid=2)[0].mean((3, 4), keepdim=True),
                               extract_taps(model, FRAMES, (1,))[0], rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="grid 3 is finer than .* 2 x 2 token map"):
        extract_taps(model, FRAMES, (1,), grid=3)


def test_image_vit_equals_timm_frame_by_frame():
    torch.manual_seed(0)
    model = load_backbone("timm/vit_tiny_patch16_224", "random", input_size=32)
    frames = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8)
    tapped, last = extract_taps(model, frames, (3, 7))
    assert tapped.shape == (2, 192, 5, 1, 1) and model.tubelet == 1 and model.norm_eps == 1e-6
    images = (frames / 255 - torch.tensor(model.mean).view(3, 1, 1)) / torch.tensor(model.std).view(3, 1, 1)
    tokens = model.model.forward_features(images)  # normed tokens of the last block
    torch.testing.assert_close(last, tokens[:, 1:].mean(1).T, rtol=1e-3, atol=1e-4)
    seen = []
    hook = model.model.blocks[3].register_forward_hook(lambda *a: seen.append(a[2]))
    model.model.forward_features(images)
    hook.remove()
    torch.testing.assert_close(tapped[0, :, :, 0, 0], seen[0][:, 1:].mean(1).T, rtol=1e-3, atol=1e-4)


def test_real_pretrained_vit_loads_strictly(shared_data):
    model = load_backbone("timm/vit_small_patch14_dinov2.lvd142m", shared_data / "weights" /
                          "dinov2_vits14_timm_fp16.safetensors", input_size=70)
    assert not any(p.requires_grad for p in model.parameters()) and not model.training
    frame = torch.randint(0, 256, (1, 3, 70, 70), dtype=torch.uint8)
    reference = timm.create_model("vit_small_patch14_dinov2.lvd142m", pretrained=False, num_classes=0,
                                  dynamic_img_size=True).eval()
    from safetensors.torch import load_file
    reference.load_state_dict({k: v.float() for k, v in load_file(
        shared_data / "weights" / "dinov2_vits14_timm_fp16.safetensors").items()})
    image = (frame / 255 - torch.tensor(model.mean).view(3, 1, 1)) / torch.tensor(model.std).view(3, 1, 1)
    torch.testing.assert_close(extract_taps(model, frame, ())[1][:, 0],
                               reference.forward_features(image)[0, 1:].mean(0), rtol=1e-3, atol=1e-3)


def test_timm_weights_come_from_its_hub_or_a_file(tmp_path, monkeypatch):
    """The hub's cache is laid out by hand, so that timm finds the file as if it had fetched it."""
    name = "vit_tiny_patch16_224.augreg_in21k_ft_in1k"
    reference = timm.create_model(name, pretrained=False).eval()  # with its classifier, as published
    folder = tmp_path / f"models--timm--{name}"
    (folder / "snapshots" / "abc").mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc")
    save_file(reference.state_dict(), folder / "snapshots" / "abc" / "model.safetensors")
    torch.save(reference.state_dict(), tmp_path / "weights.pth")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    frame = torch.randint(0, 256, (1, 3, 224, 224), dtype=torch.uint8)
    for weights, source in ((None, "from timm's hub"), (folder / "snapshots" / "abc", "abc"),
                            (tmp_path / "weights.pth", "weights.pth")):
        model = load_backbone(f"timm/{name}", weights)
        assert source in model.source
        image = (frame / 255 - torch.tensor(model.mean).view(3, 1, 1)) / torch.tensor(model.std).view(3, 1, 1)
        torch.testing.assert_close(extract_taps(model, frame, ())[1][:, 0],
                                   reference.forward_features(image)[0, 1:].mean(0), rtol=1e-4, atol=1e-4)


def test_mean_pooled_timm_vits_are_normed_after_the_mean():
    model = load_backbone("timm/vit_little_patch16_reg4_gap_256", "random", input_size=32)
    torch.nn.init.normal_(model.model.fc_norm.weight)
    frame = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)
    image = (frame / 255 - torch.tensor(model.mean).view(3, 1, 1)) / torch.tensor(model.std).view(3, 1, 1)
    torch.testing.assert_close(extract_taps(model, frame, ())[1].T, model.model(image), rtol=1e-3, atol=1e-4)


def test_frames_are_squeezed_whole_or_cropped_at_their_centre():
    frames = torch.zeros(2, 40, 80, 3, dtype=torch.uint8)
    frames[:, :, 20:60] = torch.randint(0, 256, (2, 40, 40, 3), dtype=torch.uint8)  # the centre square
    assert resize_frames(frames, 20).shape == (2, 3, 20, 20)
    assert torch.equal(resize_frames(frames, 40, "crop"), frames[:, :, 20:60].permute(0, 3, 1, 2))
    for size, shape in ((20, (40, 81)), (20, (81, 40)), (50, (33, 47)), (16, (16, 16))):
        picture = torch.randint(0, 256, (1, *shape, 3), dtype=torch.uint8)
        ours = resize_frames(picture, size, "crop")
        reference = Image.fromarray(picture[0].numpy())
        scale = size / min(shape)
        width, height = max(size, round(shape[1] * scale)), max(size, round(shape[0] * scale))
        left, top = (width - size) // 2, (height - size) // 2
        reference = reference.resize((width, height), Image.BILINEAR).crop((left, top, left + size, top + size))
        assert (ours[0].permute(1, 2, 0).int() - torch.from_numpy(np.array(reference)).int()).abs().max() <= 1
    with pytest.raises(ValueError, match="resize must be 'squeeze' or 'crop'"):
        resize_frames(frames, 20, "pad")


def test_world_backbone_takes_longer_clips():
    model = load_backbone("gap", clip_length=32)
    assert model.frames_per_clip == 32 and model.num_tokens[0] == 16
    short = load_backbone("gap")
    assert short.source.startswith("world_gap.safetensors; pixels: mean [0.5")
    first, long = short.pos_embed.unflatten(1, (8, -1))[0], model.pos_embed.unflatten(1, (16, -1))[0]
    torch.testing.assert_close(long[0], first[0])
    torch.testing.assert_close(long[2], torch.lerp(first[0], first[1], 0.75))


def test_a_vit_of_another_name_and_size_runs():
    model = load_backbone("timm/deit3_small_patch16_384", "random", input_size=64)
    assert extract_taps(model, torch.zeros(2, 3, 64, 64, dtype=torch.uint8), (0, 11))[0].shape == (2, 384, 2, 1, 1)


def test_sinusoid_positions_equal_the_published_loop():
    """VideoMAE's table: angle(p, j) = p / 10000^(2 floor(j / 2) / d), sine for even j, cosine for odd."""
    table = np.array([[p / np.power(10000, 2 * (j // 2) / 12) for j in range(12)] for p in range(30)])
    table[:, 0::2], table[:, 1::2] = np.sin(table[:, 0::2]), np.cos(table[:, 1::2])
    np.testing.assert_allclose(backbones.sinusoid_positions(30, 12)[0].numpy(), table, atol=1e-5)


@pytest.mark.parametrize("size, millions", [("videomae_s", 22), ("videomae_b", 86), ("videomae_l", 304),
                                            ("videomae_h", 632), ("videomae_g", 1012)])
def test_videomae_sizes_have_the_published_number_of_parameters(size, millions):
    with torch.device("meta"):
        model = VideoViT(**VIDEOMAE[size], input_size=224)
    assert abs(sum(p.numel() for p in model.parameters()) / 1e6 - millions) < 0.01 * millions + 0.5


def test_tap_layers():
    assert tap_layers("all", 6) == (0, 1, 2, 3, 4, 5) and tap_layers("last", 6) == (5,)
    assert tap_layers("half", 6) == (1, 3, 5) and tap_layers("all", 40)[-1] == 39 and len(tap_layers("all", 40)) == 12
    assert tap_layers([-1, 2], 6) == (5, 2)
    for wrong in ([6], [1, 1], [], "some"):
        with pytest.raises(ValueError, match="taps must be"):
            tap_layers(wrong, 6)


def test_shipped_backbones_load_and_are_frozen():
    for name in ("gap", "covered"):
        model = load_backbone(name)
        assert not model.training and not any(p.requires_grad for p in model.parameters())


def test_wrong_weights_and_names_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no backbone is called 'gp'; known are \['covered', 'gap'\]"):
        load_backbone("gp")
    with pytest.raises(ValueError, match="did not come from timm's hub .*; without internet give the path of a .safe"):
        load_backbone("timm/vit_tiny_patch16_224")
    with pytest.raises(ValueError, match="sees one frame at a time, clip_length is 16"):
        load_backbone("timm/vit_tiny_patch16_224", "random", clip_length=16)
    with pytest.raises(ValueError, match="takes no img_size; choose a ViT"):
        load_backbone("timm/resnet18", "random")
    with pytest.raises(ValueError, match="timm has no model 'vit_tny"):
        load_backbone("timm/vit_tny_patch16_224", "random")
    with pytest.raises(FileNotFoundError, match="no weights at"):
        load_backbone("timm/vit_tiny_patch16_224", tmp_path / "none.safetensors")
    save_file({"a": torch.zeros(2)}, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match="do not fit: missing"):
        load_backbone("timm/vit_tiny_patch16_224", tmp_path / "a.safetensors")
    (tmp_path / "text.safetensors").write_text("text")
    for name in ("gap", "timm/vit_tiny_patch16_224"):
        with pytest.raises(ValueError, match="is no safetensors file or is cut short"):
            load_backbone(name, tmp_path / "text.safetensors")
    with pytest.raises(ValueError, match="does not say which model it holds"):
        load_backbone("gap", tmp_path / "a.safetensors")
