"""Files: written whole or not at all, told apart by content, and left by processes that were killed."""

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest

import losa
from helpers.paths import ROOT
from losa.files import content_id, file_id, hold, is_left, read_object, replacing, write_json, write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# --- written whole or not at all ------------------------------------------------------------------------------------


def test_a_file_is_replaced_at_the_end_and_read_whole_until_then(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")
    with replacing(path) as temporary:
        assert (temporary.parent, temporary.suffix) == (tmp_path, ".json") and temporary != path
        temporary.write_text("ne")
        assert path.read_text() == "old"
        temporary.write_text("new")
    assert path.read_text() == "new" and names(tmp_path) == ["a.json"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("before", [None, "old"])
def test_a_writer_that_fails_leaves_nothing_half_written(tmp_path, error, before):
    path = tmp_path / "a.json"
    if before:
        path.write_text(before)
    with pytest.raises(error), replacing(str(path)) as temporary:
        temporary.write_text("half")
        raise error
    assert names(tmp_path) == (["a.json"] if before else []) and (not before or path.read_text() == before)
    with pytest.raises(FileNotFoundError), replacing(path):
        pass  # a writer that wrote nothing
    assert names(tmp_path) == (["a.json"] if before else [])


def test_text_and_json_fail_before_they_touch_the_file(tmp_path):
    path = write_json(tmp_path / "a.json", {"a": [1, "ü"]})
    assert path == tmp_path / "a.json" and json.loads(path.read_bytes()) == {"a": [1, "ü"]}
    for write in (lambda: write_json(path, {"a": object()}), lambda: write_text(path, "half \ud800")):
        with pytest.raises((TypeError, UnicodeEncodeError)):
            write()
        assert json.loads(path.read_bytes()) == {"a": [1, "ü"]} and names(tmp_path) == ["a.json"]
    with pytest.raises(FileNotFoundError):
        write_text(tmp_path / "no folder" / "a.txt", "x")
    assert write_text(str(path), "ü\n").read_bytes() == b"\xc3\xbc\n"


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"3", b"null", b"\xff\xfe{}", b'{"a": 1'])
def test_what_is_no_object_is_empty(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    assert read_object(tmp_path / "a.json") == read_object(tmp_path / "none.json") == read_object(tmp_path) == {}
    assert read_object(write_json(tmp_path / "b.json", {"a": {}})) == {"a": {}}


# --- told by content ------------------------------------------------------------------------------------------------


def test_a_file_s_id_is_its_sha256_and_follows_its_content(tmp_path):
    path = tmp_path / "a"
    for content in (b"", b"one", b"two", bytes(3_000_000)):
        path.write_bytes(content)
        os.utime(path, ns=(0, len(content) * 1000 + content[:1].count(b"t")))
        assert file_id(str(path)) == hashlib.sha256(content).hexdigest()
    with pytest.raises(FileNotFoundError):
        file_id(str(tmp_path / "gone"))


def test_content_of_large_files_is_told_by_pieces(tmp_path):
    data = bytearray(np.random.default_rng(0).bytes(3_000_000))
    names = []
    for i, change in enumerate([None, 0, 1_499_000, len(data) - 1]):
        if change is not None:
            data[change] ^= 1
        (tmp_path / f"{i}").write_bytes(data)
        names.append(content_id(str(tmp_path / f"{i}")))
    (tmp_path / "longer").write_bytes(data + b"x")
    small = [tmp_path / "small", tmp_path / "empty"]
    small[0].write_bytes(b"abc"), small[1].write_bytes(b"")
    names += [content_id(str(p)) for p in (tmp_path / "longer", *small)]
    assert names[0] != names[1] and names[2] != names[3] and len(set(names)) >= 6
    (tmp_path / "copy").write_bytes((tmp_path / "2").read_bytes())
    assert content_id(str(tmp_path / "copy")) == names[2]


# --- left by killed processes ---------------------------------------------------------------------------------------


def test_a_file_is_left_when_its_process_has_ended_and_nobody_holds_it(tmp_path):
    path = tmp_path / "lock"
    path.touch()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert is_left(path, ended.pid) and not is_left(path, os.getppid())
    with open(path, "r+b") as file:
        hold(file)
        assert not is_left(path, ended.pid) and not is_left(path, os.getpid())
    assert is_left(path, ended.pid)
    assert is_left(tmp_path / "gone", ended.pid) and not is_left(tmp_path / "gone", os.getpid())


def test_at_repository_goes_to_the_root_from_anywhere_inside(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT / "tests" / "golden")
    assert losa.at_repository() == ROOT and os.getcwd() == str(ROOT)
    monkeypatch.chdir(tmp_path)
    assert losa.at_repository() == tmp_path and os.getcwd() == str(tmp_path)
    with pytest.raises(FileNotFoundError, match="result.json is missing: run `make demo`.*lies in no clone of losa"):
        losa.at_repository("runs/nowhere/result.json")


def test_at_repository_finds_the_clone_of_the_package_by_what_is_needed(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    assert losa.at_repository("notebooks/02_train.ipynb") == ROOT and os.getcwd() == str(ROOT)
    assert capsys.readouterr().out == f"{tmp_path} lies in no clone of losa: relative paths count from {ROOT}\n"
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "02_train.ipynb").touch()
    monkeypatch.chdir(tmp_path)
    assert losa.at_repository("notebooks/02_train.ipynb") == tmp_path, "what lies here is what is meant"
    assert losa.at_repository(ROOT / "notebooks") == tmp_path and capsys.readouterr().out == ""
