"""Files on disk: written whole or not at all, told apart by their content, and cleared up after killed processes."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO

import psutil

ID_PIECES, ID_BYTES = 8, 2**15  # a file's content is told by so many pieces of it

try:
    import fcntl
except ImportError:  # Windows: the process id decides alone
    fcntl = None  # type: ignore[assignment]


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Hand out a temporary path beside `path` to write to, with the same ending.

    At the end it takes the place of `path`, so that a reader sees the old file or the new one, never a part. If
    anything fails, it is removed and `path` stays as it was.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> Path:
    """Write a UTF-8 file as a whole (see `replacing`) and return its path."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)


def write_json(path: str | Path, content: dict | list) -> Path:
    """Write a JSON file as a whole (see `replacing`) and return its path."""
    return write_text(path, json.dumps(content, indent=1))


def read_object(path: str | Path) -> dict:
    """Read the object in a JSON file; empty if there is none, or none that can be read."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def content_id(path: str) -> str:
    """Return a sha256 of a file's size and of pieces of it from begin to end: quick for thousands of large videos."""
    state = os.stat(path)
    return sampled_digest(path, state.st_size, state.st_mtime_ns)


@cache
def sampled_digest(path: str, size: int, changed: int) -> str:
    """Return `content_id` of a file; `changed`, its time of change in ns, is part of the cache's key."""
    digest = hashlib.sha256(str(size).encode())
    with open(path, "rb") as file:
        for i in range(ID_PIECES):
            file.seek(i * max(size - ID_BYTES, 0) // (ID_PIECES - 1))
            digest.update(file.read(ID_BYTES))
    return digest.hexdigest()


def file_id(path: str) -> str:
    """Return a sha256 of a file's content, computed again only if its size or time of change differ."""
    state = os.stat(path)
    return digest(path, state.st_size, state.st_mtime_ns)


@cache
def digest(path: str, size: int, changed: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hold(file: IO) -> None:
    """Mark an open file as in use until it is closed or its process ends; does nothing on a disk without locks."""
    if fcntl is not None:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_left(path: str | Path, pid: int) -> bool:
    """Return whether a file that process `pid` held is left over: the process has ended, and no other holds it.

    The other may be on another machine or in a container with the same disk, whose process ids are its own.
    """
    mine = pid == os.getpid()  # or was that of another container's process
    if not mine and psutil.pid_exists(pid):
        return False
    if fcntl is None:
        return not mine
    try:
        with open(path, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return not mine
    return True


def at_repository(needed: str | Path = "") -> Path:
    """Change to the root of the repository that the current folder lies in, and return it.

    Relative paths such as `runs/demo` then mean the same in Jupyter, VS Code and papermill, whatever folder these
    start a notebook in. Outside of a clone, the folder becomes that of the clone losa is imported from, and a line says
    so, if `needed` is there and not here; else nothing changes.

    needed: a file or folder of the demo that the notebook reads. Raises FileNotFoundError, which says how to make it,
    where it is missing.
    """
    here, clone = Path.cwd(), Path(__file__).resolve().parents[1]
    root = next((folder for folder in (here, *here.parents) if (folder / "losa" / "config.py").is_file()), None)
    if root is None and needed and not Path(needed).exists() and (clone / needed).exists():
        root = clone
        print(f"{here} lies in no clone of losa: relative paths count from {root}")
    os.chdir(root or here)
    if needed and not Path(needed).exists():
        place = "" if root else (f"; {here} lies in no clone of losa: begin in one (papermill: --cwd), or give "
                                 "absolute paths")
        raise FileNotFoundError(f"{Path(needed).resolve()} is missing: run `make demo` (or `losa demo`) first{place}")
    return root or here
