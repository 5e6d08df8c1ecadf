"""Make, read and compare protocol cards: what a number was measured on and how, and which numbers are comparable.

A card is a plain dict inside every result file: `test_set`, `ap`, `post`, `classifier`, `input`, `method`, `selection`,
`seed`, `result`, `versions`, `machine`. What is not known is "unknown", never guessed.
"""

import copy
import hashlib
import json
import platform
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import metadata
from pathlib import Path

from losa.config import Role, list_fields
from losa.errors import CardError
from losa.evaluation.published import AGNOSTIC, AWARE, PUBLISHED, UNKNOWN

GROUPS = ("test_set", "ap", "post", "classifier", "input", "method", "selection", "seed", "result", "versions",
          "machine")  # fmt: skip
PACKAGES = ("losa", "numpy", "torch", "timm", "decord", "av")


# --- making -----------------------------------------------------------------------------------------------


def make_card(
    found: dict,
    *,
    annotations: str | Path,
    subset: str,
    test_set: str = "",
    left_out: Iterable[str] = (),
    post: dict | str = UNKNOWN,
    classifier: dict | str | None = UNKNOWN,
    input: dict | str = UNKNOWN,
    method: dict | str = UNKNOWN,
    selection: str = UNKNOWN,
    seed: int | str = UNKNOWN,
    device: str = "cpu",
) -> dict:
    """Return the card of one result, as plain JSON values.

    found: an `Evaluation` as a dict; where its only class is "action", classes were merged ("class-agnostic").
    annotations: file or folder of the ground truth, whose checksum is taken. test_set: its published name, if it has
    one. classifier: None without an external one, else {"file", "topk", "fusion"}; the file's checksum is added.
    input: {"source", "backbone", "weights", "sampling", "decode": {"decord": files, "av": files}}. selection: what
    chose the weights, e.g. "last epoch, EMA weights".
    """
    if isinstance(classifier, dict) and Path(str(classifier.get("file") or "")).is_file():
        classifier = {**classifier, "file": Path(classifier["file"]).name, "sha256": checksum(classifier["file"])}
    return {
        "test_set": {
            "name": test_set or "none", "subset": subset, "num_videos": found["num_videos"],
            "num_instances": found["num_ground_truth"], "num_ambiguous": found.get("num_ambiguous", UNKNOWN),
            "left_out": sorted(left_out),
            "annotations": Path(annotations).name, "sha256": checksum(annotations),
        },
        "ap": {
            "style": found["protocol"], "tiou": [round(t, 6) for t in found["tiou"]],
            "num_classes": len(found["per_class"]),
            "classes": AGNOSTIC if {*found["per_class"]} == {"action"} else AWARE,
        },
        "post": post,
        "classifier": classifier,
        "input": input,
        "method": method,
        "selection": selection,
        "seed": seed,
        "result": {name: found[name] for name in ("map", "average_map", "num_predictions", "num_unknown_video",
                                                  "num_unknown_label", "num_tied") if name in found},
        "versions": versions(),
        "machine": {"system": f"{platform.system()} {platform.machine()}", "device": device},
    }  # fmt: skip


POST, SAMPLING, METHOD = map(list_fields, (Role.POST, Role.INPUT, Role.METHOD))


def describe_method(config: dict, decode: dict | str = UNKNOWN) -> dict:
    """Return what `make_card` takes of a run, from its config's plain values: post, classifier, input, method, seed.

    decode: how many videos each decoder read.
    """
    classifier = {"file": config["classifier"], "topk": config["classifier_topk"],
                  "fusion": config["classifier_fusion"]} if config.get("classifier") else None  # fmt: skip
    of_others, weights = bool(config.get("features")), config.get("features") or config.get("weights") or "default"
    given = {"source": "features" if of_others else "video", "weights": Path(weights).name,
             "backbone": UNKNOWN if of_others else config.get("backbone", UNKNOWN)}  # fmt: skip
    return {
        "post": {name: config[name] for name in POST if name in config},
        "classifier": classifier,
        "input": {**given, "sampling": {n: config[n] for n in SAMPLING if config.get(n) is not None}, "decode": decode},
        "method": {name: config[name] for name in METHOD if name in config},
        "seed": config.get("seed", UNKNOWN),
    }


def evaluation_card(
    found: dict, predictions: str | Path, ground_truth: str | Path, *, subset: str, test_set: str = "",
    left_out: Iterable[str] = (), device: str = "cpu",
) -> dict:  # fmt: skip
    """Return the card of an evaluated predictions file; how the predictions were made is what the file itself says."""
    try:
        made = read_card(predictions)
    except (CardError, OSError):
        made = {}
    kept = ("post", "classifier", "input", "method", "selection", "seed")
    how = {name: made[name] for name in kept if name in made}
    return make_card(found, annotations=ground_truth, subset=subset, test_set=test_set, left_out=left_out,
                     device=device, **how)  # fmt: skip


