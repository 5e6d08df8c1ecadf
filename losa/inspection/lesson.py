"""What a lesson on LoSA looks at, measured: tokens as colours, how far things see, gates by hand, a step's books."""

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from losa.annotations.dataset import Video
from losa.config import Config
from losa.inference.predict import predict_video
from losa.inspection.run_folder import Run
from losa.inspection.timeline import rescore_of
from losa.model.adapters import spans
from losa.model.losa import build
from losa.model.points import losses
from losa.taps.batch import stack
from losa.taps.open import open_source
from losa.training.train import split_batch
from losa.training.windows import Windows


def colours(x: Float[Tensor, "C ..."]) -> Float[np.ndarray, "... 3"]:
    """Features as red, green and blue, 0 to 1: their three largest principal components. What is alike looks alike."""
    rows = x.flatten(1).T - x.flatten(1).mean(1)
    found = rows @ torch.linalg.svd(rows, full_matrices=False).Vh[:3].T
    low, high = found.quantile(0.02, 0), found.quantile(0.98, 0)
    return ((found - low) / (high - low).clamp(min=1e-9)).clamp(0, 1).reshape(*x.shape[1:], 3).numpy()


@torch.no_grad()
def influence(function: Callable, x: Tensor, dim: int, blank: int, size: int = 1) -> Float[np.ndarray, "T T"]:
    """How much function(x), (C, T), changes at snippet j (column) with snippet i (row), `size` places of x, blank."""
    whole, places = function(x), torch.arange(x.shape[dim]).split(size)
    return torch.stack([(function(x.index_fill(dim, at, blank)) - whole).norm(dim=0) for at in places]).numpy()


def _live(config: Config):
    """The config's backbone at work, without a cache. Raises ValueError where its snippets are not its own."""
    if config.features or config.snippet_frames or config.snippets_per_video:
        raise ValueError("the lesson needs a backbone and its own snippets; give a run without features, "
                         "snippet_frames and snippets_per_video")
    return open_source(config.replace(cache=""), ())


def sight(run: Run, video: Video, tap: int, num_clips: int) -> dict[str, Float[np.ndarray, "T T"]]:
    """`influence` in the video's first clips: of frames (then grey) on the last layer, "backbone", and of tap number
    `tap` (then its mean) on its adapters, "short" and "long". Raises ValueError for a run without such a tap.
    """
    live, model = _live(run.config), copy.deepcopy(run.model).cpu()
    if not 0 <= tap < len(model.adapters):
        raise ValueError(f"tap {tap} of a run with {len(model.adapters)}; give one of these, or a run of mode losa")
    fetched = live.fetch(video, 0, num_clips * live.recipe.clip_length // live.recipe.tubelet)
    (taps, last), mask = live.features(fetched), torch.ones(1, fetched["length"]).bool()
    taps, last = model.standardise(taps, last)
    x, last = taps[tap], last[None]
    found = {"backbone": influence(lambda frames: live.features(fetched | {"frames": frames})[1], fetched["frames"], 0,
                                   128, live.recipe.tubelet)}
    for name, adapter in zip(spans(run.config.ranges), model.adapters[tap], strict=True):
        found[name] = influence(lambda x, adapter=adapter: adapter(x[None], last, mask)[0], x, 1, 0)
    return found


def by_hand(run: Run, gates: Float[np.ndarray, "K R"]) -> Callable:
    """f(sigma, video_id, progress) as `rescore_of`, of the run's model with its gates as `gates` holds them by then.

    -1 to 1, one per tap and range. Raises ValueError for a model without gates or where they depend on the features.
    """
    own = getattr(run.model.fusion, "static_gates", lambda: None)()
    if own is None or not len(run.model.adapters):
        raise ValueError("this model has no gates to turn by hand; give a run of mode losa with gate tanh or channel")

    def rescore(sigma: int | float, video_id: str | None = None, progress: Callable | None = None) -> dict:
        chosen = [run.video(video_id)] if video_id else run.videos.values()
        model, other = copy.deepcopy(run.model), replace(run)
        moved = own + torch.as_tensor(gates).to(own)[..., None] - own.mean(2, keepdim=True)
        model.fusion.gate.data = moved.clamp(-1 + 1e-6, 1 - 1e-6).atanh().detach()
        other.raw = {v.id: predict_video(model, run.source(v), v, run.config) for v in chosen}, run.classes
        return rescore_of(other)(sigma, video_id, progress)

    return rescore


class Books(dict):
    """{stage: {"kept": MiB that wait for the backward pass, "gradient": norm of what arrived at its output}}."""

    def enter(self, stage: str, given: Tensor | None = None) -> None:
        """From here on what is kept belongs to this stage; `given` is the output of the one before."""
        if given is not None and given.requires_grad:
            given.register_hook(lambda grad, row=self.now: row.update(gradient=grad.norm().item()))
        self.now = self.setdefault(stage, {"kept": 0.0, "gradient": 0.0})

    def keep(self, x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        if storage.data_ptr() not in self.known:  # {address: tensor}, held, so that no address is used twice
            self.known[storage.data_ptr()] = x
            self.now["kept"] += storage.nbytes() / 2**20
        return x


def training_step(config: Config, video: Video, num_classes: int, mode: str, num_clips: int = 8) -> Books:
    """The books of one training step of a fresh model of `mode` on a window of so many clips.

    Stages: "stem", "block 0", ... of the backbone, "adapters" (with the fusion), "head", "loss".
    """
    source = _live(config := config.replace(mode=mode, cache="", start=""))
    if config.class_agnostic:
        video, num_classes = replace(video, labels=np.zeros_like(video.labels)), 1
    recipe, backbone, source.chunk = source.recipe, source.backbone, num_clips  # all clips in one pass
    align = recipe.clip_length // recipe.tubelet
    sample = Windows([video], source, num_clips * align, seed=config.seed, align=align)[0, 0]
    ((samples, targets, positives),) = split_batch([sample], config, num_classes, torch.device("cpu"))
    torch.manual_seed(config.seed)
    model = build(config, dim=recipe.dim, num_taps=len(recipe.layers), num_classes=num_classes, clip_snippets=align)
    books = Books()
    books.known = {p.untyped_storage().data_ptr(): p for m in (backbone, model.train()) for p in m.parameters()}
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
