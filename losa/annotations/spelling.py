"""Compare the labels of a file with each other, or with a list of classes. Nothing is merged because it looks alike.

By themselves only names become one that are equal but for case and spaces. Names that differ in more, by a letter
("take" and "bake" are two verbs) or a sign ("take-off", "take off"), are reported with the `--rename` to type.
"""

import re
import shlex
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from difflib import get_close_matches

from losa.annotations.resolve import nearest, where
from losa.errors import AnnotationError
from losa.label_files.cells import class_number
from losa.label_files.sheet import Findings, Sheet

MAX_SPELLINGS = 500  # labels that are compared with each other letter by letter


def report_labels(sheet: Sheet, findings: Findings) -> None:
    """Add what is odd about the labels of a sheet: empty ones, spellings, and those that its list does not know."""
    counts = Counter(label for entry in sheet.entries for label, _, _ in entry.instances)
    if not counts:
        findings.add("files hold no instance", f"{len(sheet.entries)} videos")
    for entry in sheet.entries:
        for item in entry.instances:
            if not item[0].strip():
                findings.add("labels are empty", where(entry, *item))
    if len(counts) > 1 and not sheet.classes and all(class_number(name) is not None for name in counts):
        findings.add("labels are numbers", ", ".join(sorted(counts)[:8]))
    if sheet.classes:
        _report_listed(counts, sheet.classes, findings)
    else:
        report_variants(counts, "labels differ only in case or spaces", findings)
        _report_alike(counted_as(counts, unify(counts)), findings)


def choose_names(sheet: Sheet, rename: Sequence[str] = ()) -> tuple[dict[str, str], list[str]]:
    """Return {label: its new name} of the labels to rename, and the list of classes after that.

    rename: "OLD=NEW" each; OLD is a label as it is written, NEW takes its place in the list of classes, too. Without
    it only case and spaces change: to those of the class in the list, else to those of the commonest spelling. Labels
    that the list does not know keep their name. Raises AnnotationError for an unknown OLD.
    """
    counts = Counter(label for entry in sheet.entries for label, _, _ in entry.instances)
    classes = sheet.classes or []
    first = _unified(counts, classes)
    asked = parse_renames(rename, counts.keys() | set(first.values()), first)
    known = (set(counted_as(counts, first)) | set(classes)) - set(asked)
    asked = {old: _as_written(new, known) for old, new in asked.items()}
    classes = list(dict.fromkeys(asked.get(name, name) for name in classes))
    names = {label: first.get(label, label) for label in counts if label.strip()}
    names = {label: asked.get(name, name) for label, name in names.items()}
    last = _unified(counted_as(counts, names), classes)
    names = {label: last.get(name, name) for label, name in names.items()}
    return {label: name for label, name in names.items() if name != label}, classes


