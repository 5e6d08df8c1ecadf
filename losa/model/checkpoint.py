"""Save and load a trained model: one model.safetensors that holds what is needed to rebuild it."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from losa.adapter_file import strip_comments
from losa.config import Config
from losa.errors import CheckpointError
from losa.files import replacing
from losa.model.losa import LoSA, build

TUNED = "tuned."  # in a checkpoint, before the names of what was trained inside the backbone


def save_model(model: LoSA, path: Path, config: Config, classes: tuple[str, ...], backbone: dict,
               tuned: nn.Module | None = None) -> None:
    """Writes model.safetensors whose metadata rebuild the model: config, classes and the backbone's facts.

    tuned: what was trained inside the backbone, if anything (`backbones.tuning`).
    """
    described = {"config": config.to_dict(), "classes": classes, "backbone": backbone,
                 "adapter": config.kept_in(path.parent).adapter_text()}
    path.parent.mkdir(parents=True, exist_ok=True)
    state = model.state_dict() | ({TUNED + k: v for k, v in tuned.state_dict().items()} if tuned is not None else {})
    with replacing(path) as temporary:
        save_file({k: v.detach().cpu().contiguous() for k, v in state.items()}, temporary,
                  metadata={k: json.dumps(v) for k, v in described.items()})


def load_model(path: str | Path, *, classes: tuple[str, ...] | None = None,
               backbone: dict | None = None) -> tuple[LoSA, Config, tuple[str, ...]]:
    """(model in eval mode, its config, its classes).

    An adapter of one's own is run as its run's folder keeps it: load such a run only if you trust who made it.
    Raises CheckpointError if `classes` or `backbone` (see `TapRecipe.describe`) are given and are not the ones
    the model was trained with, or the adapter's code is not; FileNotFoundError if there is no file.
    """
    path = Path(path)
    path = path / "model.safetensors" if path.is_dir() else path
    if not path.is_file():
        raise FileNotFoundError(f"no model at {path}; train one with `losa train`, or name a run's folder")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except SafetensorError as error:
        raise CheckpointError(f"{path} is no safetensors file or is cut short ({error})") from None
    if "config" not in metadata:
        raise CheckpointError(f"{path} was not written by losa (no config inside); give a run's model.safetensors")
    config, own = Config.make(**json.loads(metadata["config"])), json.loads(metadata["backbone"])
    own_classes = tuple(json.loads(metadata["classes"]))
    if classes is not None and classes != own_classes:
        raise CheckpointError(f"{path} knows {len(own_classes)} classes {list(own_classes)[:3]}..., the data have "
                              f"{len(classes)} {list(classes)[:3]}...; train on these data or load the model's own")
    if backbone is not None:
        names = own.keys() | backbone.keys()
        differ = {k: (own.get(k), backbone.get(k)) for k in names if own.get(k) != backbone.get(k)}
        if differ:
            raise CheckpointError(f"{path} was trained on other taps: {differ} (model's, given); "
                                  f"use the backbone and sampling it was trained with")
    kept, code = config.kept_in(path.parent), json.loads(metadata.get("adapter", '""'))
    if code and Path(kept.adapter_file).is_file() and strip_comments(kept.adapter_text()) != strip_comments(code):
        raise CheckpointError(f"{path} was trained with other code than {kept.adapter_file} holds now; put that back, "
                              "or train anew")
    model = build(kept, dim=own["dim"], num_taps=len(own["layers"]), num_classes=len(own_classes),
                  clip_snippets=own["clip_length"] // own["tubelet"])
    model.load_state_dict({k: v for k, v in load_file(path).items() if not k.startswith(TUNED)})
    return model.eval(), config, own_classes


def load_tuned(tuned: nn.Module, run: str | Path) -> None:
    """Puts what a run trained inside the backbone into `tuned`. Raises CheckpointError if it is not there or differs.
    """
    path = Path(run) / "model.safetensors" if Path(run).is_dir() else Path(run)
    if not path.is_file():
        raise FileNotFoundError(f"no model at {path}; train one with `losa train`, or name a run's folder")
    state = {name.removeprefix(TUNED): value for name, value in load_file(path).items() if name.startswith(TUNED)}
    try:
        tuned.load_state_dict(state)
    except RuntimeError as error:
        why = f"{len(state)} tensors of a tuned backbone do not fit: {str(error).splitlines()[1].strip()[:200]}"
        raise CheckpointError(f"{path}: {why if state else 'nothing was tuned inside the backbone'}; give a run of the "
                              f"same mode, backbone, taps and adapter_dim") from None
