"""Checkpoints: equal to transformers at every layer in every format; strict, safe, and clear about what is wrong."""

import argparse
import json
import pathlib
import re
from types import SimpleNamespace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from losa.backbones import vit as backbones
from losa.backbones.checkpoints import PIXEL_NORMS, VIDEOMAE, read_checkpoint
from losa.backbones.load import load_backbone, weights_id

TINY = dict(dim=32, depth=3, num_heads=2, mlp_ratio=4.0, patch=16)


def hugging(kind: str, size: dict, image_size: int = 32, num_frames: int = 4, **fields):
    """A transformers model of a size with every parameter random: no bias is zero, no norm is one."""
    transformers = pytest.importorskip("transformers")
    config = transformers.VideoMAEConfig(
        hidden_size=size["dim"], num_hidden_layers=size["depth"], num_attention_heads=size["num_heads"],
        intermediate_size=int(size["dim"] * size["mlp_ratio"]), patch_size=size["patch"], image_size=image_size,
        num_frames=num_frames, decoder_hidden_size=16, decoder_num_hidden_layers=1, decoder_num_attention_heads=2,
        decoder_intermediate_size=16, num_labels=5, **fields)
    with torch.device("meta"):  # its own initialisation is slow and replaced anyway
        model = getattr(transformers, kind)(config)
    generator = torch.Generator().manual_seed(0)
    state = {k: torch.randn(v.shape, generator=generator) * (0.02 if v.ndim > 1 else 0.2) +
             float("norm" in k and k.endswith("weight")) for k, v in model.state_dict().items()}
    model.load_state_dict(state, assign=True)
    inner = getattr(model, "videomae", model)
    inner.embeddings.position_embeddings = transformers.models.videomae.modeling_videomae.get_sinusoid_encoding_table(
        inner.embeddings.patch_embeddings.num_patches, size["dim"])
    return model.eval()


def inputs(backbone, num: int = 1):
    """uint8 clips for us, and the same normalised in transformers' order of axes."""
    shape = (num, 3, backbone.frames_per_clip, backbone.input_size, backbone.input_size)
    clips = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    mean, std = (torch.tensor(v).view(3, 1, 1, 1) for v in (backbone.mean, backbone.std))
    return clips, ((clips / 255 - mean) / std).transpose(1, 2)