def parse_renames(pairs: Sequence[str], labels: Collection[str], unified: Mapping[str, str]) -> dict[str, str]:
    """Return {OLD: NEW} of "OLD=NEW" each; `unified` maps a label to the spelling that stands for its variants.

    Either side may hold a "=" itself: OLD has to be one of the labels. Raises AnnotationError where it is not, where
    a side is empty, or where one OLD gets two names.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        splits = [(pair[:i].strip(), pair[i + 1 :].strip()) for i, sign in enumerate(pair) if sign == "="]
        if not any(old and new for old, new in splits):
            raise AnnotationError(f"--rename {shlex.quote(pair)}: expected OLD=NEW, such as --rename jmup=jump")
        known = [(old, new) for old, new in splits if new and old in labels]
        if not known:
            old = splits[0][0]
            raise AnnotationError(f"--rename {shlex.quote(pair)}: no instance has the label {old!r}"
                                  + nearest(old, sorted(filter(str.strip, labels))[:5000]))
        if len(known) > 1:
            raise AnnotationError(f"--rename {shlex.quote(pair)}: could mean {known[0]} or {known[1]}; rename one of "
                                  f"these labels in the file first")
        old, new = unified.get(known[0][0], known[0][0]), known[0][1]
        if found.setdefault(old, new) != new:
            raise AnnotationError(f"--rename: {old!r} gets two names, {found[old]!r} and {new!r}; expected one")
    return found


def rename_option(old: str, new: str) -> str:
    """Return the option to type that renames a label, quoted for a shell."""
    return f"--rename {shlex.quote(f'{old}={new}')}"


# --- case and spaces ------------------------------------------------------------------------------------------------


def unify(counts: Mapping[str, int]) -> dict[str, str]:
    """Return {name: the commonest that differs only in case and spaces} of all that are not the commonest."""
    renamed: dict[str, str] = {}
    for names in _variants(counts, same_words):
        best = names[0].strip()
        renamed |= {name: best for name in names if name != best}
    return renamed


def report_variants(counts: Mapping[str, int], kind: str, findings: Findings) -> None:
    """Add a finding for each group of names that `unify` makes one."""
    for names in _variants(counts, same_words):
        if len(names) > 1 or names[0] != names[0].strip():
            findings.add(kind, " and ".join(f"{name!r} ({counts[name]})" for name in names))


def report_signs(counts: Mapping[str, int], kind: str, findings: Findings, option: bool = True) -> None:
    """Add a finding for each group of names that differ in spaces, _ and - ("take-off", "take off")."""
    for names in _variants(counts, plain_name):
        if len(names) > 1:
            text = " and ".join(f"{name!r} ({counts[name]})" for name in names)
            advice = " ".join(rename_option(name, names[0]) for name in names[1:])
            findings.add(kind, text + f"; if they are one class: {advice}" * option)


def _unified(counts: Mapping[str, int], classes: Sequence[str]) -> dict[str, str]:
    """Return {name: the one that is written otherwise}: the class of the list, or without a list the commonest."""
    if not classes:
        return unify(counts)
    by_words = defaultdict(list)
    for name in classes:
        by_words[same_words(name)].append(name)
    meant = {name: by_words[same_words(name)] for name in set(counts) - set(classes) if name.strip()}
    return {name: same[0] for name, same in meant.items() if len(same) == 1}


def _as_written(name: str, known: Collection[str]) -> str:
    """Return the one known name that differs from this only in case and spaces, else the name itself."""
    same = [other for other in known if same_words(other) == same_words(name)]
    return same[0] if len(same) == 1 and name not in known else name


def _variants(counts: Mapping[str, int], key: Callable[[str], str]) -> list[list[str]]:
    """Return the names in groups of one key, the commonest first."""
    groups = defaultdict(list)
    for name in sorted(filter(str.strip, counts), key=lambda name: (-counts[name], name)):
        groups[key(name)].append(name)
    return list(groups.values())


def counted_as(counts: Mapping[str, int], names: Mapping[str, str]) -> Counter[str]:
    """Return the counts of names once some of them are others; empty names are left out."""
    merged: Counter[str] = Counter()
    for label, count in counts.items():
        if label.strip():
            merged[names.get(label, label)] += count
    return merged


def same_words(name: str) -> str:
    """Return the name in small letters, with one space for spaces, each sign in one form, and none that is not seen."""
    seen = "".join(sign for sign in unicodedata.normalize("NFC", name) if unicodedata.category(sign) != "Cf")
    return " ".join(seen.lower().split())


def plain_name(name: str) -> str:
    """Return the name in small letters, with one space for spaces, _ and -."""
    return re.sub(r"[\s_\-]+", " ", name.lower()).strip()


# --- other spellings ------------------------------------------------------------------------------------------------


def _report_listed(counts: Counter, classes: Sequence[str], findings: Findings) -> None:
    known = _unified(counts, classes)
    used = {known.get(label, label) for label in counts}
    for name in classes:
        if name not in used:
            findings.add("classes of the list have no instance", repr(name))
    plain, hints = {plain_name(name): name for name in classes[:5000]}, 0
    for label in sorted(filter(str.strip, set(counts) - set(classes))):
        text = f"{label!r} ({counts[label]} instances)"
        if label in known:
            findings.add("labels are written unlike the list of classes", f"{text} is {known[label]!r}")
            continue
        same, near = plain.get(plain_name(label)), []
        if not same and hints < 100:  # more are not shown, and take long
            hints, near = hints + 1, get_close_matches(plain_name(label), plain, 1, 0.75)
        name = same or (plain[near[0]] if near else "")
        hint = f"; did you mean {name!r}? {rename_option(label, name)}" if name else ""
        findings.add("labels are not in the list of classes", text + hint)


def _report_alike(counts: Counter, findings: Findings) -> None:
    """Report labels that differ in signs, or by a letter or two from one that is at least twice as common."""
    report_signs(counts, "labels differ only in signs", findings)
    if len(counts) > MAX_SPELLINGS:
        findings.add("labels are too many to compare their spelling", f"{len(counts)} different labels")
        return
    masks = {label: sum(1 << (ord(sign) % 61) for sign in set(label.lower())) for label in counts}
    for rare in sorted(counts):
        common = _commoner_alike(rare, counts, masks)
        if common:
            findings.add("labels look misspelt", f"{rare!r} ({counts[rare]} instances) and {common!r} "
                         f"({counts[common]}); if they are one class: {rename_option(rare, common)}")


def _commoner_alike(rare: str, counts: Counter, masks: dict[str, int]) -> str:
    """Return the label with the fewest letters to change, of those at least twice as common; "" for none."""
    allowed, found = (len(rare) >= 4) + (len(rare) >= 8), []
    for common, count in counts.items():
        far = abs(len(rare) - len(common)) > allowed or (masks[rare] ^ masks[common]).bit_count() > 2 * allowed
        if 2 * counts[rare] > count or far or re.sub(r"\D", "", rare) != re.sub(r"\D", "", common):
            continue
        edits = _num_edits(rare.lower(), common.lower(), allowed)
        if edits <= allowed and plain_name(rare) != plain_name(common):
            found.append((edits, -count, common))
    return min(found)[2] if found else ""


def _num_edits(a: str, b: str, most: int) -> int:
    """Count the letters to insert, delete, replace, or swap with their neighbour; beyond `most`, some larger number."""
    rows = [list(range(len(b) + 1))]
    for i, sign in enumerate(a, 1):
        row = [i]
        for j, other in enumerate(b, 1):
            best = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (sign != other))
            if i > 1 and j > 1 and sign == b[j - 2] and a[i - 2] == other:
                best = min(best, rows[-2][j - 2] + 1)
            row.append(best)
        if min(row) > most:
            return most + 1
        rows.append(row)
    return rows[-1][-1]
