"""Read and write the files of a taps cache: for each video a .npy with rows of numbers and a .json card about them.

Which file belongs to which video and settings is decided in `losa.taps.cache_key`.
"""

import hashlib
import json
import os
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from losa.errors import CacheError
from losa.files import hold, is_left, write_json

FORMAT = 2  # version of the files below; part of every file's key, so that files of another version are not found
LOOK_S = 1.0  # a process that waits for another one checks so often whether it still has to
MOST_CARDS = 256  # read at most to find out which version wrote a folder
NAME = re.compile(r"[0-9a-f]{32}")


# --- writing --------------------------------------------------------------------------------------------------------


class RowFile:
    """Writes one .npy of fp16 rows in order. The file appears under its name, with its card, once it is whole."""

    def __init__(self, path: Path, num_rows: int, row_size: int):
        self.path, self.num_rows, self.row_size, self.written, self.crc32 = path, num_rows, row_size, 0, 0
        self.temporary = path.with_name(f"{path.stem}.{os.getpid()}.tmp")
        self.file = open(self.temporary, "wb")  # noqa: SIM115 - open for as long as the video takes
        hold(self.file)
        header = {"descr": "<f2", "fortran_order": False, "shape": (num_rows, row_size)}
        np.lib.format.write_array_header_1_0(self.file, header)

    def append(self, rows: np.ndarray) -> None:
        """Write the next rows."""
        data = np.ascontiguousarray(rows, dtype="<f2").tobytes()
        self.file.write(data)
        self.crc32, self.written = zlib.crc32(data, self.crc32), self.written + len(rows)

    def finish(self, card: dict) -> int:
        """Put the file and then its card in place, and return the file's size in bytes."""
        if self.written != self.num_rows:
            raise CacheError(f"{self.written} of {self.num_rows} snippets arrived")
        self.file.close()
        os.replace(self.temporary, self.path)
        write_json(self.path.with_suffix(".json"), {**card, "crc32": self.crc32})
        return self.path.stat().st_size

    def discard(self) -> None:
        """Remove what was written so far."""
        self.file.close()
        self.temporary.unlink(missing_ok=True)


def remove_left(folder: Path) -> None:
    """Remove what killed processes had begun to write, since it cannot be continued."""
    for path in folder.glob("*.tmp"):
        begun = re.fullmatch(r"[0-9a-f]{32}\.(\d+)\.tmp", path.name)
        if begun and is_left(path, int(begun[1])):
            with suppress(OSError):
                path.unlink()


@contextmanager
def filling(folder: Path, recipe: str, lacks: Callable[[], bool], quiet: bool = False) -> Iterator[bool]:
    """Give True while this process alone fills the folder with taps of the recipe, False if others have done so.

    The lock is the operating system's, so a process that is killed lets go of it; its empty file stays.

    lacks: says whether something is still missing; asked now and then while another process fills the folder.
    """
    name = hashlib.sha256(recipe.encode()).hexdigest()[:16]
    lock, was_told = FileLock(folder / f".{name}.lock", mode=0o666), quiet
    while True:
        try:
            lock.acquire(timeout=LOOK_S)
            break
        except Timeout:
            if not lacks():
                yield False
                return
            if not was_told:
                print(f"taps cache: another process fills {folder}; waiting for it", flush=True)
            was_told = True
    try:
        yield True
    finally:
        lock.release()


# --- reading --------------------------------------------------------------------------------------------------------


