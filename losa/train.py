"""The training loop: one visible function, the same for cached and on-the-fly taps, with exact resume."""

import contextlib
import json
import math
import os
import signal
import time
from pathlib import Path

import psutil
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from tqdm.auto import tqdm

from losa.config import LATE, Config
from losa.data import Annotations, load_annotations
from losa.evaluate import evaluate
from losa.files import write_text
from losa.head import assign_batch, count_positives, losses, points, update_normaliser
from losa.model import LoSA, build, save_model
from losa.predict import judged_by, predict, seen_by, suppress, truth_of
from losa.taps import best_device, file_id, open_taps
from losa.windows import Batch, Windows, batch_indices, loader, stack


class TrainingError(RuntimeError):
    """Training cannot go on; the message says where and what to change."""


def train(config: Config, out: str | Path, *, quiet: bool = False) -> Path:
    """The path of the trained model.safetensors; continues where `out` was interrupted.

    Writes config.json, log.jsonl (one line per epoch) and state.pt beside it. The result is the last epoch's
    EMA weights; val mAP is for choosing between configs and never picks an epoch.
    Raises TrainingError for a loss that is not finite, KeyboardInterrupt after saving when interrupted.
    """
    out = Path(out)
    AcceleratorState._reset_state()  # else a second run in this process could not choose another precision
    accelerator = Accelerator(mixed_precision=config.precision, cpu=best_device() == "cpu")
    if accelerator.num_processes > 1:
        raise TrainingError(f"started as {accelerator.num_processes} processes; training takes one for now")
    labelled = load_annotations(config.annotations)
    annotations = seen_by(config, labelled)
    train_videos = annotations.subset(config.train_subset)
    val_videos = annotations.subset(config.val_subset) if config.val_subset else ()
    source = open_taps(config, train_videos + val_videos, device=str(accelerator.device), quiet=quiet)
    recipe = source.recipe
    start_run(config, out, recipe.describe(), annotations.classes)
    num_epochs, per_epoch = config.warmup_epochs + config.epochs, math.ceil(len(train_videos) / config.batch_size)

    torch.manual_seed(config.seed)
    model = build(config, dim=recipe.dim, num_taps=len(recipe.layers), num_classes=len(annotations.classes),
                  clip_snippets=recipe.clip_length // recipe.tubelet).to(accelerator.device)
    optimiser = make_optimiser(model, config)
    model, optimiser = accelerator.prepare(model, optimiser)
    bare = accelerator.unwrap_model(model)
    ema = ModelEmaV3(bare, decay=config.ema_decay)
    windows = Windows(train_videos, source, config.window, seed=config.seed, crop_ratio=config.crop_ratio,
                      align=recipe.clip_length // recipe.tubelet if config.short_scope == "clip" else 1)
    parts = {"model": bare, "ema": ema.module, "optimiser": optimiser}
    if accelerator.scaler is not None:
        parts["scaler"] = accelerator.scaler
    state = load_state(out, parts)
    if state is None:
        state = {"step": 0, "normaliser": config.init_normaliser, "seconds": 0.0}
        statistics = tap_statistics(windows, source)
        bare.set_statistics(*statistics)
        ema.module.set_statistics(*statistics)

    bar = tqdm(total=num_epochs * per_epoch, initial=state["step"], desc=out.name, unit="step", disable=quiet)
    shown, began = {}, time.monotonic() - state["seconds"]
    with stop_between_steps() as stopped, bar:
        for epoch in range(state["step"] // per_epoch, num_epochs):
            batches = batch_indices(len(windows), config.batch_size, config.seed, epoch, state["step"] % per_epoch)
            model.train()
            for samples in loader(windows, batches, config.num_workers):
                torch.manual_seed(config.seed * 1_000_003 + state["step"])  # drop path depends on the step alone
                batch = stack(samples, source, accelerator.device)
                for group in optimiser.param_groups:
                    group["lr"] = group["scale"] * learning_rate(config, state["step"], per_epoch)
                cls, reg, state["normaliser"] = batch_losses(model, batch, config, state["normaliser"])
                loss = cls + reg
                check_finite(loss, batch, state["step"])
                accelerator.backward(loss)
                norm = accelerator.clip_grad_norm_(model.parameters(), config.clip_grad)
                if accelerator.scaler is None:  # a gradient scaler skips such steps by itself
                    check_finite(norm, batch, state["step"], "gradient norm")
                optimiser.step()
                optimiser.zero_grad()
                state["step"] += 1
                ema.update(bare, state["step"])
                shown = {**shown, "loss": f"{loss.item():.3f}", "GB": f"{memory_gb(accelerator.device):.1f}"}
                bar.set_postfix(shown, refresh=False)
                bar.update()
                state["seconds"] = time.monotonic() - began
                within = state["step"] % per_epoch  # the last step of an epoch is saved with its log row, below
                if within and (stopped or state["step"] % config.save_every == 0):
                    save_state(out, parts, state)
                if within and stopped:
                    raise KeyboardInterrupt(f"at step {state['step']}; the same command continues there")
            row = {"epoch": epoch + 1, "step": state["step"], "cls_loss": cls.item(), "reg_loss": reg.item(),
                   "normaliser": state["normaliser"], "lr": learning_rate(config, state["step"] - 1, per_epoch)}
            if val_videos and ((epoch + 1) % config.val_every == 0 or epoch + 1 == num_epochs):
                row["val_map"] = validate(ema.module, source, val_videos, config, labelled)
                shown["val"] = f"{100 * row['val_map']:.1f}"
            state["seconds"] = time.monotonic() - began
            append_log(out / "log.jsonl", {**row, "seconds": round(state["seconds"], 2)})
            save_state(out, parts, state)
            if stopped:
                raise KeyboardInterrupt(f"after epoch {epoch + 1}; the same command continues there")
    save_model(ema.module, out / "model.safetensors", config, annotations.classes, recipe.describe())
    return out / "model.safetensors"


def batch_losses(model: nn.Module, batch: Batch, config: Config, normaliser: float) -> tuple[Tensor, Tensor, float]:
    """(classification loss, regression loss, next normaliser) of one batch."""
    output = model(batch.taps, batch.last, batch.mask)
    where = points(batch.mask.shape[1], config.head_levels, batch.mask.device)
    targets = assign_batch(where, batch.segments_grid, batch.labels, output.logits.shape[2])
    normaliser = update_normaliser(normaliser, count_positives(targets, output.point_mask))
    cls, reg = losses(output.logits, output.offsets, output.point_mask, targets, normaliser, config.label_smoothing)
    return cls, config.reg_weight * reg, normaliser


def make_optimiser(model: LoSA, config: Config) -> torch.optim.Optimizer:
    """AdamW with groups by role: gates learn faster and, like biases, norms and scales, are not decayed."""
    roles = {"gate": (config.gate_lr_scale, 0.0), "no_decay": (1.0, 0.0), "decay": (1.0, config.weight_decay)}
    groups = [{"params": params, "scale": roles[role][0], "weight_decay": roles[role][1]}
              for role, params in model.groups().items() if params]
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


def learning_rate(config: Config, step: int, per_epoch: int) -> float:
    """Linear warm-up, then cosine to 1e-8, per step."""
    warmup, total = config.warmup_epochs * per_epoch, (config.warmup_epochs + config.epochs) * per_epoch
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    done = (step - warmup) / max(total - warmup - 1, 1)
    return 1e-8 + (config.learning_rate - 1e-8) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def tap_statistics(windows: Windows, source, at_most: int = 128) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Mean and standard deviation per channel of taps (K, C) and last layer (C,) over `at_most` training windows.

    One window is in memory at a time.
    """
    total, count, snippets = None, 0, 0
    for i in range(0, len(windows), -(-len(windows) // at_most)):
        tapped, last = source.features(windows[0, i]["fetched"])
        rows = [x.double() for x in (tapped.permute(0, 1, 3, 4, 2).flatten(2), last)]
        count, snippets = count + rows[0].shape[2], snippets + last.shape[1]
        sums = [x.sum(-1) for x in rows] + [x.square().sum(-1) for x in rows]
        total = sums if total is None else [a + b for a, b in zip(total, sums, strict=True)]
    means = [total[0] / max(count, 1), total[1] / snippets]
    squares = [total[2] / max(count, 1), total[3] / snippets]
    spreads = [(square - mean.square()).clamp(min=0).sqrt() for square, mean in zip(squares, means, strict=True)]
    return means[0].float(), spreads[0].float(), means[1].float(), spreads[1].float()


def validate(model: LoSA, source, videos, config: Config, annotations: Annotations) -> float:
    """Average mAP on `videos`; the model is left in eval mode."""
    seen, judged = seen_by(config, annotations), judged_by(config, annotations)
    raw = predict(model.eval(), source, videos, config, quiet=True)
    records = suppress(raw, config, seen.classes, annotations.classes)
    truth = truth_of(judged.subset(config.val_subset), judged.classes)
    return evaluate(truth, records, tuple(config.tiou), config.protocol).average_map


def check_finite(value: Tensor, batch: Batch, step: int, what: str = "loss") -> None:
    if not bool(value.isfinite()):
        raise TrainingError(f"{what} is {value.item()} at step {step} on videos {batch.videos}; lower learning_rate, "
                            f"check these videos, or set precision='no'")


def start_run(config: Config, out: Path, recipe: dict, classes: tuple[str, ...]) -> None:
    """Makes the run's folder, or checks that it holds the same run. Raises TrainingError for another one."""
    facts = json.dumps({"config": config.to_dict(), "backbone": recipe, "classes": classes,
                        "data": file_id(config.annotations)}, indent=1)
    path = out / "run.json"
    before = json.loads(path.read_text()) if path.exists() else json.loads(facts)
    differ = {k: (before["config"].get(k), v) for k, v in config.to_dict().items()
              if before["config"].get(k) != v and k not in LATE}
    if differ or any(before[name] != value for name, value in json.loads(facts).items() if name != "config"):
        what = "; ".join(f"{name} was {old!r}, now {new!r}" for name, (old, new) in differ.items())
        what = f"({what})" if what else "of annotations or backbone"
        raise TrainingError(f"{out} holds a run with other settings {what}; choose another folder or delete it")
    out.mkdir(parents=True, exist_ok=True)
    write_text(path, facts)
    write_text(out / "config.json", json.dumps(config.to_dict(), indent=1))


def save_state(out: Path, parts: dict, state: dict) -> None:
    """Everything an exact continuation needs (states of model, EMA, optimiser, scaler, loop), replaced as a whole."""
    temporary = out / "state.tmp"
    torch.save({**{name: part.state_dict() for name, part in parts.items()}, "loop": state}, temporary)
    os.replace(temporary, out / "state.pt")


def load_state(out: Path, parts: dict) -> dict | None:
    """The loop's state after restoring all parts; None for a fresh run, whose log starts empty."""
    log, path = out / "log.jsonl", out / "state.pt"
    if not path.exists():
        log.unlink(missing_ok=True)
        return None
    try:
        saved = torch.load(path, weights_only=True, map_location="cpu")
        for name, part in parts.items():
            part.load_state_dict(saved[name])
    except Exception as error:
        why = str(error).splitlines()[0]
        raise TrainingError(f"{path} is damaged ({why}); delete it to train from the start") from error
    rows = log.read_text().splitlines() if log.exists() else []
    write_text(log, "".join(f"{row}\n" for row in rows if json.loads(row)["step"] <= saved["loop"]["step"]))
    return saved["loop"]


@contextlib.contextmanager
def stop_between_steps():
    """A list that is filled by the first interrupt (Ctrl-C, SIGTERM); the loop then ends after a whole step.

    The second one interrupts at once.
    """
    stopped = []

    def stop(*_) -> None:
        if stopped:
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


def append_log(path: Path, row: dict) -> None:
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")


def memory_gb(device: torch.device) -> float:
    """Peak memory of the GPU, or resident memory of this process on CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    return psutil.Process().memory_info().rss / 1e9
