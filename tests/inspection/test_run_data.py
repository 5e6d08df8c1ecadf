"""What a finished run holds, and what it says where its files are damaged or are not those it was made with."""

import pytest

from helpers.made_runs import made_run, made_world
from losa.errors import RunError
from losa.inspection.run_folder import open_run
from losa.inspection.timeline_data import timeline_view


def test_a_run_says_what_is_wrong_with_its_files_and_little_else(tmp_path):
    annotations = made_world(tmp_path / "world", 0)
    made_run(tmp_path / "a", annotations, 0.3)
    run = open_run(tmp_path / "a")
    assert len(repr(run)) < 300 and "name='a'" in repr(run)
    (tmp_path / "a" / "raw_predictions.npz").write_bytes(b"PK cut short")
    with pytest.raises(RunError, match="raw_predictions.npz is damaged.*losa test"):
        timeline_view({"a": run}, "test_0")
    run = open_run(tmp_path / "a")
    run.predictions["test_0"] = []
    with pytest.warns(UserWarning, match="a: average mAP is .*result.json says"):
        assert run.table["average"]