def check_cache(folder: str | Path) -> None:
    """Check a cache's folder before any work.

    Raises CacheError where it is no folder, cannot be made, or holds taps that another version wrote.

    A new or empty folder passes, and so does one that is read-only, since it may hold everything. Of a large cache only
    some files are looked at.
    """
    folder = Path(folder)
    place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not place.is_dir():
        what = "is a file" if folder.exists() else f"would lie in {place}, which is a file"
        raise CacheError(f"cache={str(folder)!r} {what}; give the folder that taps are to be kept in")
    if not folder.exists() and not os.access(place, os.W_OK):
        raise CacheError(f"cache={str(folder)!r} cannot be made: nothing may be written into {place}; give another "
                         "folder")
    cards = sorted(path for path in folder.glob("*.json") if NAME.fullmatch(path.stem))
    some = cards[::max(1, -(-len(cards) // MOST_CARDS))]
    formats = Counter(read_format(path) for path in some)
    others = {version: count for version, count in formats.items() if version != FORMAT}
    if others:
        said = ", ".join(f"{count} of format {version}" for version, count in sorted(others.items(), key=str))
        raise CacheError(f"cache={str(folder)!r} was written by another version: of {len(some)} files looked at, {said}"
                         f"; this version reads and writes format {FORMAT}. Give another folder as cache, or delete "
                         f"this one: its taps are computed anew")


def read_format(path: Path) -> int | str:
    """Return the format that a card names, "unknown" where it names none."""
    try:
        return find_format(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return "unknown"


def find_format(card: object) -> int | str:
    """Return the format that the content of a card names, "unknown" where it names none."""
    recipe = card.get("recipe") if isinstance(card, dict) else None
    version = recipe.get("format") if isinstance(recipe, dict) else None
    return version if isinstance(version, int) else "unknown"


@lru_cache(maxsize=2**15)
def read_card(path: str, video_id: str, copy: int = 0) -> dict:
    """Return what the card of a video's taps says: num_snippets, sampled_fps, decode, recipe, crc32.

    Raises CacheError where there is none, or where another version or another program wrote it.
    """
    which = f"copy {copy} of video {video_id!r}" if copy else f"video {video_id!r}"
    try:
        card = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CacheError(f"no cached taps of {which} at {path}; compute them with `losa data extract`") from None
    except (OSError, ValueError) as error:
        raise CacheError(f"the card of {which}, {path}, cannot be read ({error}); {delete_both(path)}") from None
    if find_format(card) != FORMAT:
        raise CacheError(f"the cached taps of {which} at {path} were written in format {find_format(card)}, this "
                         f"version reads format {FORMAT}; {delete_both(path)}")
    if missing := {"num_snippets", "sampled_fps", "decode", "crc32"} - card.keys():
        raise CacheError(f"the card of {which}, {path}, of format {FORMAT}, lacks {', '.join(sorted(missing))}; "
                         f"{delete_both(path)}")
    return card


def delete_both(path: str | Path) -> str:
    """Return what to do about cached taps that cannot be used; path: their .npy or their card."""
    return (f"delete {Path(path).with_suffix('.npy').name} and {Path(path).with_suffix('.json').name} there, and the "
            "next run or `losa data extract` computes them anew")


@cache
def verify(path: str, crc32: int, num_snippets: int, row_size: int) -> None:
    """Check one file, once per process. Raises CacheError if its rows are not as they were written."""
    try:
        rows = map_rows(path)
        damage = (f"it holds {rows.dtype} {rows.shape}, its card says float16 ({num_snippets}, {row_size})"
                  if (rows.shape, rows.dtype) != ((num_snippets, row_size), np.float16) else
                  "its checksum differs" if zlib.crc32(np.ascontiguousarray(rows)) != crc32 else "")
    except (OSError, ValueError, EOFError) as error:
        damage = str(error)
    if damage:
        map_rows.cache_clear()
        raise CacheError(f"cached taps {path} are damaged ({damage}); {delete_both(path)}")


@lru_cache(maxsize=64)
def map_rows(path: str) -> np.ndarray:
    """Return the rows of one file, memory-mapped. Few are kept, since each holds a file open."""
    return np.load(path, mmap_mode="r")


def close_files() -> None:
    """Forget every file and card that this process has read, so that files can be deleted or written anew."""
    for function in (map_rows, verify, read_card):
        function.cache_clear()
