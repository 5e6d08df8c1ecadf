"""`losa export`, and the options of reading, as a user types them."""

import pytest

from helpers.command import losa
from helpers.label_cases import CASES, VIDEOS, agree
from losa.annotations.scan import scan


def test_labels_of_one_tool_go_to_another_beside_the_source(tmp_path):
    table = tmp_path / "labels.csv"
    table.write_bytes((CASES / "csv_more" / "boris_fixed.csv").read_bytes())
    done = losa("export", table, "--to", "elan", "--videos", VIDEOS)
    assert done.returncode == 0 and done.stdout.strip() == f"3 files in {tmp_path / 'labels_elan'}", done.stderr
    assert agree(scan(tmp_path / "labels_elan").entries, within=2e-3)
    columns = "start=Start (s),duration=Stop (s)"
    done = losa("export", table, "--to", "csv", "--columns", columns, "--out", tmp_path / "o")
    assert done.returncode == 0 and "error" not in done.stderr
    rows = scan(tmp_path / "o").entries[0].instances
    assert rows[0] == ("throw", pytest.approx(1.167), pytest.approx(1.167 + 2.333))


@pytest.mark.parametrize(("words", "said"), [
    (("export", "labels.csv", "--to", "elam"), "--to elam: no such format; did you mean elan?"),
    (("data", "check", "labels.csv", "--from", "eln"), "--from eln: no such format; did you mean elan?"),
    (("data", "check", "labels.csv", "--times", "hours"), "--times hours: expected one of"),
    (("data", "check", "labels.csv", "--columns", "lable=x"), "expected pairs such as label=Behavior"),
    (("data", "check"), "give a label file, or --formats"),
])  # fmt: skip
def test_wrong_options_name_the_right_ones(tmp_path, words, said):
    (tmp_path / "labels.csv").write_bytes((CASES / "csv_more" / "boris_fixed.csv").read_bytes())
    done = losa(*words, cwd=tmp_path)
    assert done.returncode and said in " ".join((done.stdout + done.stderr).replace("│", " ").split())


def test_formats_are_listed():
    done = losa("data", "check", "--formats")
    assert done.returncode == 0
    names = {line.split()[0] for line in done.stdout.splitlines()}
    assert {"elan", "boris", "label-studio", "cvat", "via", "epic-kitchens", "ms-tcn", "srt", "csv"} <= names


def test_prepare_stops_where_times_are_no_seconds_and_takes_the_option_it_names(tmp_path):
    words = ("data", "prepare", tmp_path / "data", "--videos", VIDEOS, "--annotations", CASES / "excel" / "frames.csv")
    done = losa(*words)
    assert done.returncode == 1 and not (tmp_path / "data").exists()
    assert "11 of 12 instances lie wholly outside their videos" in done.stderr and "--times frames" in done.stderr
    done = losa(*words, "--times", "frames")
    assert done.returncode == 0 and agree(scan(tmp_path / "data" / "annotations.json").entries, within=0.06)
