"""The files of a taps cache: rows of one video and a card that says what they are; who may write; which are ours."""

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

FORMAT = 2  # version of the files below; part of the key
LOOK_S = 1.0  # who waits for another process looks so often whether there is still something to wait for
MOST_CARDS = 256  # read at most to tell which version wrote a folder
NAME = re.compile(r"[0-9a-f]{32}")


# --- writing --------------------------------------------------------------------------------------------------------


class RowFile:
    """One .npy of fp16 rows that grows in order and appears under its name, with its card, once it is whole."""

    def __init__(self, path: Path, num_rows: int, row_size: int):
        self.path, self.num_rows, self.row_size, self.written, self.crc32 = path, num_rows, row_size, 0, 0
        self.temporary = path.with_name(f"{path.stem}.{os.getpid()}.tmp")
        self.file = open(self.temporary, "wb")  # noqa: SIM115 - open for as long as the video takes
        hold(self.file)
        header = {"descr": "<f2", "fortran_order": False, "shape": (num_rows, row_size)}
        np.lib.format.write_array_header_1_0(self.file, header)

    def append(self, rows: np.ndarray) -> None:
        data = np.ascontiguousarray(rows, dtype="<f2").tobytes()
        self.file.write(data)
        self.crc32, self.written = zlib.crc32(data, self.crc32), self.written + len(rows)

    def finish(self, card: dict) -> int:
        """Bytes of the finished file; the card is written last."""
        if self.written != self.num_rows:
            raise CacheError(f"{self.written} of {self.num_rows} snippets arrived")
        self.file.close()
        os.replace(self.temporary, self.path)
        write_json(self.path.with_suffix(".json"), {**card, "crc32": self.crc32})
        return self.path.stat().st_size

    def discard(self) -> None:
        self.file.close()
        self.temporary.unlink(missing_ok=True)


def remove_left(folder: Path) -> None:
    """Removes what killed processes had begun to write; nothing of it could be continued."""
    for path in folder.glob("*.tmp"):
        begun = re.fullmatch(r"[0-9a-f]{32}\.(\d+)\.tmp", path.name)
        if begun and is_left(path, int(begun[1])):
            with suppress(OSError):
                path.unlink()


@contextmanager
def filling(folder: Path, recipe: str, lacks: Callable[[], bool], quiet: bool = False) -> Iterator[bool]:
    """True: this process alone fills the folder with taps of the recipe. False: others have done so meanwhile.

    The lock is the operating system's, so a process that is killed lets go of it; its empty file stays.
    lacks: whether something is missing still; asked now and then while another process fills the folder.
    """
    name = hashlib.sha256(recipe.encode()).hexdigest()[:16]
    lock, told = FileLock(folder / f".{name}.lock", mode=0o666), quiet
    while True:
        try:
            lock.acquire(timeout=LOOK_S)
            break
        except Timeout:
            if not lacks():
                yield False
                return
            if not told:
                print(f"taps cache: another process fills {folder}; waiting for it", flush=True)
            told = True
    try:
        yield True
    finally:
        lock.release()


# --- reading --------------------------------------------------------------------------------------------------------


def check_cache(folder: str | Path) -> None:
    """Nothing; raises CacheError where the folder is none, cannot be made or holds taps that another version wrote.

    An empty or new folder is good, and one that can only be read: it may hold everything. Of a large cache some files
    stand for all.
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
    formats = Counter(card_format(path) for path in some)
    others = {found: count for found, count in formats.items() if found != FORMAT}
    if others:
        said = ", ".join(f"{count} of format {found}" for found, count in sorted(others.items(), key=str))
        raise CacheError(f"cache={str(folder)!r} was written by another version: of {len(some)} files looked at, {said}"
                         f"; this version reads and writes format {FORMAT}. Give another folder as cache, or delete "
                         f"this one: its taps are computed anew")


def card_format(path: Path) -> int | str:
    """The format a card names, "unknown" where it names none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["recipe"]["format"]
    except (OSError, ValueError, TypeError, KeyError):
        return "unknown"
    return found if isinstance(found, int) else "unknown"


@lru_cache(maxsize=2**15)
def read_card(path: str, video_id: str, copy: int = 0) -> dict:
    try:
        return json.loads(Path(path).read_text())
    except FileNotFoundError:
        which = f"copy {copy} of video {video_id!r}" if copy else f"video {video_id!r}"
        raise CacheError(f"no cached taps of {which} at {path}; `open_taps` computes them") from None


@cache
def verify(path: str, crc32: int, num_snippets: int, row_size: int) -> None:
    """Checks one file, once per process. Raises CacheError if its rows are not as they were written."""
    try:
        rows = mapped(path)
        good = rows.shape == (num_snippets, row_size) and zlib.crc32(np.ascontiguousarray(rows)) == crc32
    except (OSError, ValueError):
        good = False
    if not good:
        mapped.cache_clear()
        raise CacheError(f"cached taps {path} are damaged; delete that file and its .json, they are computed anew")


@lru_cache(maxsize=64)
def mapped(path: str) -> np.ndarray:
    """The rows of one file, memory-mapped; few at a time, since each holds a file open."""
    return np.load(path, mmap_mode="r")
