"""Cases and random sequences of edits that Python and the browser have to do alike."""

import json

from hypothesis import strategies as st

from helpers.paths import ROOT

CASES = json.loads((ROOT / "tests" / "widgets" / "edit_cases.json").read_text())
DURATION = 10.0
TIMES = st.floats(-1, 11).map(lambda time: round(time, 3))
HOW = {"playhead": st.none() | TIMES, "within": st.sampled_from([0.0, 0.05, 0.5]), "free": st.booleans()}
LABELS, IDS = st.sampled_from(["a", "b", "c"]), st.integers(1, 9)
OPS = st.one_of(
    st.fixed_dictionaries({"what": st.sampled_from(["create", "accept"]), "label": LABELS,
                           "segment": st.lists(TIMES, min_size=2, max_size=2), **HOW}),
    st.fixed_dictionaries({"what": st.just("move_edge"), "id": IDS, "edge": st.integers(0, 1), "time": TIMES, **HOW}),
    st.fixed_dictionaries({"what": st.sampled_from(["move", "split"]), "id": IDS, "time": TIMES, **HOW}),
    st.fixed_dictionaries({"what": st.sampled_from(["merge", "delete"]), "id": IDS}),
    st.fixed_dictionaries({"what": st.just("relabel"), "id": IDS, "label": LABELS}),
    st.fixed_dictionaries({"what": st.sampled_from(["undo", "redo"])}))
SEQUENCES = st.tuples(st.sampled_from([None, 4, 25, 29.97]), st.lists(OPS, max_size=14))


def prepared(case):
    """The records, the operations and the video of a case."""
    records = [{"label": label, "segment": [start, end]} for label, start, end in case.get("given", [])]
    return records, case["ops"], {"duration": DURATION, "fps": case.get("fps", 25)}


def short(records):
    """Records as a case writes them."""
    return [[r["id"], r["label"], *r["segment"]] for r in records]
