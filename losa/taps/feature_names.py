"""Find which file in a folder holds the features of which video."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from losa.errors import FeatureError
from losa.taps.feature_files import READABLE

OTHERS = (".h5", ".hdf5", ".pkl", ".pickle", ".mat", ".lmdb", ".mdb", ".tar", ".zip", ".gz", ".rar", ".7z", ".parquet",
          ".json", ".txt", ".bin", ".feather")  # what features also come in, and is not read
VIDEO_KINDS = (".mp4", ".mkv", ".avi", ".mov", ".webm", ".m4v")
ANYWHERE = "**/"  # before a pattern: in whatever subfolder
SAMPLES = 12  # videos whose files suggest patterns


def check_name(video_id: str) -> str:
    """Return the id if it can name a file inside a folder, else raise FeatureError."""
    path = Path(video_id)
    if not video_id or path.is_absolute() or ".." in path.parts or "\\" in video_id or "\0" in video_id:
        raise FeatureError(f"video id {video_id!r} is no name for a file; rename it in the annotations")
    return video_id


def find_files(folder: Path, ids: Sequence[str], pattern: str | None = None) -> tuple[dict[str, Path], str]:
    """Return the file of every video, and the pattern that found them; "" for <id>.npy and v_<id>.npy.

    pattern: path in the folder with {video} for the id, or {stem} for the id without v_ in front, folders and a video
        file's ending; **/ in front of it stands for any subfolder. None: <id>.npy or v_<id>.npy; else <id> in another
        kind of file; else the one pattern by which every video has a file.
    Raises FeatureError where videos have none, or several patterns find all of them: it names candidates, and says
    which files are there.
    """
    for video_id in ids:
        check_name(video_id)
    if pattern is None:
        plain = _find_all_plain(folder, ids)
        if len(plain) == len(ids):
            return plain, ""
    names = list_names(folder)
    pattern = recognise(folder, ids, names) if pattern is None else check_pattern(pattern)
    found = match(pattern, ids, names)
    if len(found) < len(ids):
        raise FeatureError(_explain_missing(folder, ids, names, found, pattern))
    return {name: folder / path for name, path in found.items()}, pattern


def check_pattern(pattern: str) -> str:
    """Return the pattern if it can name files, else raise FeatureError."""
    rest = pattern.replace("{video}", "").replace("{stem}", "").removeprefix(ANYWHERE)
    if rest == pattern.removeprefix(ANYWHERE) or any(sign in rest for sign in "{}*\\") or pattern.startswith("/"):
        raise FeatureError(f"feature_pattern={pattern!r}: expected a path in the folder with {{video}} in it, e.g. "
                           f"-s feature_pattern={{video}}-rgb.npy, or **/{{video}}.npy for any subfolder")
    if not pattern.lower().endswith(READABLE):
        raise FeatureError(f"feature_pattern={pattern!r}: expected the end of the name, too, one of "
                           f"{', '.join(READABLE)}")
    return pattern


def list_names(folder: Path) -> list[str]:
    """Return the relative paths of all files in a folder and below, hidden ones left out, in order."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in paths if not any(part.startswith(".") for part in path.parts))


def recognise(folder: Path, ids: Sequence[str], names: Sequence[str]) -> str:
    """Return the pattern by which every video has a file. FeatureError where there is none, or more than one."""
    readable = [name for name in names if name.lower().endswith(READABLE)]
    plain = [f"{start}{{video}}{kind}" for kind in READABLE for start in ("", "v_")]
    here, complete = set(readable), list[str]()
    for patterns in (plain, suggest_patterns(ids, readable)):
        counts = {pattern: len(match(pattern, ids, here, strict=False)) for pattern in patterns}
        complete = [pattern for pattern, count in counts.items() if count == len(ids)]
        if complete:
            break
    complete = _drop_general(complete, ids, readable)
    if len(complete) == 1:
        return complete[0]
    if complete:
        raise FeatureError(f"{folder}: each of the {len(ids)} videos has several files, by {', '.join(complete)}; say "
                           f"which, e.g. -s feature_pattern={complete[0]}")
    best = max(counts, key=lambda pattern: counts[pattern], default="{video}.npy")
    found = match(best, ids, readable, strict=False)
    usual = {name: path.name for name in ids if (path := _find_plain(folder, name))}
    if len(usual) >= len(found):
        best, found = "{video}.npy or v_{video}.npy", usual
    raise FeatureError(_explain_missing(folder, ids, names, found, best if found else None))


