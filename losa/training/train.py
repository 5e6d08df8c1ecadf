"""The training loop: `train` is one visible function, the same for every way of adapting, with exact resume.

Each batch goes through `train_step`, each epoch ends in `end_of_epoch`. Several processes (`distributed`) each take
their share of every batch; positives, losses and gradients are summed over all of them, so that the result does not
depend on how many there are.
"""

import math
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from tqdm.auto import tqdm

from losa.annotations.dataset import Annotations, load_annotations
from losa.config import Config
from losa.errors import ConfigError, TrainingError
from losa.evaluation.ground_truth import as_learnt
from losa.machine import memory_gb, peak_memory_mb
from losa.model.adapters import find_adapter
from losa.model.checkpoint import model_file, save_model
from losa.model.contract import check_adapter
from losa.model.losa import build
from losa.model.points import Targets, assign_batch, count_positives, losses, points, update_normaliser
from losa.taps.batch import Batch, rounded, stack
from losa.taps.open import open_features
from losa.taps.source import FeatureSource
from losa.taps.time_axis import estimate_axes
from losa.training.distributed import (
    broadcast_weights,
    in_any_process,
    launched,
    make_accelerator,
    on_main,
    share,
    sum_gradients,
    summed,
    tracked,
)
from losa.training.interrupts import stop_between_steps
from losa.training.optimiser import learning_rate, make_optimiser
from losa.training.reach import describe_reach
from losa.training.snapshots import choose_video, keep_snapshot, take_snapshot
from losa.training.state import append_log, begin_state, restore_state, save_state, start_run, swapped
from losa.training.validation import average_map, check_subsets, choose_validation_sets
from losa.training.windows import Windows, batch_indices, loader


@dataclass(frozen=True)
class Training:
    """What the loop works on, beside its state ({"step", "normaliser", "seconds"}), which changes with every step."""

    config: Config
    out: Path
    accelerator: Accelerator
    labelled: Annotations
    validation_sets: dict  # name in the log -> (videos, ground truth)
    source: FeatureSource  # of features, see `losa.taps.open`
    windows: Windows
    num_classes: int
    learnt: nn.ModuleDict  # all that learns: "model", and "tuned" where parts of the backbone do
    ema: ModelEmaV3  # moving average of `learnt`
    optimiser: torch.optim.Optimizer

    @property
    def num_epochs(self) -> int:
        return self.config.warmup_epochs + self.config.epochs

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(len(self.windows) / self.config.batch_size)

    @property
    def parts(self) -> dict:
        """What state.pt keeps beside the loop's state."""
        parts = {"learnt": self.learnt, "ema": self.ema.module, "optimiser": self.optimiser}
        return parts if self.accelerator.scaler is None else parts | {"scaler": self.accelerator.scaler}