@torch.no_grad()
def assert_parity(backbone, reference) -> None:
    """Every block's output, token by token, and the pooled output equal transformers' to 1e-5."""
    clips, pixels = inputs(backbone)
    inner = getattr(reference, "videomae", reference)
    embedded = inner.embeddings(pixels, None)
    torch.testing.assert_close(backbone.embed(clips), embedded, rtol=1e-5, atol=1e-5)
    output = inner(pixels, output_hidden_states=True)
    tapped, last = backbone.clip_taps(clips, range(backbone.depth), backbone.num_tokens[1])
    for ours, theirs in zip(tapped, output.hidden_states[1:backbone.depth + 1], strict=True):
        torch.testing.assert_close(ours.flatten(2).transpose(1, 2), theirs, rtol=1e-5, atol=1e-5)
    tokens = output.last_hidden_state  # normed where the model norms before the mean
    spatial = tokens.unflatten(1, (backbone.num_tokens[0], -1)).mean(2)
    norm = getattr(reference, "fc_norm", None) or (lambda x: x)
    torch.testing.assert_close(last.transpose(1, 2), norm(spatial), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(backbone(clips), norm(tokens.mean(1)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size, depth", [("videomae_s", 2), ("videomae_b", 2), ("videomae_g", 1)])
def test_equal_to_transformers_at_real_width_and_resolution(size, depth, tmp_path, monkeypatch):
    monkeypatch.setitem(VIDEOMAE, size, {**VIDEOMAE[size], "depth": depth})
    reference = hugging("VideoMAEForVideoClassification", VIDEOMAE[size], 224, 4 if size == "videomae_g" else 16)
    reference.save_pretrained(tmp_path)
    backbone = load_backbone(size, tmp_path)
    assert backbone.num_tokens == ((2, 16, 16) if size == "videomae_g" else (8, 14, 14))
    assert_parity(backbone, reference)


@pytest.mark.parametrize("kind, fields, norm", [
    ("VideoMAEModel", {}, "none"), ("VideoMAEModel", {"use_mean_pooling": False}, "before"),
    ("VideoMAEForPreTraining", {"use_mean_pooling": False}, "before"),
    ("VideoMAEForVideoClassification", {"layer_norm_eps": 1e-3}, "after"),
    ("VideoMAEForVideoClassification", {"qv_bias": False}, "after")])
def test_every_hugging_face_class_loads_with_its_own_norms_and_eps(kind, fields, norm, tmp_path, monkeypatch):
    monkeypatch.setitem(VIDEOMAE, "videomae_s", TINY)
    reference = hugging(kind, TINY, **fields)
    reference.save_pretrained(tmp_path)
    backbone = load_backbone("videomae_s", tmp_path)
    assert backbone.facts[1] == norm and (norm != "after" or backbone.fc_norm.eps == 1e-5)
    assert backbone.norm_eps == fields.get("layer_norm_eps", 1e-12)
    assert_parity(backbone, reference)


def published(reference) -> dict:
    """A transformers model's encoder under the names of VideoMAE's own .pth files."""
    pairs = [("embeddings.patch_embeddings.projection", "patch_embed.proj"), ("encoder.layer.", "blocks."),
             ("attention.output.dense", "attn.proj"), ("intermediate.dense", "mlp.fc1"), ("output.dense", "mlp.fc2"),
             ("layernorm_before", "norm1"), ("layernorm_after", "norm2"), ("layernorm", "norm"),
             ("attention.attention.query.bias", "attn.q_bias"), ("attention.attention.value.bias", "attn.v_bias"),
             ("classifier", "head")]
    state = {k.removeprefix("videomae."): v for k, v in reference.state_dict().items()}
    for layer in range(reference.config.num_hidden_layers):
        start = f"encoder.layer.{layer}.attention.attention."
        state[f"blocks.{layer}.attn.qkv.weight"] = torch.cat(
            [state.pop(f"{start}{part}.weight") for part in ("query", "key", "value")])
    for theirs, pth in pairs:
        state = {k.replace(theirs, pth): v for k, v in state.items()}
    return state


def converted(state: dict) -> dict:
    """The same under the names mmaction2 and OpenTAD convert to."""
    pairs = [("patch_embed.proj.", "patch_embed.projection."), ("mlp.fc1", "mlp.layers.0.0"),
             ("mlp.fc2", "mlp.layers.1"), ("head.", "cls_head.fc_cls.")]
    for old, new in pairs:
        state = {k.replace(old, new): v for k, v in state.items()}
    return {k if k.startswith("cls_head") else f"backbone.{k}": v for k, v in state.items()}


def prefixed(prefix: str, state: dict) -> dict:
    return {prefix + k: v for k, v in state.items()}


def with_decoder(state: dict) -> dict:
    return prefixed("encoder.", state) | {
        "encoder_to_decoder.weight": torch.zeros(2, 2), "mask_token": torch.zeros(1, 1, 2),
        "decoder.blocks.0.norm1.weight": torch.zeros(2), "decoder.norm.weight": torch.zeros(2)}


FORMATS = {
    "model": lambda s: {"model": s}, "module": lambda s: {"module": s}, "plain": lambda s: s,
    "backbone": lambda s: {"model": prefixed("backbone.", s)}, "distributed": lambda s: prefixed("module.", s),
    "compiled": lambda s: {"model": prefixed("_orig_mod.", s)}, "pretraining": lambda s: {"model": with_decoder(s)},
    "mmaction2": lambda s: {"meta": {"epoch": 1}, "state_dict": converted(s)},
    "OpenTAD": lambda s: {"state_dict": prefixed("module.", converted(s))},
}


@pytest.mark.parametrize("container", FORMATS)
def test_pth_of_every_family_equals_transformers(container, tmp_path, monkeypatch):
    """.pth files use eps 1e-6 throughout, so the reference does too; positions are those of 16 frames at 224 px."""
    monkeypatch.setitem(VIDEOMAE, "videomae_s", TINY)
    before = container == "pretraining"
    reference = hugging("VideoMAEModel" if before else "VideoMAEForVideoClassification", TINY, 224, 16,
                        layer_norm_eps=1e-6, use_mean_pooling=not before)
    if not before:
        reference.fc_norm.eps = 1e-6
    torch.save(FORMATS[container](published(reference)), tmp_path / "weights.pth")
    backbone = load_backbone("videomae_s", tmp_path / "weights.pth")
    assert backbone.norm_eps == 1e-6 and not any(p.requires_grad for p in backbone.parameters())
    assert_parity(backbone, reference)


def test_args_optimiser_and_scaler_ride_along_and_nothing_else_may(tmp_path, monkeypatch):
    monkeypatch.setitem(VIDEOMAE, "videomae_s", TINY)
    state = published(hugging("VideoMAEForVideoClassification", TINY))
    layer = torch.nn.Linear(4, 4)
    optimiser = torch.optim.AdamW(layer.parameters())
    layer(torch.ones(4)).sum().backward()
    optimiser.step()
    extra = {"optimizer": optimiser.state_dict(), "scaler": torch.amp.GradScaler("cpu").state_dict(), "epoch": 89}
    args = argparse.Namespace(lr=1e-3, opt_betas=[0.9, 0.98], window_size=(8, 14, 14), distributed=True, resume="")
    for name, zipped in (("new.pth", True), ("old.pth", False)):
        torch.save({"model": state, "args": args, **extra}, tmp_path / name, _use_new_zipfile_serialization=zipped)
        torch.testing.assert_close(read_checkpoint(tmp_path / name).state["norm.weight" if "norm.weight" in state else
                                                                         "fc_norm.weight"], state["fc_norm.weight"])
    assert argparse.Namespace not in torch.serialization.get_safe_globals()
    for harmful in (pathlib.PurePosixPath("a"), SimpleNamespace(a=1), Touch(str(tmp_path / "ran"))):
        torch.save({"model": state, "args": harmful, **extra}, tmp_path / "other.pth")
        with pytest.raises(ValueError, match=r"Python objects beside its weights \(.*(Posix|Simple|open).*tensors"):
            load_backbone("videomae_s", tmp_path / "other.pth")
    assert not (tmp_path / "ran").exists()


class Touch:
    """Unpickled carelessly, it writes a file."""

    def __init__(self, path: str):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_names_missing_unexpected_or_doubled_are_named(tmp_path, monkeypatch):
    monkeypatch.setitem(VIDEOMAE, "videomae_s", TINY)
    good = published(hugging("VideoMAEForVideoClassification", TINY))

    def error(change: dict, drop: tuple = ()) -> str:
        torch.save({k: v for k, v in (good | change).items() if k not in drop}, tmp_path / "w.pth")
        with pytest.raises(ValueError) as caught:
            load_backbone("videomae_s", tmp_path / "w.pth")
        return str(caught.value)

    assert "missing ['blocks.1.norm2.bias'] (1), unexpected [] (0)" in error({}, ("blocks.1.norm2.bias",))
    assert "unexpected ['blocks.0.adapter.gamma'] (1)" in error({"blocks.0.adapter.gamma": torch.ones(1)})
    only_q = error({}, ("blocks.2.attn.v_bias",))
    assert "missing ['blocks.2.attn.qkv.bias']" in only_q and "unexpected ['blocks.2.attn.q_bias']" in only_q
    assert "wrong shape ['blocks.0.norm1.bias (3,) != (32,)']" in error({"blocks.0.norm1.bias": torch.ones(3)})
    assert "unexpected ['encoder.blocks.0.norm1.bias']" in error({"encoder.blocks.0.norm1.bias": torch.ones(32)})
    assert "holds 2 patch embeddings" in error({"teacher.patch_embed.proj.weight": torch.ones(1)})
    torch.save(prefixed("student.", good), tmp_path / "w.pth")
    with pytest.raises(ValueError, match="the prefix 'student' is unknown"):
        load_backbone("videomae_s", tmp_path / "w.pth")


def test_wrong_size_is_said_in_words(tmp_path):
    state = published(hugging("VideoMAEForVideoClassification", {**VIDEOMAE["videomae_s"], "depth": 1}))
    one = {k: v for k, v in state.items() if k.startswith("blocks.0.")}
    for layer in range(1, 12):
        state |= {k.replace("blocks.0.", f"blocks.{layer}."): v for k, v in one.items()}
    torch.save({"module": state}, tmp_path / "s.pth")
    with pytest.raises(ValueError, match=r"holds videomae_s: 384 wide, 12 blocks, patch 16.*; asked for videomaev2_b: "
                                         r"768 wide, 12 blocks, patch 16"):
        load_backbone("videomaev2_b", tmp_path / "s.pth")
    assert load_backbone("videomaev2_s", tmp_path / "s.pth", 32).depth == 12
    short = {k: v for k, v in state.items() if not k.startswith("blocks.11.")}
    torch.save(short, tmp_path / "short.pth")
    with pytest.raises(ValueError, match="holds a VideoMAE of no known size: 384 wide, 11 blocks"):
        load_backbone("videomae_s", tmp_path / "short.pth")


def test_wrong_heads_are_seen_where_a_config_tells_them(tmp_path, monkeypatch):
    monkeypatch.setitem(VIDEOMAE, "videomae_s", TINY)
    hugging("VideoMAEModel", {**TINY, "num_heads": 4}).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="4 heads; asked for videomae_s: .* 2 heads"):
        load_backbone("videomae_s", tmp_path)


def test_pixels_are_normalised_as_the_weights_say(tmp_path, monkeypatch):
    transformers = pytest.importorskip("transformers")
    monkeypatch.setitem(VIDEOMAE, "videomae_s", TINY)
    reference = hugging("VideoMAEForVideoClassification", TINY)
    torch.save(published(reference), tmp_path / "w.pth")
    v1, v2 = (load_backbone(name, tmp_path / "w.pth", 32) for name in ("videomae_s", "videomaev2_s"))
    assert (v1.mean, v1.std) == PIXEL_NORMS["imagenet"] and (v2.mean, v2.std) == PIXEL_NORMS["unit"]
    assert v1.source == "w.pth (VideoMAE names, fine-tuned); pixels: ImageNet mean and std"
    assert v2.source.endswith("/ 255 only")
    clips, _ = inputs(v2)
    torch.testing.assert_close(v2.normalise(clips), clips / 255)
    assert load_backbone("videomaev2_s", tmp_path / "w.pth", pixel_norm="imagenet").std == v1.std
    assert load_backbone("gap", pixel_norm="unit").mean == (0, 0, 0)
    with pytest.raises(ValueError, match="pixel_norm must be"):
        load_backbone("gap", pixel_norm="imgnet")
    reference.save_pretrained(tmp_path / "hf")
    processor = transformers.VideoMAEImageProcessor(image_mean=[0.1, 0.2, 0.3], image_std=[0.4, 0.5, 0.6])
    processor.save_pretrained(tmp_path / "hf")
    described = load_backbone("videomaev2_s", tmp_path / "hf")
    assert described.mean == (0.1, 0.2, 0.3) and described.std == (0.4, 0.5, 0.6)
    for facts, mean, std in (({"do_normalize": False}, 0.0, 1.0),
                             ({"rescale_factor": 1 / 127.5, "image_mean": [1] * 3, "image_std": [2] * 3}, 0.5, 1.0)):
        (tmp_path / "hf" / "preprocessor_config.json").write_text(json.dumps(facts))
        read = load_backbone("videomaev2_s", tmp_path / "hf")
        assert read.mean == pytest.approx((mean,) * 3) and read.std == pytest.approx((std,) * 3)


def test_positions_follow_resolution_and_clip_length(tmp_path, monkeypatch):
    """Bicubic per moment, then linear in time, written out with loops over moments and places."""
    monkeypatch.setitem(VIDEOMAE, "videomae_s", TINY)
    torch.save(published(hugging("VideoMAEForVideoClassification", TINY)), tmp_path / "w.pth")
    same = load_backbone("videomae_s", tmp_path / "w.pth")
    torch.testing.assert_close(same.pos_embed, backbones.sinusoid_positions(8 * 14 * 14, 32))
    other = load_backbone("videomae_s", tmp_path / "w.pth", 160, clip_length=32)
    assert other.num_tokens == (16, 10, 10) and other.frames_per_clip == 32
    table = same.pos_embed.view(8, 14, 14, 32)
    spatial = torch.stack([torch.nn.functional.interpolate(moment.permute(2, 0, 1)[None], (10, 10), mode="bicubic",
                                                           align_corners=False)[0] for moment in table])
    at = ((torch.arange(16) + 0.5) / 2 - 0.5).clamp(min=0)
    low, high = at.floor().long(), (at.floor().long() + 1).clamp(max=7)
    expected = torch.lerp(spatial[low], spatial[high], (at - low).view(-1, 1, 1, 1)).permute(0, 2, 3, 1)
    torch.testing.assert_close(other.pos_embed, expected.reshape(1, -1, 32), rtol=1e-5, atol=1e-5)
    assert weights_id(same) == weights_id(other)
    with pytest.raises(ValueError, match="clip_length must be a multiple of 2"):
        load_backbone("videomae_s", tmp_path / "w.pth", clip_length=15)


def test_a_table_of_positions_in_the_file_is_used(tmp_path, monkeypatch):
    monkeypatch.setitem(VIDEOMAE, "videomae_s", TINY)
    state = published(hugging("VideoMAEForVideoClassification", TINY))
    learnt = torch.randn(1, 8 * 14 * 14, 32)
    torch.save(state | {"pos_embed": learnt}, tmp_path / "learnt.pth")
    torch.save(state | {"pos_embed": backbones.sinusoid_positions(1568, 32)}, tmp_path / "fixed.pth")
    torch.save(state, tmp_path / "none.pth")
    models = [load_backbone("videomae_s", tmp_path / f"{name}.pth") for name in ("learnt", "fixed", "none")]
    torch.testing.assert_close(models[0].pos_embed, learnt)
    assert weights_id(models[1]) == weights_id(models[2]) != weights_id(models[0])
    torch.save(state | {"pos_embed": learnt[:, :-1]}, tmp_path / "cut.pth")
    with pytest.raises(ValueError, match="holds 1567 positions, expected 8 times a square"):
        load_backbone("videomae_s", tmp_path / "cut.pth")


def test_shards_half_precision_and_names_of_older_transformers(tmp_path, monkeypatch):
    monkeypatch.setitem(VIDEOMAE, "videomae_s", TINY)
    reference = hugging("VideoMAEForVideoClassification", TINY)
    reference.save_pretrained(tmp_path / "shards", max_shard_size="40KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 1
    whole = load_backbone("videomae_s", tmp_path / "shards")
    assert_parity(whole, reference)
    reference.save_pretrained(tmp_path / "one")
    state = load_file(tmp_path / "one" / "model.safetensors")
    older = {re.sub(r"(query|value)\.bias$", lambda m: f"{m[1][0]}_bias", k): v.half() for k, v in state.items()}
    assert any(k.endswith("attention.attention.q_bias") for k in older)
    save_file(older, tmp_path / "one" / "model.safetensors")
    half = load_backbone("videomae_s", tmp_path / "one" / "model.safetensors")  # reads the config beside it
    assert half.norm_eps == 1e-12 and half.blocks[0].mlp.fc1.weight.dtype == torch.float32
    torch.testing.assert_close(half.state_dict(), whole.state_dict(), rtol=1e-3, atol=1e-3)
    next((tmp_path / "shards").glob("*-00002-*.safetensors")).unlink()
    with pytest.raises(ValueError, match=r"lacks 1 of the \d+ files its index names"):
        load_backbone("videomae_s", tmp_path / "shards")


def test_videomaev2_folder_of_its_authors(tmp_path, monkeypatch):
    """Their own class: names behind "model.", sizes under "model_config", positions not stored."""
    monkeypatch.setitem(VIDEOMAE, "videomae_s", TINY)
    reference = hugging("VideoMAEForVideoClassification", TINY, layer_norm_eps=1e-3)
    reference.fc_norm.eps = 1e-3
    state = {k: v for k, v in published(reference).items() if not k.startswith("head.")}
    save_file(prefixed("model.", state), tmp_path / "model.safetensors")
    described = {"img_size": 32, "all_frames": 4, "num_heads": 2, "layer_norm_eps": 1e-3, "embed_dim": 32}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "VideoMAEv2_Base", "model_config": described}))
    assert_parity(load_backbone("videomaev2_s", tmp_path), reference)


