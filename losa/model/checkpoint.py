"""Save and load a trained model: one model.safetensors that also holds what is needed to rebuild the model.

Its metadata are JSON: "config", "classes", "backbone" (`TapRecipe.describe`), "adapter" (code of a user's adapter) and
"losa", the version that wrote it, which older files lack.
"""

import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from losa.adapter_file import strip_comments
from losa.config import Config
from losa.errors import CheckpointError, ConfigError
from losa.files import replacing
from losa.model.losa import LoSA, build

TUNED = "tuned."  # in a checkpoint, before the names of what was trained inside the backbone


def losa_version() -> str:
    """Return the version of the installed losa; "unknown" for a checkout that is not installed."""
    try:
        return version("losa")
    except PackageNotFoundError:
        return "unknown"


def model_file(run: str | Path) -> Path:
    """Return the path of the model.safetensors in a run's folder; a path that is such a file already stays."""
    return Path(run) if str(run).endswith(".safetensors") else Path(run) / "model.safetensors"


def save_model(model: LoSA, path: Path, config: Config, classes: tuple[str, ...], backbone: dict,
               tuned: nn.Module | None = None) -> None:
    """Write model.safetensors with all that rebuilds the model: config, classes and the backbone's facts.

    tuned: what was trained inside the backbone, if anything (`backbones.tuning`).
    """
    metadata = {"config": config.to_dict(), "classes": classes, "backbone": backbone,
                 "adapter": config.with_kept_adapter(path.parent).adapter_text(), "losa": losa_version()}
    path.parent.mkdir(parents=True, exist_ok=True)
    state = model.state_dict() | ({TUNED + k: v for k, v in tuned.state_dict().items()} if tuned is not None else {})
    with replacing(path) as temporary:
        save_file({k: v.detach().cpu().contiguous() for k, v in state.items()}, temporary,
                  metadata={k: json.dumps(v) for k, v in metadata.items()})


def load_model(path: str | Path, *, classes: tuple[str, ...] | None = None,
               backbone: dict | None = None) -> tuple[LoSA, Config, tuple[str, ...]]:
    """Read a run's folder or model file; return (model in eval mode, its config, its classes).

    A user's adapter is run from the copy of its code in the run's folder: load such a run only if you trust its maker.
    Raises FileNotFoundError if there is no file, CheckpointError if it cannot be read, if `classes` or `backbone` (see
    `TapRecipe.describe`) are given and are not those the model was trained with, or the adapter's code is not.
    """
    path = existing_model(path)
    metadata = read_metadata(path)
    try:
        config = Config.make(**metadata["config"])
    except ConfigError as error:
        raise CheckpointError(f"{path} holds a config that this losa cannot read; {advise(metadata)} "
                              f"({error})") from None
    own, own_classes = metadata["backbone"], tuple(metadata["classes"])
    if classes is not None and classes != own_classes:
        raise CheckpointError(f"{path} knows {len(own_classes)} classes {list(own_classes)[:3]}..., the data have "
                              f"{len(classes)} {list(classes)[:3]}...; train on these data or load the model's own")
    if backbone is not None:
        names = own.keys() | backbone.keys()
        differ = {k: (own.get(k), backbone.get(k)) for k in names if own.get(k) != backbone.get(k)}
        if differ:
            raise CheckpointError(f"{path} was trained on other taps: {differ} (model's, given); "
                                  f"use the backbone and sampling it was trained with")
    kept, code = config.with_kept_adapter(path.parent), metadata.get("adapter", "")
    if code and Path(kept.adapter_file).is_file() and strip_comments(kept.adapter_text()) != strip_comments(code):
        raise CheckpointError(f"{path} was trained with other code than {kept.adapter_file} holds now; put that back, "
                              "or train anew")
    model = build(kept, dim=own["dim"], num_taps=len(own["layers"]), num_classes=len(own_classes),
                  clip_snippets=own["clip_length"] // own["tubelet"])
    try:
        model.load_state_dict({k: v for k, v in load_file(path).items() if not k.startswith(TUNED)})
    except RuntimeError as error:
        raise CheckpointError(f"{path} holds weights that do not fit the model this losa builds; {advise(metadata)} "
                              f"({' '.join(str(error).split())[:300]})") from None
    return model.eval(), config, own_classes


def existing_model(run: str | Path) -> Path:
    """Return the model file of a run's folder, or the file itself. Raises FileNotFoundError where there is none."""
    path = model_file(run) if Path(run).is_dir() else Path(run)
    if not path.is_file():
        raise FileNotFoundError(f"no model at {path}; train one with `losa train`, or name a run's folder")
    return path


def read_metadata(path: Path) -> dict:
    """Return what `save_model` wrote beside the weights. Raises CheckpointError for a file that it did not write."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except SafetensorError as error:
        raise CheckpointError(f"{path} is no safetensors file or is cut short ({error})") from None
    if not {"config", "classes", "backbone"} <= metadata.keys():
        raise CheckpointError(f"{path} was not written by losa (no config inside); give a run's model.safetensors")
    try:
        return {name: json.loads(value) for name, value in metadata.items()}
    except ValueError as error:
        raise CheckpointError(f"{path} describes its model in no JSON ({error}); train it again") from None


def advise(written: dict) -> str:
    """Return which version of losa wrote a run (`written["losa"]`) and what to do where this one cannot read it."""
    writer = written.get("losa")
    by = f"losa {writer}" if writer else "an older losa, which did not note its version yet"
    return f"it was written by {by}, this is losa {losa_version()}: use that version for this run, or train it anew"


def load_tuned(tuned: nn.Module, run: str | Path) -> None:
    """Load what a run trained inside the backbone into `tuned`.

    Raises FileNotFoundError if there is no model file, CheckpointError if it holds no such tensors or others.
    """
    path = existing_model(run)
    read_metadata(path)
    state = {name.removeprefix(TUNED): value for name, value in load_file(path).items() if name.startswith(TUNED)}
    try:
        tuned.load_state_dict(state)
    except RuntimeError as error:
        why = f"{len(state)} tensors of a tuned backbone do not fit: {str(error).splitlines()[1].strip()[:200]}"
        raise CheckpointError(f"{path}: {why if state else 'nothing was tuned inside the backbone'}; give a run of the "
                              f"same mode, backbone, taps and adapter_dim") from None