def train(config: Config, out: str | Path, *, quiet: bool = False) -> Path:
    """Train a model and return the path of its model.safetensors; continue where `out` was interrupted.

    Writes run.json, config.json, log.jsonl (a line per epoch, with the losses of its last batch), snapshots.jsonl (see
    `losa.training.snapshots`) and state.pt beside it. The result is always the EMA weights of the last epoch: val mAP
    serves to choose between configs, never between epochs, and test mAP (`track_test`) serves for neither.
    Raises TrainingError for a loss that is not finite, KeyboardInterrupt after saving when interrupted.
    """
    # --- set-up ---
    out, processes = Path(out), launched()
    check_beginning(config)
    accelerator, quiet = make_accelerator(config, out), quiet or not processes.is_main_process
    device = accelerator.device

    # --- data ---
    labelled = load_annotations(config.annotations)
    check_subsets(config, labelled)
    annotations, validation_sets = as_learnt(config, labelled), choose_validation_sets(config, labelled)
    train_videos = annotations.subset(config.train_subset)
    with processes.main_process_first():  # the main process fills the cache, if there is one
        source = open_features(config, train_videos + sum((videos for videos, _ in validation_sets.values()), ()),
                               device=str(device), quiet=quiet, before=lambda opened: warn_of_reach(
                                   config, annotations, opened) if processes.is_main_process else None)
    recipe, clip_snippets = source.recipe, source.recipe.clip_length // source.recipe.tubelet
    windows = Windows(train_videos, source, config.window, seed=config.seed, crop_ratio=config.crop_ratio,
                      align=window_step(config, source), copies=config.copies)
    on_main(lambda: start_run(config, out, recipe.describe(), annotations.classes))

    # --- model, optimiser, moving average ---
    torch.manual_seed(config.seed)
    model = build(config.with_kept_adapter(out), dim=recipe.dim, num_taps=len(recipe.layers),
                  num_classes=len(annotations.classes), clip_snippets=clip_snippets).to(device)
    optimiser = accelerator.prepare_optimizer(make_optimiser(model, config, source.tuned))
    model = accelerator.prepare_model(model, evaluation_mode=True)  # mixed precision alone, no wrapper
    learnt = nn.ModuleDict({"model": model} | ({"tuned": source.tuned} if source.tuned is not None else {}))
    ema = ModelEmaV3(learnt, decay=config.ema_decay)
    training = Training(config, out, accelerator, labelled, validation_sets, source, windows, len(annotations.classes),
                        learnt, ema, optimiser)

    # --- state: of the interrupted run, or a new one ---
    state = restore_state(out, training.parts) or begin_state(config, learnt, ema.module, windows, source, quiet)
    broadcast_weights(learnt)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)  # from here on it is training's

    # --- loop ---
    num_epochs, per_epoch = training.num_epochs, training.steps_per_epoch
    bar = tqdm(total=num_epochs * per_epoch, initial=state["step"], desc=out.name, unit="step", disable=quiet)
    bar_texts, began = {}, time.monotonic() - state["seconds"]
    with (stop_between_steps(patient=processes.num_processes > 1) as stop_requests,
          tracked(accelerator, config, out), bar):
        for epoch in range(state["step"] // per_epoch, num_epochs):
            batches = batch_indices(len(windows), config.batch_size, config.seed, epoch, state["step"] % per_epoch)
            own_samples = loader(windows, [share(batch) for batch in batches], config.num_workers)
            model.train()
            for batch, samples in zip(batches, own_samples, strict=True):
                cls_loss, reg_loss = train_step(training, state, batch, samples)
                loss = (cls_loss + reg_loss).item()
                bar_texts |= {"loss": f"{loss:.3f}", "GB": f"{memory_gb(device):.1f}"}
                accelerator.log({"loss": loss}, state["step"])
                bar.set_postfix(bar_texts, refresh=False)
                bar.update()
                state["seconds"], stop = time.monotonic() - began, in_any_process(bool(stop_requests))
                if state["step"] % per_epoch:  # the last step of an epoch is saved with its log row, below
                    if stop or state["step"] % config.save_every == 0:
                        save_state(out, training.parts, state)
                    if stop:
                        raise KeyboardInterrupt(f"at step {state['step']}; the same command continues there")
            maps = end_of_epoch(training, state, epoch, cls_loss, reg_loss, began)
            bar_texts |= {name.removesuffix("_map"): f"{100 * value:.1f}" for name, value in maps.items()}
            if in_any_process(bool(stop_requests)):
                raise KeyboardInterrupt(f"after epoch {epoch + 1}; the same command continues there")

    on_main(lambda: save_model(ema.module["model"], out / "model.safetensors", config, annotations.classes,
                               recipe.describe(), get_tuned(ema.module)))
    return out / "model.safetensors"


def window_step(config: Config, source: FeatureSource) -> int:
    """Return at multiples of how many snippets windows start."""
    return source.recipe.clip_length // source.recipe.tubelet if config.short_scope == "clip" else 1


def warn_of_reach(config: Config, annotations: Annotations, source: FeatureSource) -> None:
    """Warn of what training on a source cannot learn; nothing is computed yet. annotations: as the model learns them.
    """
    axes = estimate_axes(source, annotations.subset(config.train_subset))
    said = describe_reach(config, annotations, axes, window_step(config, source))
    if said:
        warnings.warn(said, stacklevel=1)  # from one place, so that it is shown once


def train_step(training: Training, state: dict, batch: list[tuple[int, int]],
               samples: list[dict]) -> tuple[Tensor, Tensor]:
    """Take one optimiser step and return the batch's (classification loss, regression loss).

    batch: (epoch, video index) of all processes. samples: this process's share of them, maybe none.
    """
    config, accelerator, learnt = training.config, training.accelerator, training.learnt
    device, processes = accelerator.device, launched()
    parameters = [p for p in learnt.parameters() if p.requires_grad]
    seed = config.seed * 1_000_003 + state["step"] + 1_000_000_007 * processes.process_index
    torch.manual_seed(seed)  # so drop path is the same after an interruption
    for group in training.optimiser.param_groups:
        group["lr"] = group["scale"] * learning_rate(config, state["step"], training.steps_per_epoch)

    # --- forward and backward, in pieces of `micro_batch` ---
    pieces = split_batch(samples, config, training.num_classes, device)
    positives = summed(torch.tensor(sum(piece[2] for piece in pieces), dtype=torch.float64, device=device))
    state["normaliser"] = update_normaliser(state["normaliser"], positives.item())
    own_losses = torch.zeros(2, device=device)  # classification and regression
    for piece, targets, _ in pieces:
        piece_losses = batch_losses(learnt["model"], stack(piece, training.source, device), targets, config,
                                    state["normaliser"])
        accelerator.backward(sum(piece_losses))
        own_losses += torch.stack(piece_losses).detach()
    if not pieces:  # more processes than samples; a gradient scaler must be asked nevertheless
        accelerator.backward(own_losses.sum().requires_grad_())
    sum_gradients(parameters)
    cls_loss, reg_loss = summed(own_losses)

    # --- optimiser step ---
    videos = [training.windows.videos[i].id for _, i in batch]
    check_finite(cls_loss + reg_loss, videos, state["step"])
    norm = accelerator.clip_grad_norm_(parameters, config.clip_grad)
    if accelerator.scaler is None:  # a gradient scaler skips such steps by itself
        check_finite(norm, videos, state["step"], "gradient norm")
    training.optimiser.step()
    training.optimiser.zero_grad()
    state["step"] += 1

    # --- moving average ---
    if processes.is_main_process:
        training.ema.update(learnt, state["step"])
    return cls_loss, reg_loss


def end_of_epoch(training: Training, state: dict, epoch: int, cls_loss: Tensor, reg_loss: Tensor,
                 began: float) -> dict[str, float]:
    """Validate where the epoch asks for it, log the epoch, save the state; return average mAP by name in the log."""
    config, maps = training.config, {}
    row = {"epoch": epoch + 1, "step": state["step"], "cls_loss": cls_loss.item(), "reg_loss": reg_loss.item(),
           "normaliser": state["normaliser"],
           "lr": learning_rate(config, state["step"] - 1, training.steps_per_epoch)}
    if (epoch + 1) % config.val_every == 0 or epoch + 1 == training.num_epochs:
        maps = on_main(lambda: validate(training))
    row |= maps
    state["seconds"] = time.monotonic() - began
    training.accelerator.log({name: value for name, value in row.items() if name != "step"}, state["step"])
    append_log(training.out, {**row, "seconds": round(state["seconds"], 2), "peak_memory_mb": peak_memory_mb()})
    on_main(lambda: keep_snapshot(training.out, epoch + 1, look_back(training)))
    save_state(training.out, training.parts, state)
    return maps


def look_back(training: Training) -> dict:
    """Return the snapshot of the moving average as it is now."""
    ema, config = training.ema.module, training.config
    with swapped(training.source.tuned, get_tuned(ema)):
        return take_snapshot(ema["model"].eval(), training.source, choose_video(
            training.validation_sets, training.windows.videos), config, as_learnt(config, training.labelled).classes)


def validate(training: Training) -> dict[str, float]:
    """Return average mAP of the moving average, by name in the log."""
    ema = training.ema.module
    with swapped(training.source.tuned, get_tuned(ema)):
        return {name: average_map(ema["model"], training.source, videos, truth, training.config, training.labelled)
                for name, (videos, truth) in training.validation_sets.items()}


def split_batch(samples: list[dict], config: Config, num_classes: int,
                device: torch.device) -> list[tuple[list[dict], Targets, int]]:
    """Split the samples into pieces of `micro_batch`: (samples, their targets, number of positive points) each."""
    pieces, size = [], config.micro_batch or len(samples)
    for piece in (samples[at:at + size] for at in range(0, len(samples), size or 1)):
        lengths = torch.tensor([sample["length"] for sample in piece], device=device)
        where = points(rounded(int(lengths.max())), config.head_levels, device)
        targets = assign_batch(where, [sample["segments_grid"].to(device) for sample in piece],
                               [sample["labels"].to(device) for sample in piece], num_classes)
        pieces.append((piece, targets, count_positives(targets, where.positions_grid < lengths[:, None])))
    return pieces


def batch_losses(model: nn.Module, batch: Batch, targets: Targets, config: Config,
                 normaliser: float) -> tuple[Tensor, Tensor]:
    """Return (classification loss, regression loss) of a batch, or of a piece of one.

    normaliser: of the whole batch, so that the losses of its pieces add up to its own.
    """
    output = model(batch.taps, batch.last, batch.mask)
    cls, reg = losses(output.logits, output.offsets, output.point_mask, targets, normaliser, config.label_smoothing)
    return cls, config.reg_weight * reg


def get_tuned(learnt: nn.ModuleDict) -> nn.Module | None:
    """Return the part of `learnt` that lies inside the backbone, None where nothing does."""
    return dict(learnt).get("tuned")


def check_finite(value: Tensor, videos: list[str], step: int, what: str = "loss") -> None:
    """Check a loss or norm. Raises TrainingError that names step and videos where it is not finite."""
    if not bool(value.isfinite()):
        raise TrainingError(f"{what} is {value.item()} at step {step} on videos {videos}; lower learning_rate, "
                            f"check these videos, or set precision='no'")


def check_beginning(config: Config) -> None:
    """Check what can be checked before any expensive work: tracker, adapter file, model to start from.

    Raises ConfigError (FileNotFoundError for an adapter's file); warns where an adapter breaks the contract.
    """
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
