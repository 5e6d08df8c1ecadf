"""What the commands print: the fields of the config, results as a table, and what to type next."""

import json
from pathlib import Path

from losa.annotations.dataset import Annotations
from losa.config import SECTIONS, Config, explain_field
from losa.errors import ConfigError
from losa.evaluation.card import card_line
from losa.label_files.subsets import SPELLINGS

BACKBONE, SAMPLE_FPS = "timm/vit_small_patch14_dinov2.lvd142m", 10  # proposed to begin with


def describe_fields(config: Config, as_cell: bool = False) -> str:
    """Return every field, its value in `config` and its meaning, a line each, under the headings of the config.

    as_cell: as Python code, which is the parameters cell of notebooks/02_train.ipynb.
    """
    lines = []
    for name, value in config.to_dict().items():
        if name in SECTIONS:
            lines.append(("" if as_cell else "\n") + f"# {SECTIONS[name]}")
        text = f"{name} = {json.dumps(value) if isinstance(value, str) else value}" if as_cell else f"{name}={value}"
        lines.append(f"{text}  # {explain_field(name)}" if as_cell else f"  {text:38}  {explain_field(name)}".rstrip())
    return "\n".join(lines).strip()


def parse_shares(split: str) -> tuple[float, ...] | None:
    """Return (0.6, 0.2, 0.2) for "0.6,0.2,0.2" and for "60,20,20", None for "". Raises ConfigError for other text."""
    try:
        shares = tuple(map(float, split.split(","))) if split else None
    except ValueError:
        raise ConfigError(f"--split {split}: expected three shares such as 0.6,0.2,0.2") from None
    return tuple(share / 100 for share in shares) if shares and abs(sum(shares) - 100) < 1e-6 else shares


def training_hint(found: Annotations, out: Path) -> str:
    """Return what to type after `prepare`, with settings that fit the lengths of the actions.

    Points out a missing subset, classes that a subset lacks, and actions that stay out of reach.
    """
    from losa.training.reach import describe_absent, fit_own_videos, write_settings

    known = {name.lower(): name for name, (_, instances) in found.subsets.items() if instances}
    names = [next((known[word] for word in words if word in known), "") for words in SPELLINGS.values()]
    if not names[0] and names[1] and names[2]:
        names = [names[1], "", names[2]]  # THUMOS-14 trains on its validation split
    if not names[2]:
        names = [names[0], "", names[1]]
    if not names[0] or not names[2]:
        return (f"next: the same with --split 0.6,0.2,0.2, or a column subset: training and testing need videos of "
                f"their own, here is only {', '.join(found.subsets)}")
    fitted, notes = fit_own_videos(Config.make(backbone=BACKBONE, sample_fps=SAMPLE_FPS), found, names[0])
    notes = [*describe_absent(found, *names), *notes]
    fields = {"annotations": str(out / "annotations.json"), "cache": str(out / "taps"),
              **{f"{standard}_subset": name for standard, name in zip(SPELLINGS, names, strict=True)
                 if name != standard}}
    hidden = [f"then for {name}, which has no labels: losa test RUN_FOLDER --subset {name}"
              for name, (_, instances) in found.subsets.items() if not instances]
    return "\n".join([*(f"note: {note}" for note in notes), f"next: losa train RUN_FOLDER {write_settings(fields)} \\",
                      f"    {write_settings({'backbone': BACKBONE, **fitted})}",
                      "(or another backbone; its weights come from timm's hub, or add -s weights=FILE)", *hidden])


def print_table(result: dict) -> None:
    """Print mAP at every tIoU, the counts, and the protocol card in a line; that nothing was measured, where so."""
    if result["average_map"] is None:
        print(f"no ground truth in subset {result['subset']!r}: not evaluated; {result['num_predictions']} "
              f"predictions in {result['num_videos']} videos")
        return
    cells = "  ".join(f"{t:.2f}: {100 * ap:5.1f}" for t, ap in zip(result["tiou"], result["map"], strict=True))
    print(f"mAP at tIoU  {cells}   average {100 * result['average_map']:.2f}\n"
          f"{result['num_ground_truth']} instances, {result['num_predictions']} predictions, {result['protocol']}")
    if "card" in result:
        print(card_line(result["card"]))
    if result["num_unknown_video"] and "mismatches" not in result:  # else said by them
        print(f"{result['num_unknown_video']} predictions lie in videos the subset does not have; they count as wrong")


def describe_without(both: dict) -> str:
    """Return both numbers of `losa.evaluation.tagged.evaluate_without` as text, one below the other, with counts."""
    lines = [f"{'mAP at tIoU':20}" + "  ".join(f"{t:5.2f}" for t in both["all"]["tiou"]) + "  average  instances"]
    for name, found in (("everything", both["all"]), ("without ambiguous", both["without"])):
        cells = "  ".join(f"{100 * value:5.1f}" for value in found["map"])
        lines.append(f"{name:20}{cells}  {100 * found['average_map']:7.2f}  {found['num_ground_truth']:9}")
    lines.append(f"tagged ambiguous and taken out: instances {both['num_truth']}, predictions "
                 f"{both['num_predictions']}; forgiven, as they touch them: predictions {both['num_forgiven']}")
    if both["classes"]:
        lines.append(f"left without an instance, so out of the mean: {', '.join(both['classes'])}")
    if both["num_gone"]:
        lines.append(f"{both['num_gone']} tags are about segments that are not there any more")
    return "\n".join(lines)
