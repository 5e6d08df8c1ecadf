"""The log beside a clean copy, as a spreadsheet opens it."""

import csv
from pathlib import Path

from losa.annotations.change_log import ChangeLog, log_beside


def test_rows_are_written_to_their_last_digit(tmp_path):
    log = ChangeLog()
    log.add_instance("v", ("jmup", 0.1 + 0.2, 1e-05), ["renamed", "turned"], "w", ("jump", 1e-05, 0.1 + 0.2))
    log.add_instance("v", ('a "b",\nc', 1.0, 1.0), ["left out"])
    log.add_fact("v", "taken from the file", "fps", None, 25.0)
    path = log_beside(tmp_path / "clean.csv")
    log.write(path)
    assert path == Path(tmp_path / "clean.csv.changes.csv")
    with path.open(encoding="utf-8", newline="") as file:
        first, second, third = csv.DictReader(file)
    assert (first["what"], first["video"], first["old_label"], first["new_video"], first["new_label"]) == (
        "renamed; turned", "v", "jmup", "w", "jump")
    assert float(first["old_start"]) == float(first["new_end"]) == 0.1 + 0.2 and float(first["new_start"]) == 1e-05
    assert second["old_label"] == 'a "b",\nc' and second["new_label"] == second["new_start"] == ""
    assert (third["field"], third["old"], third["new"]) == ("fps", "", "25.0")
