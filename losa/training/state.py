"""What a run keeps on disk while it trains (run.json, log.jsonl, state.pt), and what a new run starts from."""

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
from losa.config import Config, Mark, list_fields
from losa.errors import TrainingError
from losa.files import file_id, replacing, write_json, write_text
from losa.model.checkpoint import TUNED, advise, losa_version, model_file
from losa.taps.source import FeatureSource
from losa.training.distributed import launched, on_main
from losa.training.windows import Windows


def start_run(config: Config, out: Path, recipe: dict, classes: tuple[str, ...]) -> None:
    """Make the run's folder, or check that it holds the same run. Raises TrainingError for another one.

    The folder keeps a copy of a user's adapter as adapter.py, which the run uses from then on. run.json also names the
    version of losa that began the run, which is not compared.
    """
    text = config.adapter_text()
    facts = {"config": config.to_dict(), "backbone": recipe, "classes": classes, "data": file_id(config.annotations)}
    facts = json.loads(json.dumps(facts | ({"adapter": strip_comments(text)} if text else {})))
    before = read_facts(out) or {**facts, "losa": losa_version()}
    differ = {k: (before["config"].get(k), v) for k, v in config.to_dict().items()
              if before["config"].get(k) != v and k not in list_fields(Mark.LATE)}
    if differ or any(before.get(name) != value for name, value in facts.items() if name != "config"):
        what = "; ".join(f"{name} was {old!r}, now {new!r}" for name, (old, new) in differ.items())
        code = ", or other code of the adapter" if config.adapter_file else ""
        what = f"({what})" if what else f"of annotations or backbone{code}"
        raise TrainingError(f"{out} holds a run with other settings {what}; choose another folder or delete it")
    out.mkdir(parents=True, exist_ok=True)
    if text:
        write_text(out / "adapter.py", text)
    write_json(out / "run.json", facts | ({"losa": before["losa"]} if "losa" in before else {}))
    write_json(out / "config.json", config.to_dict())


def read_facts(out: Path) -> dict:
    """Return what run.json says of the run in a folder; empty where there is none. Raises TrainingError if damaged."""
    path = out / "run.json"
    if not path.exists():
        return {}
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        facts["config"].keys()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TrainingError(f"{path} is damaged ({error}); choose another folder or delete this one") from None
    return facts


def save_state(out: Path, parts: dict, state: dict) -> None:
    """Write state.pt: all that an exact continuation needs (what learns, EMA, optimiser, scaler, the loop's state)."""
    if not launched().is_main_process:
        return
    with replacing(out / "state.pt") as temporary:
        torch.save({**{name: part.state_dict() for name, part in parts.items()}, "loop": state}, temporary)


def restore_state(out: Path, parts: dict) -> dict | None:
    """Restore all parts and return the loop's state; None for a fresh run, whose log starts empty.

    Raises TrainingError where state.pt is damaged or does not fit, which names the version of losa that began the run.
    """
    saved, path = on_main(lambda: read_state(out)), out / "state.pt"
    if saved is None:
        return None
    try:
        for name, part in parts.items():
            part.load_state_dict(saved[name])
    except (KeyError, ValueError, RuntimeError) as error:
        why = " ".join(str(error).split())[:300]
        raise TrainingError(f"{path} does not fit the model that this losa builds; {advise(read_facts(out))}, after "
                            f"deleting {path.name} ({why})") from error
    return saved["loop"]


def read_state(out: Path) -> dict | None:
    """Return what `save_state` wrote, None where there is nothing; drop log rows that were written after it."""
    log, path = out / "log.jsonl", out / "state.pt"
    if not path.exists():
        log.unlink(missing_ok=True)
        return None
    try:
        saved = torch.load(path, weights_only=True, map_location="cpu")
        step = saved["loop"]["step"]
    except Exception as error:  # a damaged pickle fails in every way there is
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise TrainingError(f"{path} is damaged ({why}); delete it to train from the start") from error
    rows = log.read_text().splitlines() if log.exists() else []
    write_text(log, "".join(f"{row}\n" for row in rows if read_step(row) <= step))
    return saved


def read_step(row: str) -> int | float:
    """Return the step after which a row of the log was written; infinity for a row cut short by a full disk."""
    try:
        return json.loads(row)["step"]
    except ValueError:
        return math.inf


def append_log(out: Path, row: dict) -> None:
    """Append a row to log.jsonl, in the main process alone."""
    if launched().is_main_process:
        with (out / "log.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")


@torch.no_grad()
def warm_start(run: str | Path, learnt: nn.ModuleDict) -> str:
    """Copy tensors from another run's model where name and shape agree; return a sentence that says how many.

    learnt: "model", and "tuned" where parts of the backbone train. Raises TrainingError if no weight agrees.
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
    """Let `tuned` compute with weights and buffers of `other`, its moving average, until the end; None: do nothing."""
    exchange(tuned, other)
    try:
        yield
    finally:
        exchange(tuned, other)


def exchange(one: nn.Module | None, other: nn.Module | None) -> None:
    """Exchange the values of two modules of the same kind, without copying a tensor."""
    if one is None or other is None:
        return
    values = other.state_dict(keep_vars=True)
    for name, value in one.state_dict(keep_vars=True).items():
        value.data, values[name].data = values[name].data, value.data


def begin_state(config: Config, learnt: nn.ModuleDict, ema: nn.ModuleDict, windows: Windows,
                source: FeatureSource, quiet: bool) -> dict:
    """Set the model's statistics, copy a warm start's weights, set the EMA; return the loop's state before step 0."""
    learnt["model"].set_statistics(*on_main(lambda: [x.cpu() for x in compute_tap_statistics(windows, source)]))
    if config.start:
        message = on_main(lambda: warm_start(config.start, learnt))
        if not quiet:
            print(message)
    ema.load_state_dict(learnt.state_dict())
    return {"step": 0, "normaliser": config.init_normaliser, "seconds": 0.0}


@torch.no_grad()
def compute_tap_statistics(windows: Windows, source: FeatureSource,
                           at_most: int = 128) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return mean and deviation per channel of taps (K, C), then of the last layer (C,), over training windows.

    At most `at_most` windows, evenly spaced; one is in memory at a time.
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