JUNK = st.sampled_from([None, True, "16", "x", -1, 0, 1, 3, 1e400, float("nan"), 10**30, [], [32, 32], [1, "a"], {}])
NAMES = ("image_size", "num_frames", "num_attention_heads", "layer_norm_eps", "hidden_act", "qv_bias", "model_config")


@pytest.fixture(scope="module")
def good_files(tmp_path_factory):
    """A Hugging Face folder of the tiny model with .pth files beside it."""
    folder = tmp_path_factory.mktemp("good")
    reference = hugging("VideoMAEForVideoClassification", TINY)
    reference.save_pretrained(folder)
    state = {"model": published(reference), "args": argparse.Namespace(lr=1)}
    for name, zipped in (("new.pth", True), ("old.pth", False)):
        torch.save(state, folder / name, _use_new_zipfile_serialization=zipped)
    return folder


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_mutated_files_load_or_are_one_clear_error(data, good_files, tmp_path, monkeypatch):
    monkeypatch.setitem(VIDEOMAE, "videomae_s", TINY)
    for path in good_files.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    name = data.draw(st.sampled_from(["config", "preprocessor", "model.safetensors", "new.pth", "old.pth"]))
    if name == "config":
        fields = data.draw(st.dictionaries(st.sampled_from(NAMES), JUNK))
        fields = json.loads((good_files / "config.json").read_text()) | fields
        (tmp_path / "config.json").write_text(json.dumps(fields))
    elif name == "preprocessor":
        names = st.sampled_from(["image_mean", "image_std", "rescale_factor", "do_rescale", "do_normalize"])
        fields = {"image_mean": [0] * 3, "image_std": [1] * 3} | data.draw(st.dictionaries(names, JUNK))
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(fields))
    else:
        content = bytearray((good_files / name).read_bytes())
        for _ in range(data.draw(st.integers(1, 5))):
            near = data.draw(st.sampled_from([200, 5000, len(content) - 1]))
            content[data.draw(st.integers(0, near))] = data.draw(st.integers(0, 255))
        (tmp_path / name).write_bytes(content[:data.draw(st.sampled_from([len(content), len(content) // 2]))])
    try:
        load_backbone("videomae_s", tmp_path / name if name.endswith("pth") else tmp_path)
    except (ValueError, FileNotFoundError) as error:
        assert str(tmp_path) in str(error) or "do not fit" in str(error), error
    (tmp_path / "preprocessor_config.json").unlink(missing_ok=True)


def test_damaged_and_foreign_files_are_one_clear_error(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no weights in .*empty"):
        load_backbone("videomae_s", tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match="no weights at .*give the path of a .safetensors, .pth"):
        load_backbone("videomae_s", "MCG-NJU/videomae-base")
    with pytest.raises(ValueError, match="'videomae_g' needs weights"):
        load_backbone("videomae_g")
    torch.save({"model": {"patch_embed.proj.weight": torch.zeros(8, 3, 2, 4, 4)}}, tmp_path / "whole.pth")
    whole = (tmp_path / "whole.pth").read_bytes()
    for content in (b"", b"text", b"\x80\x02", whole[:len(whole) // 2], whole[:-30], bytes(300)):
        (tmp_path / "bad.pth").write_bytes(content)
        with pytest.raises(ValueError, match="no torch checkpoint or is"):
            load_backbone("videomae_s", tmp_path / "bad.pth")
    for content, match in (([1, 2], "holds no dict of weights"), ({"epoch": 1}, "holds no dict of weights"),
                           ({"model": {"a": torch.ones(1)}}, "holds 0 patch embeddings"),
                           ({"patch_embed.proj.weight": torch.ones(8, 3, 4, 4)}, "an image ViT is loaded with")):
        torch.save(content, tmp_path / "bad.pth")
        with pytest.raises(ValueError, match=match):
            load_backbone("videomae_s", tmp_path / "bad.pth")


def test_random_weights_are_the_same_every_time_and_leave_the_seed_alone(monkeypatch):
    monkeypatch.setitem(VIDEOMAE, "videomae_s", TINY)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one = load_backbone("videomae_s", "random", 32)
    torch.testing.assert_close(torch.rand(3), expected)
    torch.testing.assert_close(one.state_dict(), load_backbone("videomaev2_s", "random", 32).state_dict())
    assert one.source.startswith("random weights") and one.facts[0] == (8, 14, 14)
