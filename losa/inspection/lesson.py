"""Measurements for the lesson on how LoSA works: features as colours, receptive fields, gates set by hand, memory.

They hold for every kind of run; what a run has no part for raises a RunError that says so.
"""

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from losa.annotations.dataset import Video
from losa.config import Config
from losa.errors import RunError
from losa.inference.predict import predict_video
from losa.inspection.run_data import RunData
from losa.inspection.timeline_data import make_rescore
from losa.model.adapters import spans
from losa.model.losa import build
from losa.model.points import losses
from losa.taps.batch import stack
from losa.taps.live import LiveTaps
from losa.taps.open import open_live
from losa.training.train import split_batch
from losa.training.windows import Windows

LEAST = 24  # snippets in which influence is measured where clips are short, as with a model of images


def colours(x: Float[Tensor, "C ..."]) -> Float[np.ndarray, "... 3"]:
    """Return features as red, green and blue, 0 to 1: their first three principal components, as many as there are."""
    rows = x.flatten(1).T - x.flatten(1).mean(1)
    found = rows @ torch.linalg.svd(rows, full_matrices=False).Vh[:3].T
    components = torch.nn.functional.pad(found, (0, 3 - found.shape[1]))
    low, high = components.quantile(0.02, 0), components.quantile(0.98, 0)
    return ((components - low) / (high - low).clamp(min=1e-9)).clamp(0, 1).reshape(*x.shape[1:], 3).numpy()


@torch.no_grad()
def influence(function: Callable, x: Tensor, dim: int, blank: int, size: int = 1) -> Float[np.ndarray, "T T"]:
    """Return how much function(x), (C, T), changes at snippet j (column) when snippet i (row) of x is blanked.

    A snippet is `size` places along `dim` of x, the first of T; they are filled with the value `blank`.
    """
    whole = function(x)
    places = torch.arange(x.shape[dim]).split(size)[:whole.shape[1]]
    return torch.stack([(function(x.index_fill(dim, at, blank)) - whole).norm(dim=0) for at in places]).cpu().numpy()


def open_backbone(config: Config, run: RunData | None = None) -> LiveTaps:
    """Open the config's backbone without a cache; with a run also what it trained inside the backbone.

    Raises RunError where the features are not the backbone's own.
    """
    if config.features or config.snippet_frames or config.snippets_per_video:
        raise RunError("the lesson needs a backbone and its own snippets; give a run without features, "
                       "snippet_frames and snippets_per_video")
    return open_live(config, run=None if run is None else run.path)


@lru_cache(maxsize=1)
def backbone_of(run: RunData) -> LiveTaps:
    """Return the backbone that the run was trained on, with its own snippets even where the run interpolates them.

    Raises RunError for features that others computed.
    """
    if run.config.features:
        raise RunError(f"{run.name} learnt from features that others computed ({run.config.features}); there is no "
                       "backbone to look into")
    return open_live(run.config, run=run.path)


def tapped_blocks(run: RunData) -> list[int]:
    """Return the blocks that the run taps; for one without taps six of its backbone's, evenly spaced."""
    live = backbone_of(run)
    even = np.linspace(0, live.backbone.depth - 1, 6).round().astype(int)
    return list(live.recipe.layers) or np.unique(even).tolist()


