"""Choose among the tiers of a file: ELAN, Praat and others write several lists of annotations over one video."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from losa.errors import AnnotationError
from losa.label_files.sheet import Findings

ALL = "all"  # as --tier
OURS = "losa"  # the tier that losa writes; what overlaps is in "losa 2", ...


def choose_tiers(path: Path, counts: Mapping[str, int], wanted: str, findings: Findings) -> list[str]:
    """Return the tiers that hold the labels, of {tier: its number of annotations}.

    wanted: as --tier has it, a name, several with commas between them, or "all". Without it, the only tier with
    annotations, or those that losa wrote. Raises AnnotationError where there are several, or none of that name.
    """
    filled = [name for name, count in counts.items() if count]
    ours = [name for name in filled if re.fullmatch(rf"{OURS}( \d+)?", name)]
    if wanted:
        chosen = _named(path, counts, wanted)
    elif len(filled) > 1 and not ours:
        raise AnnotationError(f"{path}: {len(filled)} tiers have annotations: {_counted(counts, filled)}. Say which "
                              f'holds the labels: --tier "{filled[0]}" (--tier {ALL}: all of them)')
    else:
        chosen = ours or filled
    others = [name for name in filled if name not in chosen]
    if others:
        findings.add("tiers are not read", f"{path.name}: {_counted(counts, others)}")
    return chosen


def _named(path: Path, counts: Mapping[str, int], wanted: str) -> list[str]:
    if wanted == ALL and ALL not in counts:
        return list(counts)
    folded = {name.casefold().strip(): name for name in reversed(counts)} | {name: name for name in counts}
    names = [wanted] if wanted in folded else [part.strip() for part in wanted.split(",")]
    found = [folded.get(name) or folded.get(name.casefold()) for name in names]
    if None in found:
        raise AnnotationError(f"{path}: --tier {wanted}: there is no such tier; there are "
                              f"{_counted(counts, list(counts)) or 'none'}")
    return [name for name in dict.fromkeys(found) if name is not None]


def _counted(counts: Mapping[str, int], names: list[str]) -> str:
    shown = [f"{name!r} ({counts[name]})" for name in names[:20]]
    return ", ".join(shown) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def split_overlaps(segments: Sequence[tuple[str, int, int]]) -> list[list[tuple[str, int, int]]]:
    """Return (label, start, end) in order of time, in as few lists as hold no overlap; those that touch do not."""
    lanes: list[list[tuple[str, int, int]]] = []
    for segment in sorted(segments, key=lambda segment: segment[1:]):
        lane = next((lane for lane in lanes if lane[-1][2] <= segment[1]), None)
        if lane is None:
            lanes.append([segment])
        else:
            lane.append(segment)
    return lanes
