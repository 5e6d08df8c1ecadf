"""The training loop: one visible function, the same for every way of adapting, with exact resume.

One process or several (`distributed`): each takes its share of every batch; positives, losses and gradients are
summed over all of them, so that their number changes nothing.
"""

import contextlib
import math
import signal
import time
import warnings
from pathlib import Path

import torch
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from tqdm.auto import tqdm

from losa.annotations.dataset import Annotations, load_annotations
from losa.config import Config
from losa.errors import ConfigError, TrainingError
from losa.evaluation.targets import seen_by
from losa.machine import memory_gb, peak_memory_mb
from losa.model.adapters import find_adapter
from losa.model.checkpoint import save_model
from losa.model.contract import check_adapter
from losa.model.losa import build
from losa.model.points import Targets, assign_batch, count_positives, losses, points, update_normaliser
from losa.taps.batch import Batch, rounded, stack
from losa.taps.open import open_features
from losa.taps.source import FeatureSource
from losa.training.distributed import (
    anywhere,
    launched,
    make_accelerator,
    on_main,
    same_weights,
    share,
    sum_gradients,
    summed,
    tracked,
)
from losa.training.optimiser import learning_rate, make_optimiser
from losa.training.state import append_log, first_state, load_state, model_file, save_state, start_run, swapped
from losa.training.validation import average_map, watched
from losa.training.windows import Windows, batch_indices, loader


