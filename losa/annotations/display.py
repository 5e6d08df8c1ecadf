"""Show a table of findings, and the first lines of a file, in a notebook."""

from pathlib import Path

import pandas as pd
from pandas.io.formats.style import Styler


def wrapped(frame: pd.DataFrame) -> Styler:
    """Style a table without its index, aligned to the left, with long cells and lists over several lines."""
    texts = frame.map(lambda cell: "\n".join(map(str, cell)) if isinstance(cell, list | tuple) else cell)
    props = ("text-align: left; vertical-align: top; white-space: pre-wrap; overflow-wrap: anywhere; "
             "max-width: 34em; min-width: 5em")
    return texts.style.hide().format(escape="html").set_table_styles([{"selector": "th, td", "props": props}])


def first_lines(path: Path, num: int = 9) -> str:
    """Return the first lines of a text file as they are, in any encoding; of a folder, the names of its files."""
    if path.is_dir():
        return "\n".join(sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())[:num])
    with path.open("rb") as file:
        start = file.read(100_000)
    wide = start[:2] in (b"\xff\xfe", b"\xfe\xff")  # as Excel's "Unicode text"
    try:
        text = start[:len(start) // 2 * 2].decode("utf-16") if wide else start.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = start.decode("cp1252", "replace")
    return "\n".join(text.splitlines()[:num])