def checksum(path: str | Path) -> str:
    """Return the sha256 of a file, or of the names and contents of a folder's text files; "unknown" without either."""
    path, digest = Path(path), hashlib.sha256()
    if path.is_dir():
        for file in sorted(path.glob("*.txt")):
            digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    elif path.is_file():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    else:
        return UNKNOWN
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of Python and of the installed packages that a number may depend on."""
    installed = {"python": platform.python_version()}
    for package in PACKAGES:
        for name in (package, "decord2" if package == "decord" else package):
            try:
                installed[package] = metadata.version(name)
            except metadata.PackageNotFoundError:
                continue
    return installed


# --- reading ----------------------------------------------------------------------------------------------


def read_card(where: str | Path) -> dict:
    """Read the card of a run's folder, of a result, predictions or evaluation JSON, or of "published:NAME".

    Raises CardError where there is none.
    """
    kind, _, name = str(where).partition(":")
    if kind == "published":
        if name not in PUBLISHED:
            near = get_close_matches(name, PUBLISHED, n=1, cutoff=0.4)
            raise CardError(f'no published card "{name}"{f" (did you mean {near[0]}?)" if near else ""}. '
                            f"There are {', '.join(PUBLISHED)}.")  # fmt: skip
        return copy.deepcopy(PUBLISHED[name])
    path = Path(where)
    path = path / "result.json" if path.is_dir() else path
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise CardError(f"{path}: no such file; give a run's folder, a result or predictions JSON, or "
                        "published:NAME.") from None  # fmt: skip
    except (OSError, ValueError, RecursionError) as error:
        raise CardError(f"{path}: cannot be read as JSON ({str(error)[:200]}).") from error
    places = [content, *(content.get(key) for key in ("external_data",))] if isinstance(content, dict) else []
    for place in [*places, *(p.get("card") for p in places if isinstance(p, dict))]:
        if isinstance(place, dict) and all(isinstance(place.get(group), dict) for group in ("test_set", "ap")):
            return {group: place.get(group, UNKNOWN) for group in GROUPS}
    raise CardError(f"{path}: carries no protocol card; evaluate it again with this version: "
                    "losa evaluate PREDICTIONS --ground-truth FILE --format json > FILE.json")  # fmt: skip


def card_line(card: dict) -> str:
    """Return the card in one line."""
    name, classifier = _get(card, "test_set.name"), card.get("classifier", UNKNOWN)
    shown = "unnamed test set" if name in ("none", UNKNOWN) else name
    return (f"{shown}: {_text(_get(card, 'test_set.num_videos'))} videos, "
            f"{_text(_get(card, 'test_set.num_instances'))} instances; AP {_text(_get(card, 'ap.style'))}; "
            f"classifier {_text(classifier)}; weights of {_text(card.get('selection', UNKNOWN))}")  # fmt: skip


# --- comparing --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Comparison:
    """The result of `compare`: whether two numbers may be compared.

    reasons: what forbids it. undecided: what would have to be the same and is unknown. other_differences: what
    differs and is part of the method, or of its luck. `comparable` needs both lists empty.
    """

    reasons: list[str] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)
    other_differences: list[str] = field(default_factory=list)
    numbers: tuple[str, str] = (UNKNOWN, UNKNOWN)

    @property
    def comparable(self) -> bool:
        return not self.reasons and not self.undecided

    def __str__(self) -> str:
        verdict = "COMPARABLE" if self.comparable else "NOT COMPARABLE" if self.reasons else "CANNOT BE TOLD"
        parts = [("because", self.reasons), ("unknown, and would have to be the same", self.undecided),
                 ("differs, part of the method or its luck", self.other_differences)]  # fmt: skip
        return "\n".join([f"{self.numbers[0]} and {self.numbers[1]} average mAP: {verdict}"] + [
            f"{title}:" + "".join(f"\n  {item}" for item in items) for title, items in parts if items])  # fmt: skip


def compare(a: dict, b: dict) -> Comparison:
    """Compare two cards: may their results stand in one table?

    They may not where test set, counts, AP style, tIoU thresholds, classes (how many, told apart or merged), use of an
    external classifier or the rule that chose the weights differ.
    """
    reasons, undecided, settled = _compare_test_sets(a, b)
    pairs = [("ap.tiou", "tIoU thresholds", _get(a, "ap.tiou"), _get(b, "ap.tiou")),
             ("ap.classes", "classes", _classes(a), _classes(b)),
             ("classifier", "external classifier", _with_classifier(a), _with_classifier(b)),
             ("", "rule that chose the weights", _rule(a), _rule(b))]  # fmt: skip
    if not _same_truth_for_both_styles(a, b):
        pairs.insert(0, ("ap.style", "AP style", _get(a, "ap.style"), _get(b, "ap.style")))
    settled |= {"ap.style", "ap.num_classes"}
    for path, title, of_a, of_b in pairs:
        settled.add(path)
        if UNKNOWN in (of_a, of_b):
            undecided.append(f"{title}: {_text(of_a)} | {_text(of_b)}")
        elif of_a != of_b:
            reasons.append(f"{title}: {_text(of_a)} | {_text(of_b)}")
    settled |= {"selection"} if UNKNOWN in (_rule(a), _rule(b)) or _rule(a) != _rule(b) else set()
    other = _other_differences(_flat(a), _flat(b), settled)
    return Comparison(reasons, undecided, other, (_number(a), _number(b)))


def _other_differences(a: dict[str, object], b: dict[str, object], settled: set[str]) -> list[str]:
    """Return the fields that are known to differ, and as a last item the names of those known of one card only."""
    differs, one_sided = [], []
    for path in dict.fromkeys([*a, *b]):
        of_a, of_b = a.get(path, UNKNOWN), b.get(path, UNKNOWN)
        if of_a == of_b or path in settled or path.startswith("result"):
            continue
        if UNKNOWN in (of_a, of_b):
            one_sided.append(".".join(path.split(".")[:2 if path.startswith("input") else 1]))
        else:
            differs.append(f"{path}: {_text(of_a)} | {_text(of_b)}")
    return differs + ([f"known of one only: {', '.join(dict.fromkeys(one_sided))}"] if one_sided else [])


def _compare_test_sets(a: dict, b: dict) -> tuple[list[str], list[str], set[str]]:
    """Return reasons and open questions about the test set, and the fields that need no further mention."""
    counted = [("test_set.num_videos", "test videos"), ("test_set.num_instances", "test instances")]
    ambiguous = ("test_set.num_ambiguous", "ambiguous instances, which the style forgives")
    reasons, undecided, settled = [], [], {"test_set.name", ambiguous[0], *(path for path, _ in counted)}
    if _get(a, "ap.style") == _get(b, "ap.style") == "thumos14":
        counted.append(ambiguous)
    for path, title in counted:
        of_a, of_b = _get(a, path), _get(b, path)
        if UNKNOWN in (of_a, of_b):
            undecided.append(f"{title}: {_text(of_a)} | {_text(of_b)}")
        elif of_a != of_b:
            reasons.append(f"{title}: {_text(of_a)} | {_text(of_b)}")
    names, sums = ([_get(card, f"test_set.{key}") for card in (a, b)] for key in ("name", "sha256"))
    if names[0] == names[1] and names[0] not in (UNKNOWN, "none"):
        return reasons, undecided, settled
    shown = f"test set: {_text(names[0])} | {_text(names[1])}"
    if not {UNKNOWN, "none"} & {*map(str, names)}:
        reasons.insert(0, shown)
    elif UNKNOWN in sums or UNKNOWN in names:
        undecided.insert(0, shown)
    elif sums[0] != sums[1]:
        reasons.insert(0, f"annotations: {_text(_get(a, 'test_set.annotations'))} | "
                          f"{_text(_get(b, 'test_set.annotations'))} are different files")  # fmt: skip
    elif any(_get(a, f"test_set.{key}") != _get(b, f"test_set.{key}") for key in ("subset", "left_out")):
        reasons.insert(0, "test set: another subset of the same file, or other videos left out")
    return reasons, undecided, settled


def _same_truth_for_both_styles(a: dict, b: dict) -> bool:
    """Return whether the styles differ only in keeping duplicates, and there were none to drop."""
    styles = {str(_get(card, "ap.style")) for card in (a, b)}
    counts = [_get(card, "test_set.num_instances") for card in (a, b)]
    return styles == {"activitynet", "activitynet-dedup"} and counts[0] == counts[1] != UNKNOWN


def _classes(card: dict) -> str:
    number, how = (_get(card, f"ap.{key}") for key in ("num_classes", "classes"))
    return UNKNOWN if UNKNOWN in (number, how) else f"{_text(number)}, {_text(how)}"


def _with_classifier(card: dict) -> str:
    given = card.get("classifier", UNKNOWN)
    return UNKNOWN if given == UNKNOWN else "none" if given is None else "used"


def _rule(card: dict) -> str:
    return str(card.get("selection", UNKNOWN)).split(",")[0].strip()


def _number(card: dict) -> str:
    value = _get(card, "result.average_map")
    return f"{100 * value:.2f}" if isinstance(value, int | float) else UNKNOWN


def _get(card: dict, path: str) -> object:
    value: object = card
    for key in path.split("."):
        value = value.get(key, UNKNOWN) if isinstance(value, dict) else UNKNOWN
    return value


def _flat(value: object, path: str = "") -> dict[str, object]:
    """Return {path with dots: value} of everything inside nested dicts."""
    if not isinstance(value, dict) or not value:
        return {path: value} if path else {}
    return {p: v for key, inner in value.items() for p, v in _flat(inner, f"{path}.{key}".lstrip(".")).items()}


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(inner)}" for key, inner in value.items())
    if isinstance(value, list) and len(value) > 5:
        return f"{value[0]} ... {value[-1]} ({len(value)})"
    return "none" if value is None or value == [] else str(value)
