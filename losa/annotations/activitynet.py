"""Parse ActivityNet's JSON: {"database": {id: {"subset", "annotations": [{"label", "segment": [start, end]}]}}}.

ActionFormer's, OpenTAD's, HACS', FineAction's and EPIC's files in that shape are read the same way; a results file has
the same items, with a score, under {"results": {id: [...]}}.
"""

import json
from collections.abc import Callable

Number = int | float


def parse_json(text: str, repeated: list[str]) -> object:
    """Return the content of a JSON text. Keys that an object has more than once are added to `repeated`.

    Of such a key the last value counts, with the "annotations" (or "actions") of all. Raises ValueError where the text
    is not JSON, RecursionError where it is nested too deeply.
    """
    return json.loads(text, object_pairs_hook=lambda pairs: _merge(pairs, repeated))


def _merge(pairs: list[tuple], repeated: list[str]) -> dict:
    merged = dict(pairs)
    if len(merged) < len(pairs):
        earlier: dict = {}
        for key, value in pairs:
            if key in earlier:
                repeated.append(key)
                for name in ("annotations", "actions"):
                    old, new = (v.get(name) if isinstance(v, dict) else None for v in (earlier[key], value))
                    if isinstance(old, list) and isinstance(new, list):
                        value[name] = old + new
            earlier[key] = value
    return merged


def parse_instance(item: object, to_seconds: Callable[[object], Number | None]) -> tuple[str, Number, Number] | None:
    """Return label, start and end of an item; None where it is not {"label": text, "segment": [start, end]}.

    to_seconds returns the time that a value holds, None for none.
    """
    label, segment = (item.get("label"), item.get("segment")) if isinstance(item, dict) else (None, None)
    times = [to_seconds(time) for time in segment] if isinstance(segment, list) and len(segment) == 2 else [None]
    return None if not isinstance(label, str) or None in times else (label, *times)
