"""The names of the kinds of error, as they are shown and stored, and that no widget lacks one."""

import json

from widgets.error_kinds import COUNTED, WRONG, ErrorKind, name_error


def test_names_are_those_of_stored_results():
    names = ["true positive", "double detection", "wrong label", "localisation", "confusion", "background", "left out"]
    assert json.loads(json.dumps(list(ErrorKind))) == names
    assert list(COUNTED) == names[:-1] and list(WRONG) == names[1:-1]


def test_every_border_between_kinds():
    named = [[name_error(tiou, same, enough=0.5, low=0.1) for tiou in (0.5, 0.499, 0.1, 0.099)]
             for same in (True, False)]
    assert named == [["double detection", "localisation", "localisation", "background"],
                     ["wrong label", "confusion", "confusion", "background"]]
