"""The `losa` command as a user types it: one JSON object, one error line, help that teaches."""

import json

import av
import nbformat
import pytest

from helpers.command import losa
from helpers.eval_files import CLASSES, ROWS, results, truth_content, write
from helpers.paths import GOLDEN
from helpers.video_files import read_number, write_video
from losa.config import Config


def test_evaluate_prints_one_json_object_equal_to_the_official_evaluator():
    done = losa("evaluate", GOLDEN / "predictions_untied.json", "--ground-truth", GOLDEN / "ground_truth.json",
                "--subset", "test", "--tiou", "0.3:0.7:0.1", "--format", "json")
    found, expected = json.loads(done.stdout), json.loads((GOLDEN / "expected.json").read_text())
    official = dict(zip(expected["tiou"], expected["activitynet_official (duplicates kept)"]["map"], strict=True))
    assert found["map"] == pytest.approx([official[t] for t in (0.3, 0.4, 0.5, 0.6, 0.7)], abs=1e-9)
    assert found["average_map"] == pytest.approx(sum(found["map"]) / 5, abs=1e-12)
    assert found["num_ground_truth"] == 61 and found["protocol"] == "activitynet" and found["num_predictions"] > 100


def test_a_sweep_of_one_cell_runs_fails_by_exit_code_and_is_reported(tmp_path):
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    book = nbformat.v4.new_notebook(metadata={"kernelspec": kernel}, cells=[
        nbformat.v4.new_code_cell('out = "runs/x"\nlevel = 1', metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell("assert level < 3, level")])
    nbformat.write(book, tmp_path / "book.ipynb")
    (tmp_path / "grid.yaml").write_text("level: [2, 3]")
    words = ("sweep", "run", "book.ipynb", "--grid", "grid.yaml", "--out", "runs", "-j", "2")
    done = losa(*words, cwd=tmp_path)
    assert done.returncode == 1 and "1 ok, 1 error" in done.stdout and "next: losa sweep report runs" in done.stdout
    again = losa(*words, cwd=tmp_path)
    assert again.returncode == 1 and "1 error, 1 skipped" in again.stdout and "--retry" in again.stdout
    assert losa("sweep", "report", "runs", cwd=tmp_path).stdout.strip() == "runs/report.html"
    assert "AssertionError: 3" in (tmp_path / "runs" / "report.html").read_text()


def test_playable_makes_a_copy_that_browsers_show(tmp_path):
    given = write_video(tmp_path / "old.avi", 12, codec="mpeg4", options={})
    assert losa("data", "playable", given, "new.mp4", cwd=tmp_path).stdout.strip() == "new.mp4"
    with av.open(str(tmp_path / "new.mp4")) as container:
        assert container.streams.video[0].codec_context.codec.canonical_name == "h264"
        numbers = [read_number(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    assert numbers == list(range(12))


def test_sheet_is_a_picture(tmp_path):
    from PIL import Image

    assert losa("world", "sheet", "--out", tmp_path / "new" / "sheet.png").returncode == 0
    with Image.open(tmp_path / "new" / "sheet.png") as picture:
        assert picture.width > 700 and picture.height > 1000


def test_own_videos_from_folder_and_csv_to_predictions(tiny, tmp_path):
    """What an engineer with a folder and a CSV does, command by command."""
    truth = json.loads((tiny / "world" / "annotations.json").read_text())["database"]
    lines = ["video,label,start,end"] + [
        f"{name}.mp4,{a['label']},{a['segment'][0]},{a['segment'][1]}"
        for name, video in truth.items() for a in video["annotations"]]
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    steps = [("data", "check", "labels.csv", "--videos", tiny / "world" / "videos"),
             ("data", "prepare", "data", "--videos", tiny / "world" / "videos", "--annotations", "labels.csv",
              "--split", "0.5,0.25,0.25"),
             ("train", "run", "-s", "annotations=data/annotations.json", "-s", "cache=data/taps", "-s", "epochs=1",
              "-s", "warmup_epochs=1", "-s", "head_levels=3", "-s", "head_dim=16", "-s", "adapter_dim=8"),
             ("data", "extract", "--config", "run/config.json", "--export", "features"),
             ("predict", tiny / "world" / "videos", "--run", "run", "--out", "found"),
             ("compare", "run", "run/predictions.json"),
             ("test", "run", "--subset", "val"),
             ("evaluate", "run/predictions_val.json", "--ground-truth", "data/annotations.json", "--subset", "val")]
    for words in steps:
        done = losa(*words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr[-2000:]
    assert "average" in done.stdout
    results = json.loads((tmp_path / "run" / "predictions_val.json").read_text())["results"]
    assert (tmp_path / "run" / "predictions.json").exists(), "another subset leaves the run's own predictions alone"
    made = json.loads((tmp_path / "data" / "annotations.json").read_text())["database"]
    assert [sum(v["subset"] == s for v in made.values()) for s in ("train", "val", "test")] == [6, 3, 3]
    assert set(results) == {name for name, video in made.items() if video["subset"] == "val"}
    found = json.loads((tmp_path / "found" / "predictions.json").read_text())["results"]
    assert set(found) == set(made) == {path.stem for path in (tmp_path / "features").glob("*.npy")}
    for name in results:  # a file as it comes gives what the annotated video gives
        assert [r["score"] for r in found[name]] == pytest.approx([r["score"] for r in results[name]], abs=0.02)


def test_a_linter_that_found_something_says_so_by_its_exit_code(tmp_path):
    """What a spreadsheet and a tired person write: the clean copy is clean, the input untouched."""
    table = "video;label;start;end\na.mp4;jump;0:02;0:04,5\na.mp4;jump;0:02;0:04,5\na.mp4;Jump;9;7\nb.mp4;wave;1;2\n"
    (tmp_path / "labels.csv").write_text(table)
    assert losa("data", "check", "labels.csv", cwd=tmp_path).returncode == 1
    found = losa("data", "check", "labels.csv", "--fix", "clean.csv", cwd=tmp_path)
    assert found.returncode == 0, found.stdout
    assert all(word in found.stdout for word in ("'Jump'", "'jump'", "9", "7", "clean.csv")), found.stdout
    assert (tmp_path / "labels.csv").read_text() == table
    clean = losa("data", "check", "clean.csv", cwd=tmp_path)
    assert clean.returncode == 0, clean.stdout


VERBS = "video,label,start,end\n" + "".join(f"a.mp4,{label},{i},{i + 1}\n" for i, label in enumerate(
    ["take", "take", "take", "bake", "Bake", "put-on", "put-in", "put-in"]))  # fmt: skip


def test_labels_are_merged_by_the_option_that_the_check_prints(tmp_path):
    (tmp_path / "labels.csv").write_text(VERBS)
    done = losa("data", "check", "labels.csv", "--fix", "clean.csv", cwd=tmp_path)
    assert done.returncode == 1 and "\nclean.csv: read 8 instances = 8 kept\n" in done.stdout
    assert "--rename put-on=put-in" in done.stdout and "clean.csv.changes.csv" in done.stdout
    labels = [line.split(",")[1] for line in (tmp_path / "clean.csv").read_text().splitlines()[1:]]
    assert labels == ["take"] * 3 + ["Bake"] * 2 + ["put-on", "put-in", "put-in"]
    done = losa("data", "check", "labels.csv", "--fix", "clean.csv", "--rename", "put-on=put-in", "--rename",
                "bake=take", cwd=tmp_path)
    assert done.returncode == 0 and "3 labels of instances renamed as asked for" in done.stdout, done.stdout
    labels = [line.split(",")[1] for line in (tmp_path / "clean.csv").read_text().splitlines()[1:]]
    assert labels == ["take"] * 5 + ["put-in"] * 3 and (tmp_path / "labels.csv").read_text() == VERBS
    for words, message in ((["--rename", "a=b"], "add --fix COPY.csv"),
                           (["--fix", "x.csv", "--rename", "bale=take"], "'bale'; did you mean 'bake'?")):
        done = losa("data", "check", "labels.csv", *words, cwd=tmp_path)
        told = " ".join(done.stderr.replace("│", " ").split())
        assert done.returncode != 0 and message in told and not (tmp_path / "x.csv").exists(), told


def test_a_file_of_classes_says_that_labels_are_meant(tmp_path):
    (tmp_path / "labels.csv").write_text(VERBS)
    (tmp_path / "classes.txt").write_text("take\nbake\nput-on\nput-in\n")
    words = ("data", "check", "labels.csv", "--classes", "classes.txt")
    assert losa(*words, cwd=tmp_path).returncode == 1  # Bake
    done = losa(*words, "--fix", "clean.csv", cwd=tmp_path)
    assert done.returncode == 0 and "1 labels of instances written as in the list of classes" in done.stdout


def test_what_would_be_most_of_a_file_is_not_left_out(tmp_path):
    (tmp_path / "labels.csv").write_text("video,label,start,end\na,x,1,\na,x,3,\na,x,5,6\n")
    done = losa("data", "check", "labels.csv", "--fix", "clean.csv", cwd=tmp_path)
    assert done.returncode == 1 and "read 3 instances = 1 kept + 2 not understood" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["labels.csv"]


def test_evaluate_of_a_run_alone_says_the_command_that_gives_its_number(tmp_path):
    config = Config(annotations=str(GOLDEN / "ground_truth.json"), ground_truth="truth.csv")
    write(tmp_path / "config.json", config.to_dict())
    done = losa("evaluate", tmp_path)
    told = " ".join(done.stderr.replace("│", " ").split())
    assert done.returncode == 2 and "Missing option '--ground-truth'" in told and "--ground-truth truth.csv" in told


def test_evaluate_says_what_does_not_fit_before_the_number_and_reads_as_it_is_told(tmp_path):
    write(tmp_path / "truth.json", truth_content())
    write(tmp_path / "titled.json", {"results": results(lambda v, r: (v, {**r, "label": r["label"].title()}))})
    in_frames = results(lambda v, r: (v, {**r, "segment": [12 * t for t in r["segment"]]}))
    write(tmp_path / "frames.json", {"results": in_frames})
    write(tmp_path / "table.csv", "clip;what;from here;until\n" + "\n".join(";".join(map(str, row)) for row in ROWS))
    words = ("--ground-truth", "truth.json", "--format", "json")
    done = losa("evaluate", "titled.json", *words, cwd=tmp_path)
    lines = done.stderr.splitlines()
    assert lines[0].startswith("warning: none of the 12 predictions has a label") and lines[-1].startswith("note: ")
    (counted,) = json.loads(done.stdout)["mismatches"]
    assert done.returncode == 0 and counted["kind"] == "unknown labels" and counted["count"] == 12
    renamed = [word for name in CLASSES for word in ("--rename", f"{name.title()}={name}")]
    for options in ((), renamed):
        found = json.loads(losa("evaluate", "titled.json", *words, *options, cwd=tmp_path).stdout)
        assert found["average_map"] == (1 if options else 0)
    found = losa("evaluate", "frames.json", *words, "--predicted-times", "frames", cwd=tmp_path)
    assert json.loads(found.stdout)["average_map"] == 1 and "beyond" not in found.stderr
    columns = "video=clip,label=what,start=from here,end=until"
    table = losa("evaluate", "titled.json", "--ground-truth", "table.csv", "--columns", columns, *renamed, cwd=tmp_path)
    assert "average 100.00" in table.stdout, table.stderr


def test_predict_says_that_the_threshold_hides_all_there_is(monkeypatch, capsys, tmp_path):
    """One video of two shows nothing, then both."""
    from losa.cli.run_commands import predict

    found = {name: {"num_shown": int(best > 0.3), "best_score": best} for name, best in (("a", 0.18), ("b", 0.42))}
    result = {"videos": found, "failed": {}}
    monkeypatch.setattr("losa.workflows.predict_videos.predict_videos", lambda *_, **__: result)
    predict(tmp_path, run=tmp_path, out=tmp_path, min_score=0.3)
    assert "nothing above 0.30 in 1 of 2 videos: a (best 0.18): lower --min-score" in capsys.readouterr().out
    predict(tmp_path, run=tmp_path, out=tmp_path, min_score=0.5)
    assert "nothing above 0.50; the best is 0.42: lower --min-score" in capsys.readouterr().out
    predict(tmp_path, run=tmp_path, out=tmp_path, min_score=0.1)
    assert "nothing" not in capsys.readouterr().out
