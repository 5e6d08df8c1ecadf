"""What a run keeps on disk while it trains: its settings, log and state; and where else it may start from."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from losa.adapter_file import strip_comments
from losa.config import LATE, Config
from losa.errors import TrainingError
from losa.files import file_id, replacing, write_json, write_text
from losa.model.checkpoint import TUNED
from losa.training.distributed import launched, on_main
from losa.training.windows import Windows


def start_run(config: Config, out: Path, recipe: dict, classes: tuple[str, ...]) -> None:
    """Makes the run's folder, or checks that it holds the same run. Raises TrainingError for another one.

    The folder keeps the code of an adapter of one's own as adapter.py; the run goes by that from then on.
    """
    text = config.adapter_text()
    facts = {"config": config.to_dict(), "backbone": recipe, "classes": classes, "data": file_id(config.annotations)}
    facts = json.dumps(facts | ({"adapter": strip_comments(text)} if text else {}), indent=1)
    path = out / "run.json"
    before = json.loads(path.read_text()) if path.exists() else json.loads(facts)
    differ = {k: (before["config"].get(k), v) for k, v in config.to_dict().items()
              if before["config"].get(k) != v and k not in LATE}
    if differ or any(before[name] != value for name, value in json.loads(facts).items() if name != "config"):
        what = "; ".join(f"{name} was {old!r}, now {new!r}" for name, (old, new) in differ.items())
        code = ", or other code of the adapter" if config.adapter_file else ""
        what = f"({what})" if what else f"of annotations or backbone{code}"
        raise TrainingError(f"{out} holds a run with other settings {what}; choose another folder or delete it")
    out.mkdir(parents=True, exist_ok=True)
    if text:
        write_text(out / "adapter.py", text)
    write_text(path, facts)
    write_json(out / "config.json", config.to_dict())


def save_state(out: Path, parts: dict, state: dict) -> None:
    """Everything an exact continuation needs (states of what learns, EMA, optimiser, scaler, loop), as a whole."""
    if not launched().is_main_process:
        return
    with replacing(out / "state.pt") as temporary:
        torch.save({**{name: part.state_dict() for name, part in parts.items()}, "loop": state}, temporary)


def load_state(out: Path, parts: dict) -> dict | None:
    """The loop's state after restoring all parts; None for a fresh run, whose log starts empty."""
    saved, path = on_main(lambda: read_state(out)), out / "state.pt"
    if saved is None:
        return None
    try:
        for name, part in parts.items():
            part.load_state_dict(saved[name])
    except Exception as error:
        raise damaged(path, error) from error
    return saved["loop"]


def read_state(out: Path) -> dict | None:
    """What `save_state` wrote, if anything; log rows after it are dropped."""
    log, path = out / "log.jsonl", out / "state.pt"
    if not path.exists():
        log.unlink(missing_ok=True)
        return None
    try:
        saved = torch.load(path, weights_only=True, map_location="cpu")
        step = saved["loop"]["step"]
    except Exception as error:
        raise damaged(path, error) from error
    rows = log.read_text().splitlines() if log.exists() else []
    write_text(log, "".join(f"{row}\n" for row in rows if step_of(row) <= step))
    return saved


def step_of(row: str) -> int | float:
    """The step a row of the log was written after; infinity for one cut short, as when the disk was full."""
    try:
        return json.loads(row)["step"]
    except ValueError:
        return math.inf


def damaged(path: Path, error: Exception) -> TrainingError:
    why = (str(error).splitlines() or [type(error).__name__])[0]
    return TrainingError(f"{path} is damaged ({why}); delete it to train from the start")


def append_log(out: Path, row: dict) -> None:
    if launched().is_main_process:
        with (out / "log.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")


def model_file(run: str | Path) -> Path:
    """The model.safetensors of a run's folder, or the file itself."""
    return Path(run) / "model.safetensors" if not str(run).endswith(".safetensors") else Path(run)


@torch.no_grad()
def warm_start(run: str | Path, learnt: nn.ModuleDict) -> str:
    """How many tensors were taken over from another run's model: those whose name and shape agree.

    Raises TrainingError if no weight does.
    """
    try:
        saved = load_file(model_file(run))
    except SafetensorError as error:
        raise TrainingError(f"start={str(run)!r}: {model_file(run)} is no safetensors file or cut short ({error}); "
                            "train that run again") from None
    named = [(("" if part == "model" else TUNED) + name, value, isinstance(value, nn.Parameter))
             for part, module in learnt.items() for name, value in module.state_dict(keep_vars=True).items()]
    fit = [(name, value, trains) for name, value, trains in named
           if name in saved and saved[name].shape == value.shape]
    if not any(trains for _, _, trains in fit):
        raise TrainingError(f"start={str(run)!r}: no weight has a name and shape of this model's, e.g. "
                            f"{next(iter(saved), 'none')} there, {named[-1][0]} here; start from a run with the same "
                            "backbone and head, or write start=''")
    for name, value, _ in fit:
        value.copy_(saved[name])
    return f"start={run}: {len(fit)} of {len(named)} tensors taken over"


@contextmanager
def swapped(tuned: nn.Module | None, other: nn.Module | None) -> Iterator[None]:
    """`tuned` computes with the weights and buffers of `other`, say its moving average, until the end; None: nothing.
    """
    exchange(tuned, other)
    try:
        yield
    finally:
        exchange(tuned, other)


def exchange(one: nn.Module | None, other: nn.Module | None) -> None:
    """Exchanges the values of two modules of the same kind; no tensor is copied."""
    if one is None or other is None:
        return
    values = other.state_dict(keep_vars=True)
    for name, value in one.state_dict(keep_vars=True).items():
        value.data, values[name].data = values[name].data, value.data


def first_state(config: Config, learnt: nn.ModuleDict, ema: nn.ModuleDict, windows: Windows, source,
                quiet: bool) -> dict:
    """The loop's state before the first step, after standardisation and a warm start are in the model and its EMA."""
    learnt["model"].set_statistics(*on_main(lambda: [x.cpu() for x in tap_statistics(windows, source)]))
    if config.start:
        told = on_main(lambda: warm_start(config.start, learnt))
        if not quiet:
            print(told)
    ema.load_state_dict(learnt.state_dict())
    return {"step": 0, "normaliser": config.init_normaliser, "seconds": 0.0}


@torch.no_grad()
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