@torch.no_grad()
def clip_tokens(run: RunData, video: Video, clip: int, at_least: int = 8) -> dict:
    """Return what the backbone makes of one clip: frames (t, H, W, 3) uint8, tokens (K, C, t, h, w), start (s), blocks.

    One frame for each of the t snippets. Where a clip is shorter than `at_least` snippets, as in a model of images,
    the clips after it are taken with it. The last clip of the video is taken for a `clip` beyond it.
    """
    live, layers = backbone_of(run), tapped_blocks(run)
    recipe, backbone, total = live.recipe, live.backbone, live.num_snippets(video)
    per_clip = recipe.clip_length // recipe.tubelet
    many = -(-at_least // per_clip)
    first = max(0, min(clip, -(-total // per_clip) - many)) * per_clip
    fetched = live.fetch(video, first, min(total, first + many * per_clip))
    frames = fetched["frames"][fetched["lead"] * recipe.tubelet:][:many * recipe.clip_length]
    index = torch.arange(-(-len(frames) // recipe.clip_length) * recipe.clip_length).clamp(max=len(frames) - 1)
    clips = frames[index].unflatten(0, (-1, recipe.clip_length)).transpose(1, 2)
    taps, _ = backbone.clip_taps(clips, layers, backbone.input_size // backbone.patch)
    tokens = torch.stack([tap.transpose(0, 1).flatten(1, 2) for tap in taps]).float().cpu()  # (K, C, t, h, w)
    shown = frames[::recipe.tubelet].permute(0, 2, 3, 1)
    return {"frames": shown, "tokens": tokens[:, :, :len(shown)], "blocks": layers,
            "start": live.time_grid(video).to_seconds(float(first))}


def sight(run: RunData, video: Video, tap: int, num_clips: int) -> dict[str, Float[np.ndarray, "T T"]]:
    """Return `influence` in the first clips of a video, of frames and of a tap; at least `LEAST` snippets if there are.

    "backbone": of frames (blanked: grey) on the last layer. "short" and "long": of tap number `tap` (blanked: its
    mean) on its adapters; without them for a run without adapters. Raises RunError where only that tap is not there.
    """
    model = copy.deepcopy(run.model).cpu()
    if len(model.adapters) and not 0 <= tap < len(model.adapters):
        raise RunError(f"tap {tap} of a run with {len(model.adapters)}; give one of these, or a run of mode losa")
    live = open_backbone(run.config, run)
    wanted = max(LEAST, num_clips * live.recipe.clip_length // live.recipe.tubelet)
    fetched = live.fetch(video, 0, min(wanted, live.num_snippets(video)))
    influences = {"backbone": influence(lambda frames: live.features(fetched | {"frames": frames})[1],
                                        fetched["frames"], 0, 128, live.recipe.tubelet)}
    if not len(model.adapters):
        return influences
    with torch.no_grad():
        taps, last = model.standardise(*live.features(fetched))
    x, last, mask = taps[tap], last[None], torch.ones(1, last.shape[1]).bool()
    for name, adapter in zip(spans(run.config.ranges), model.adapters[tap], strict=True):
        influences[name] = influence(lambda x, adapter=adapter: adapter(x[None], last, mask)[0], x, 1, 0)
    return influences


def by_hand(run: RunData, gates: Float[np.ndarray, "K R"]) -> Callable:
    """Return f(sigma, video_id, progress) like `make_rescore`, but of the run's model with its gates set to `gates`.

    gates: -1 to 1, one per tap and range; f reads their values when it is called. Raises RunError for a model without
    gates or one whose gates depend on the features.
    """
    own = getattr(run.model.fusion, "static_gates", lambda: None)()
    if own is None or not len(run.model.adapters):
        raise RunError("this model has no gates to turn by hand; give a run of mode losa or side_tokens with gate tanh "
                       f"or channel (this one: mode {run.config.mode}, gate {run.config.gate})")

    def rescore(sigma: int | float, video_id: str | None = None, progress: Callable | None = None) -> dict:
        chosen = [run.video(video_id)] if video_id else run.videos.values()
        model, other = copy.deepcopy(run.model), replace(run)
        moved = own + torch.as_tensor(gates).to(own)[..., None] - own.mean(2, keepdim=True)
        model.fusion.gate.data = moved.clamp(-1 + 1e-6, 1 - 1e-6).atanh().detach()
        other.raw = {v.id: predict_video(model, run.source(v), v, run.config) for v in chosen}, run.classes
        return make_rescore(other)(sigma, video_id, progress)

    return rescore


class Books(dict):
    """{stage: {"kept": MiB stored for the backward pass, "gradient": norm of the gradient at its output}}."""

    def enter(self, stage: str, output: Tensor | None = None) -> None:
        """Begin a stage: what is stored from now on counts for it. `output` is the output of the stage before."""
        if output is not None and output.requires_grad:
            output.register_hook(lambda grad, row=self.now: row.update(gradient=grad.norm().item()))
        self.now = self.setdefault(stage, {"kept": 0.0, "gradient": 0.0})

    def keep(self, x: Tensor) -> Tensor:
        """Count a tensor that autograd stores, each storage once, and return it."""
        storage = x.untyped_storage()
        if storage.data_ptr() not in self.counted:  # {address: tensor}, held, so that no address is used twice
            self.counted[storage.data_ptr()] = x
            self.now["kept"] += storage.nbytes() / 2**20
        return x


def training_step(config: Config, video: Video, num_classes: int, mode: str, num_clips: int = 8) -> Books:
    """Return stored memory and gradient norms of one training step of a fresh model of `mode` on `num_clips` clips.

    Stages: "stem", "block 0", ... of the backbone, "adapters" (with the fusion), "head", "loss".
    """
    source = open_backbone(config := config.replace(mode=mode, cache="", start=""))
    if config.class_agnostic:
        video, num_classes = replace(video, labels=np.zeros_like(video.labels)), 1
    recipe, backbone, source.chunk = source.recipe, source.backbone, num_clips  # all clips in one pass
    align = recipe.clip_length // recipe.tubelet
    sample = Windows([video], source, num_clips * align, seed=config.seed, align=align)[0, 0]
    ((samples, targets, positives),) = split_batch([sample], config, num_classes, torch.device("cpu"))
    torch.manual_seed(config.seed)
    model = build(config, dim=recipe.dim, num_taps=len(recipe.layers), num_classes=num_classes, clip_snippets=align)
    books = Books()
    books.counted = {p.untyped_storage().data_ptr(): p for m in (backbone, model.train()) for p in m.parameters()}
    for i, block in enumerate(backbone.blocks if hasattr(backbone, "blocks") else backbone.model.blocks):
        block.register_forward_pre_hook(lambda _, given, stage=f"block {i}": books.enter(stage, given[0]))
    with saved_tensors_hooks(books.keep, lambda x: x):
        books.enter("stem")
        batch = stack(samples, source, "cpu")
        books.enter("adapters", batch.last)
        features, _ = model.features(batch.taps, batch.last, batch.mask)
        books.enter("head", features)
        logits, offsets, mask = model.head(features, batch.mask)
        books.enter("loss", logits)
        loss = sum(losses(logits, offsets, mask, targets, float(max(positives, 1))))
    loss.backward()
    return books
