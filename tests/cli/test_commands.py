"""The `losa` command as a user types it: one JSON object, one error line, help that teaches."""

import contextlib
import io
import json
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import av
import nbformat
import numpy as np
import pytest

from helpers.paths import GOLDEN
from helpers.video_files import read_number, write_video
from losa.annotations.dataset import Annotations, Video
from losa.cli.main import main
from losa.cli.output import parse_shares, training_hint
from losa.config import Config


def losa(*words, cwd="."):
    """What the command prints and returns, run in this process; an exception of ours that is not caught fails."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (contextlib.chdir(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err),
          warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch):
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", ResourceWarning)  # of what other tests left to be collected
        patch.setattr(sys, "argv", ["losa", *map(str, words)])
        try:
            main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
            err.write(stop.code if isinstance(stop.code, str) else "")
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


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


@pytest.mark.parametrize("words, message", [
    (("evaluate", GOLDEN / "predictions.json", "--ground-truth", GOLDEN / "ground_truth.json", "--subset", "tset"),
     'Did you mean "test"?'),
    (("train", "run", "-s", "short_windw=3"), "unknown config field 'short_windw': did you mean 'short_window'?"),
    (("demo", "-s", "seed=3"), "seed is set by this command's own options"),
    (("demo", "-s", "rangs=short"), "unknown config field 'rangs': did you mean 'ranges'?"),
    (("train", "run", "--config", GOLDEN / "../test_config.py"), "is not JSON"),
    (("train", "run", "-s", "learning_rate=Infinity"), "learning_rate"),
    (("train", "run", "-s", "seed"), "--set takes field=value, got 'seed'"),
    (("train", "run", "-s", "annotations=none.json"), "none.json"),
    (("test", "nowhere"), "no run at nowhere; train one with `losa train nowhere`"),
    (("sweep", "report", "nowhere"), "no run lies under nowhere"),
    (("sweep", "run", "nowhere.ipynb", "--grid", "grid.yaml", "--out", "sweep"), "there is no notebook"),
    (("study", "ablations", "--parts", "axis"), "no part is called axis; there are headline"),
    (("data", "prepare", "out"), "Missing option '--videos'"),
    (("world", "render", "out", "--size", "huge"), "size 'huge' is unknown"),
    (("train", "run", "--preset", "thumos_b"), "no preset is called 'thumos_b'; there are tiny, demo"),
    (("train", "run", "--post", "opentat"), "no post-processing is called 'opentat'; there are actionformer, opentad"),
    (("predict", "nothing.mp4", "--run", "nowhere"), "nothing.mp4"),
    (("predict", "nothing.mp4", "--run", "nowhere", "--min-score", "50"), "less than or equal to 1"),
    (("compare", "published:lossa", "published:losa"), "did you mean losa"),
    (("evaluate", GOLDEN / "predictions.json", "--ground-truth", GOLDEN / "ground_truth.json", "--subset", "test",
      "--protocol", "activitnet"), "activitynet-dedup"),
    (("evaluate", GOLDEN / "predictions.json", "--ground-truth", GOLDEN / "ground_truth.json", "--subset", "test",
      "--test-set", "thumos-212"), "thumos14-212"),
    (("data", "extract", "-s", "annotations=none.json"), "none.json"),
    (("data", "playable", "none.avi", "copy.mp4"), "none.avi"),
    (("data", "playable", "none.avi", "copy.webm"), "expected a name that ends in .mp4"),
])
def test_bad_input_gets_one_error_and_no_traceback(words, message, tmp_path):
    done = losa(*words, cwd=tmp_path)
    said = " ".join(done.stderr.replace("│", " ").split())
    assert done.returncode != 0 and message in said and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir()), "nothing half-written"


@pytest.mark.parametrize("command", [
    "demo", "train", "test", "predict", "evaluate", "compare", "fields", "data", "data check", "data prepare",
    "data extract", "data playable", "sweep", "sweep run", "sweep report", "world", "world render", "world sheet",
    "world pretrain", "bench", "study"])
def test_every_command_explains_itself(command):
    done = losa(*command.split(), "--help")
    assert done.returncode == 0 and len(done.stdout.split()) > 20


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


def test_every_field_is_listed_with_its_value_and_choices():
    said = losa("fields", "--preset", "activitynet_b").stdout
    listed = [line.split("=")[0].strip() for line in said.splitlines() if line.startswith("  ")]
    assert set(Config.model_fields) <= set(listed)
    assert '"short" | "long" | "both"' in said and "classifier_fusion=sqrt" in said and "frames_per_video=768" in said


@pytest.mark.parametrize("subsets, said", [
    (("train", "val", "test"), "-s cache=data/taps \\\n"),
    (("training", "validation"), "-s train_subset=training -s val_subset= -s test_subset=validation"),
    (("Validation", "Test"), "-s train_subset=Validation -s val_subset= -s test_subset=Test"),
    (("all",), "--split 0.6,0.2,0.2"),
])
def test_what_to_type_after_prepare_fits_the_subsets_there_are(subsets, said):
    videos = tuple(Video(name, name, None, 0, 9, np.array([[1.0, 2.0]]), np.array([min(i, 1)]))
                   for i, name in enumerate(subsets))
    hint = training_hint(Annotations(("jump", "wave"), videos), Path("data"))
    assert said in hint and ("note: no instance of wave in" in hint) == (len(subsets) > 1)


def test_shares_may_be_percent():
    assert parse_shares("60,20,20") == pytest.approx((0.6, 0.2, 0.2)) and parse_shares("") is None


def test_warnings_are_one_line_each_and_said_once(tiny, tmp_path):
    content = json.loads((tiny / "world" / "annotations.json").read_text())
    video = next(v for v in content["database"].values() if v["subset"] == "train")
    video["annotations"].append({"label": video["annotations"][0]["label"], "segment": [3.0, 3.0]})
    path = tiny / "world" / f"{tmp_path.name}.json"
    path.write_text(json.dumps(content))
    done = losa("train", tmp_path / "run", "-s", f"annotations={path}", "-s", f"cache={tiny}/taps", "-s", "epochs=1",
                "-s", "warmup_epochs=0", "-s", "head_levels=3", "-s", "head_dim=16")
    path.unlink()
    assert done.returncode == 0, done.stderr[-500:]
    assert done.stderr.count("zero length") == done.stderr.count("warning: ") == 1 and ".py" not in done.stderr


def test_damaged_files_get_one_line(tiny, tmp_path):
    """An empty video, text for weights, a damaged state: one line that names the file, no traceback."""
    videos = tmp_path / "videos"
    shutil.copytree(tiny / "world" / "videos", videos)
    shutil.copy(tiny / "world" / "annotations.json", tmp_path / "annotations.json")
    (tmp_path / "weights.safetensors").write_text("text")
    sizes = ["-s", "epochs=1", "-s", "warmup_epochs=0", "-s", "head_levels=3", "-s", "head_dim=16"]
    train = ["train", "run", "-s", "annotations=annotations.json", "-s", "cache=taps", *sizes]
    assert losa(*train, cwd=tmp_path).returncode == 0
    (tmp_path / "run" / "state.pt").write_bytes(b"no")
    (tmp_path / "run" / "result.json").write_text("{")
    damaged = losa(*train, cwd=tmp_path)
    weights = losa(*train[:1], "other", *train[2:], "-s", "weights=weights.safetensors", cwd=tmp_path)
    (videos / "test_0000.mp4").write_bytes(b"")
    empty = losa(*train[:1], "third", *train[2:], "-s", "cache=taps3", cwd=tmp_path)
    for done, name in ((damaged, "state.pt is damaged"), (weights, "weights.safetensors is no safetensors file"),
                       (empty, "test_0000: is empty (0 bytes)")):
        assert done.returncode != 0 and "Traceback" not in done.stderr and name in done.stderr, done.stderr[-500:]
        assert [line for line in done.stderr.splitlines() if line.startswith("error: ")], done.stderr[-500:]


def test_an_interrupt_says_how_to_go_on(tiny, tmp_path):
    process = subprocess.Popen([sys.executable, "-c", "from losa.cli.main import main; main()", "train",
                                str(tmp_path / "run"), "-s", f"annotations={tiny}/world/annotations.json",
                                "-s", f"cache={tiny}/taps", "-s", "epochs=5000"], stderr=subprocess.PIPE, text=True)
    for _ in range(600):
        if (tmp_path / "run" / "log.jsonl").exists():
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=120)[1]
    assert process.returncode != 0 and "the same command continues there" in said and "Traceback" not in said
    assert (tmp_path / "run" / "state.pt").exists()
