"""How the command answers: one line for an error of ours, a traceback for a bug, warnings said once."""

import json
import shutil
import signal
import subprocess
import sys
import time
import traceback

import pytest

from helpers.command import losa
from helpers.paths import GOLDEN
from losa.cli import main as cli
from losa.cli.main import main
from losa.errors import CacheError, ConfigError, TrainingError


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
    (("study", "folds", "out", "--backbone", "gap", "--weights", "", "--seeds", "a"), "--seeds a: expected whole "
     "numbers with commas, such as 0,1,2"),
    (("study", "folds", "out", "--backbone", "gap", "--weights", "", "--seeds", "0,1.5"), "--seeds 0,1.5: expected"),
    (("study", "folds", "out", "--backbone", "gap", "--weights", "", "--seeds", ""), "expected whole numbers"),
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
    said = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert len(said) == 2 and done.stderr.count("zero length") == 1 and ".py" not in done.stderr
    assert said[0].endswith("1 instances have zero length; dropped:") and "before training on 'train'" in said[1]


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


@pytest.mark.parametrize("words, new", [
    (["prepare", "out", "--world", "tiny", "--seed", "3"], ["world", "render", "out", "--size", "tiny", "--seed", "3"]),
    (["prepare", "out", "--world=tiny"], ["world", "render", "out", "--size=tiny"]),
    (["prepare", "out", "--videos", "v"], ["data", "prepare", "out", "--videos", "v"]),
    (["check", "labels.csv"], ["data", "check", "labels.csv"]),
    (["extract", "--preset", "demo"], ["data", "extract", "--preset", "demo"]),
    (["playable", "a", "b.mp4"], ["data", "playable", "a", "b.mp4"]),
    (["sweep", "n.ipynb", "--grid", "g", "--out", "o"], ["sweep", "run", "n.ipynb", "--grid", "g", "--out", "o"]),
    (["report", "runs"], ["sweep", "report", "runs"]),
    (["predict", "runs/x", "--subset", "val"], ["test", "runs/x", "--subset", "val"]),
    (["sheet"], ["world", "sheet"]), (["pretrain", "gap"], ["world", "pretrain", "gap"]),
])
def test_old_spellings_work_and_name_the_new_one(words, new, capsys):
    assert cli.translate(words) == new
    (line,) = capsys.readouterr().err.splitlines()
    spelt = " ".join(["losa", *new[:2 if new[0] != "test" else 1]])
    assert f"is now `{spelt}`; the old spelling works until losa 0.3" in line


@pytest.mark.parametrize("words", [
    ["predict", "v", "--run", "r"], ["predict", "v", "--run=r"], ["sweep", "run", "n"], ["sweep", "report", "r"],
    ["sweep", "--help"], ["predict", "--help"], ["data", "check", "x"], ["test", "r"], ["demo"], [],
])
def test_new_spellings_pass_as_they_are(words, capsys):
    assert cli.translate(words) == words and capsys.readouterr().err == ""


@pytest.mark.parametrize("error", [ValueError("a bug"), KeyError("a bug"), RuntimeError("a bug"), TypeError("a bug")])
def test_a_bug_keeps_its_traceback(error, monkeypatch):
    """Only errors of ours and of files become one line: what nobody foresaw has to be found."""
    monkeypatch.setattr("losa.cli.main.app", raiser(error))
    monkeypatch.setattr(sys, "argv", ["losa", "fields"])
    with pytest.raises(type(error)) as caught:
        main()
    assert caught.value is error and "raises" in "".join(traceback.format_exception(error))


@pytest.mark.parametrize("error", [
    ConfigError("seed=x: expected a number"), TrainingError("loss is nan"), CacheError("a.npy is damaged"),
    FileNotFoundError(2, "No such file or directory", "a.json"), OSError("no room")])
def test_errors_of_ours_and_of_files_are_one_line(error, monkeypatch):
    monkeypatch.setattr("losa.cli.main.app", raiser(error))
    done = losa("fields")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"error: {error}")


def raiser(error):
    def raises(_words):
        raise error

    return raises