def train(config: Config, out: str | Path, *, quiet: bool = False) -> Path:
    """The path of the trained model.safetensors; continues where `out` was interrupted.

    Writes config.json, log.jsonl (one line per epoch) and state.pt beside it. The result is the last epoch's
    EMA weights; val mAP is for choosing between configs and never picks an epoch, nor does test mAP (`track_test`).
    Raises TrainingError for a loss that is not finite, KeyboardInterrupt after saving when interrupted.
    """
    out, here = Path(out), launched()
    check_beginning(config)
    accelerator, quiet = make_accelerator(config, out), quiet or not here.is_main_process
    device, labelled = accelerator.device, load_annotations(config.annotations)
    annotations, judged = seen_by(config, labelled), watched(config, labelled)
    train_videos = annotations.subset(config.train_subset)
    with here.main_process_first():  # which fills the cache, if there is one
        source = open_features(config, train_videos + sum((videos for videos, _ in judged.values()), ()),
                               device=str(device), quiet=quiet)
    recipe, align = source.recipe, source.recipe.clip_length // source.recipe.tubelet
    on_main(lambda: start_run(config, out, recipe.describe(), annotations.classes))
    num_epochs, per_epoch = config.warmup_epochs + config.epochs, math.ceil(len(train_videos) / config.batch_size)

    torch.manual_seed(config.seed)
    model = build(config.kept_in(out), dim=recipe.dim, num_taps=len(recipe.layers),
                  num_classes=len(annotations.classes), clip_snippets=align).to(device)
    optimiser = accelerator.prepare_optimizer(make_optimiser(model, config, source.tuned))
    model = accelerator.prepare_model(model, evaluation_mode=True)  # mixed precision alone, no wrapper
    learnt = nn.ModuleDict({"model": model} | ({"tuned": source.tuned} if source.tuned is not None else {}))
    parameters = [p for p in learnt.parameters() if p.requires_grad]
    ema = ModelEmaV3(learnt, decay=config.ema_decay)
    windows = Windows(train_videos, source, config.window, seed=config.seed, crop_ratio=config.crop_ratio,
                      align=align if config.short_scope == "clip" else 1, copies=config.copies)
    parts = {"learnt": learnt, "ema": ema.module, "optimiser": optimiser}
    if accelerator.scaler is not None:
        parts["scaler"] = accelerator.scaler
    state = load_state(out, parts) or first_state(config, learnt, ema.module, windows, source, quiet)
    same_weights(learnt)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)  # from here on it is training's

    bar = tqdm(total=num_epochs * per_epoch, initial=state["step"], desc=out.name, unit="step", disable=quiet)
    shown, began = {}, time.monotonic() - state["seconds"]
    with stop_between_steps(patient=here.num_processes > 1) as stopped, tracked(accelerator, config, out), bar:
        for epoch in range(state["step"] // per_epoch, num_epochs):
            batches = batch_indices(len(windows), config.batch_size, config.seed, epoch, state["step"] % per_epoch)
            mine = loader(windows, [share(batch) for batch in batches], config.num_workers)
            model.train()
            for batch, samples in zip(batches, mine, strict=True):
                seed = config.seed * 1_000_003 + state["step"] + 1_000_000_007 * here.process_index
                torch.manual_seed(seed)  # drop path depends on the step alone
                for group in optimiser.param_groups:
                    group["lr"] = group["scale"] * learning_rate(config, state["step"], per_epoch)
                pieces = cut(samples, config, len(annotations.classes), device)
                positives = summed(torch.tensor(sum(piece[2] for piece in pieces), dtype=torch.float64, device=device))
                state["normaliser"] = update_normaliser(state["normaliser"], positives.item())
                found = torch.zeros(2, device=device)  # classification and regression loss
                for some, targets, _ in pieces:
                    both = batch_losses(model, stack(some, source, device), targets, config, state["normaliser"])
                    accelerator.backward(sum(both))
                    found += torch.stack(both).detach()
                if not pieces:  # more processes than samples; a gradient scaler must be asked nevertheless
                    accelerator.backward(found.sum().requires_grad_())
                sum_gradients(parameters)
                cls, reg = summed(found)
                videos = [windows.videos[i].id for _, i in batch]
                check_finite(cls + reg, videos, state["step"])
                norm = accelerator.clip_grad_norm_(parameters, config.clip_grad)
                if accelerator.scaler is None:  # a gradient scaler skips such steps by itself
                    check_finite(norm, videos, state["step"], "gradient norm")
                optimiser.step()
                optimiser.zero_grad()
                state["step"] += 1
                if here.is_main_process:
                    ema.update(learnt, state["step"])
                loss = (cls + reg).item()
                shown = {**shown, "loss": f"{loss:.3f}", "GB": f"{memory_gb(device):.1f}"}
                accelerator.log({"loss": loss}, state["step"])
                bar.set_postfix(shown, refresh=False)
                bar.update()
                state["seconds"], stop = time.monotonic() - began, anywhere(bool(stopped))
                within = state["step"] % per_epoch  # the last step of an epoch is saved with its log row, below
                if within and (stop or state["step"] % config.save_every == 0):
                    save_state(out, parts, state)
                if within and stop:
                    raise KeyboardInterrupt(f"at step {state['step']}; the same command continues there")
            row = {"epoch": epoch + 1, "step": state["step"], "cls_loss": cls.item(), "reg_loss": reg.item(),
                   "normaliser": state["normaliser"], "lr": learning_rate(config, state["step"] - 1, per_epoch)}
            if (epoch + 1) % config.val_every == 0 or epoch + 1 == num_epochs:
                row |= on_main(lambda: scores(ema.module, source, judged, config, labelled))
                shown |= {name.removesuffix("_map"): f"{100 * row[name]:.1f}" for name in judged}
            state["seconds"] = time.monotonic() - began
            accelerator.log({name: value for name, value in row.items() if name != "step"}, state["step"])
            append_log(out, {**row, "seconds": round(state["seconds"], 2), "peak_memory_mb": peak_memory_mb()})
            save_state(out, parts, state)
            if anywhere(bool(stopped)):
                raise KeyboardInterrupt(f"after epoch {epoch + 1}; the same command continues there")
    on_main(lambda: save_model(ema.module["model"], out / "model.safetensors", config, annotations.classes,
                               recipe.describe(), tuned_of(ema.module)))
    return out / "model.safetensors"


def cut(samples: list[dict], config: Config, num_classes: int,
        device: torch.device) -> list[tuple[list[dict], Targets, int]]:
    """The samples in pieces of `micro_batch`, each with its targets and the number of positives among them."""
    pieces, size = [], config.micro_batch or len(samples)
    for some in (samples[at:at + size] for at in range(0, len(samples), size or 1)):
        lengths = torch.tensor([sample["length"] for sample in some], device=device)
        where = points(rounded(int(lengths.max())), config.head_levels, device)
        targets = assign_batch(where, [sample["segments_grid"].to(device) for sample in some],
                               [sample["labels"].to(device) for sample in some], num_classes)
        pieces.append((some, targets, count_positives(targets, where.positions_grid < lengths[:, None])))
    return pieces


def batch_losses(model: nn.Module, batch: Batch, targets: Targets, config: Config,
                 normaliser: float) -> tuple[Tensor, Tensor]:
    """(classification loss, regression loss) of one batch, or of a part of one that `normaliser` counts as a whole."""
    output = model(batch.taps, batch.last, batch.mask)
    cls, reg = losses(output.logits, output.offsets, output.point_mask, targets, normaliser, config.label_smoothing)
    return cls, config.reg_weight * reg


def scores(ema: nn.ModuleDict, source: FeatureSource, judged: dict, config: Config,
           labelled: Annotations) -> dict[str, float]:
    """Average mAP by name of the log, of the moving average of everything that learns."""
    with swapped(source.tuned, tuned_of(ema)):
        return {name: average_map(ema["model"], source, videos, truth, config, labelled)
                for name, (videos, truth) in judged.items()}


def tuned_of(learnt: nn.ModuleDict) -> nn.Module | None:
    """What of it lies inside the backbone, if anything."""
    return dict(learnt).get("tuned")


def check_finite(value: Tensor, videos: list[str], step: int, what: str = "loss") -> None:
    if not bool(value.isfinite()):
        raise TrainingError(f"{what} is {value.item()} at step {step} on videos {videos}; lower learning_rate, "
                            f"check these videos, or set precision='no'")


def check_beginning(config: Config) -> None:
    """Nothing; raises ConfigError for what would otherwise fail after the taps: a tracker, a model to start from."""
    if config.log_with and config.log_with not in LOGGER_TYPE_TO_CLASS:
        raise ConfigError(f"log_with={config.log_with!r} is no tracker; accelerate offers "
                          f"{', '.join(LOGGER_TYPE_TO_CLASS)}")
    if config.log_with and config.log_with not in map(str, get_available_trackers()):
        raise ConfigError(f"log_with={config.log_with!r} is not installed here; run `pip install {config.log_with}`, "
                          f"or write log_with='' (log.jsonl is written in any case)")
    adapter = find_adapter(config.adapter)
    broken = [row for row in check_adapter(adapter) if row["otherwise"]] if config.adapter_file else []
    if broken:
        warnings.warn(f"adapter={config.adapter!r} breaks rules of losa.model.contract.check_adapter: "
                      f"{'; '.join(row['rule'] for row in broken)} ({broken[0]['otherwise']})", stacklevel=2)
    if config.start and not model_file(config.start).is_file():
        raise ConfigError(f"start={config.start!r}: no model at {model_file(config.start)}; name the folder of a "
                          f"finished run, or its model.safetensors")


@contextlib.contextmanager
def stop_between_steps(patient: bool = False):
    """A list that is filled by the first interrupt (Ctrl-C, SIGTERM); the loop then ends after a whole step.

    The second one interrupts at once, unless patient: a launcher repeats what the terminal has already sent.
    """
    stopped = []

    def stop(*_) -> None:
        if stopped and not patient:
            raise KeyboardInterrupt
        stopped.append(True)

    try:
        old = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread: interrupts go elsewhere
        old = {}
    try:
        yield stopped
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
