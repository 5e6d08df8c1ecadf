"""Adapters of one's own: how FILE.py:NAME is read, and what of the file's text makes another run."""

import ast
import re


def own_adapter(adapter: object) -> tuple[str, str]:
    """File and class of FILE.py:NAME, an adapter of one's own; two empty strings for anything else."""
    found = re.fullmatch(r"(.+\.py):(\w+)", str(adapter))
    return (found[1], found[2]) if found else ("", "")


def code_of(source: str) -> str:
    """Code without comments and layout, so that changed words make no new run."""
    try:
        return ast.unparse(ast.parse(source))
    except (SyntaxError, ValueError):  # magics
        return source.strip()