def suggest_patterns(ids: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return the patterns by which at least half of a few videos have a file, the most usual ones first."""
    picked = list(ids[::max(1, len(ids) // SAMPLES)])[:SAMPLES]
    votes: Counter[str] = Counter()
    for video_id in picked:
        stem = _stem(video_id)
        possible = {pattern for name in names if stem in name for pattern in _patterns_of(video_id, stem, name)}
        votes.update(possible)
    return [pattern for pattern, count in votes.most_common() if 2 * count >= len(picked)]


def match(pattern: str, ids: Sequence[str], names: Iterable[str], strict: bool = True) -> dict[str, str]:
    """Return the name of each video's file, as far as there is one.

    strict: FeatureError where "**/" finds several for a video, or several videos have the same; else those videos are
        left out.
    """
    candidates = _list_candidates(pattern, ids, names if isinstance(names, set) else set(names))
    shared = Counter(paths[0] for paths in candidates.values() if len(paths) == 1)
    for video_id, paths in candidates.items() if strict else ():
        if len(paths) > 1:
            raise FeatureError(f"video {video_id!r} has several files by feature_pattern={pattern}: "
                               f"{list_some(paths)}; name the folder in feature_pattern")
        if paths and shared[paths[0]] > 1:
            same = [name for name, others in candidates.items() if others == paths]
            raise FeatureError(f"{len(same)} videos have the same file {paths[0]} by feature_pattern={pattern}: "
                               f"{list_some(same)}; write a pattern with {{video}}")
    return {video_id: paths[0] for video_id, paths in candidates.items() if len(paths) == 1 and shared[paths[0]] == 1}


def describe_files(names: Sequence[str]) -> str:
    """Return how many files of which kinds there are, and the first few, in words."""
    if not names:
        return "The folder is empty"
    kinds = Counter(PurePosixPath(name).suffix.lower() or "without an ending" for name in names)
    counted = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    return f"In the folder {'are' if len(names) > 1 else 'is'} {counted}: {list_some(names, 3)}"


def list_some(names: Sequence[str], show: int = 5) -> str:
    """Return the first few names, and how many more there are."""
    return ", ".join(names[:show]) + (f" and {len(names) - show} more" if len(names) > show else "")


# --- helpers --------------------------------------------------------------------------------------------------------


def _list_candidates(pattern: str, ids: Sequence[str], names: set[str]) -> dict[str, list[str]]:
    """Return the files that the pattern finds for each video."""
    if not pattern.startswith(ANYWHERE):
        return {video_id: [name] if (name := _fill(pattern, video_id)) in names else [] for video_id in ids}
    below: dict[str, list[str]] = {}
    for name in sorted(names):
        parts = name.split("/")
        for at in range(len(parts)):
            below.setdefault("/".join(parts[at:]), []).append(name)
    return {video_id: below.get(_fill(pattern.removeprefix(ANYWHERE), video_id), []) for video_id in ids}


def _find_plain(folder: Path, video_id: str) -> Path | None:
    paths = (folder / f"{video_id}.npy", folder / f"v_{video_id}.npy")
    return next((path for path in paths if path.is_file()), None)


def _find_all_plain(folder: Path, ids: Sequence[str]) -> dict[str, Path]:
    """Return the plain names of the videos up to the first that has none."""
    found = {}
    for video_id in ids:
        path = _find_plain(folder, video_id)
        if path is None:
            break
        found[video_id] = path
    return found


def _stem(video_id: str) -> str:
    """Return the id without folders, a video file's ending and v_ in front."""
    path = PurePosixPath(video_id)
    name = path.stem if path.suffix.lower() in VIDEO_KINDS else path.name
    return name.removeprefix("v_") or name


def _fill(pattern: str, video_id: str) -> str:
    filled = pattern.replace("{video}", video_id)
    return filled.replace("{stem}", _stem(video_id)) if "{stem}" in pattern else filled


def _patterns_of(video_id: str, stem: str, name: str) -> set[str]:
    """Return the patterns by which a file belongs to a video: in its folder, and in any folder."""
    slot, text = ("{video}", video_id) if video_id in name else ("{stem}", stem)
    found, at = set(), name.find(text)
    while at >= 0:
        for end in {name[at + len(text):], name[at + len(text):].replace(text, slot)}:
            found.add(f"{name[:at]}{slot}{end}")
            if "/" in name[:at]:
                found.add(f"{ANYWHERE}{name[:at].rpartition('/')[2]}{slot}{end}")
        at = name.find(text, at + 1)
    return found


def _drop_general(patterns: list[str], ids: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return the patterns without those that find by "**/" what another one finds in a named folder."""
    special = [match(pattern, ids, names, strict=False) for pattern in patterns if not pattern.startswith(ANYWHERE)]
    return [pattern for pattern in patterns if not pattern.startswith(ANYWHERE)
            or match(pattern, ids, names, strict=False) not in special]


def _explain_missing(folder: Path, ids: Sequence[str], names: Sequence[str], found: dict[str, str],
                     pattern: str | None) -> str:
    """Return which videos have no file, what was looked for, and what is there instead."""
    lost = [name for name in ids if name not in found]
    unread = [name for name in names if name.lower().endswith(OTHERS)]
    readable = [name for name in names if name.lower().endswith(READABLE)]
    tried = pattern if pattern else f"{{video}}, also with more in front or behind, in {', '.join(READABLE)}"
    do = "Get these files, or leave the videos out of the annotations"
    if not found and unread and not readable:
        do = f"Files {PurePosixPath(unread[0]).suffix} are not read; write the features of each video as VIDEO.npy"
    elif not found and readable:
        likely = [*suggest_patterns(ids, readable), "{video}-rgb.npy"]
        do = f"Say how the files are called, e.g. -s feature_pattern={likely[0]}"
    return (f"{len(lost)} of {len(ids)} videos have no features in {folder}: {list_some(lost)}; looked for {tried}. "
            f"{describe_files(names)}. {do}")
