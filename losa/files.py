"""Small text files that are written whole or not at all, and read as far as they can be."""

import json
import os
from pathlib import Path


def write_text(path: str | Path, text: str) -> Path:
    """The path of a UTF-8 file with this text; a reader sees the old one or the new one, never a part."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def read_object(path: str | Path) -> dict:
    """The object a JSON file holds; empty where there is none, or none that can be read."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
