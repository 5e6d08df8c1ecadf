"""Workers that run items in processes of their own: answers, limits, deaths, and what is left when nobody listens."""

import multiprocessing
import os
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import closing

import numpy as np
import psutil
import pytest

from helpers.paths import ROOT
from helpers.worker_items import do_item
from losa.video.workers import Lost, run_in_workers

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs fork")
either = pytest.mark.parametrize("fork", [False, pytest.param(True, marks=linux)], ids=["interpreter", "fork"])
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # of fork, as DataLoader does


def collect(items, num_workers=2, limit_s=60, fork=False):
    """{index: its answers in order}"""
    answers = defaultdict(list)
    for index, answer in run_in_workers(do_item, items, num_workers, limit_s, fork=fork):
        answers[index].append(answer)
    return dict(answers)


@either
def test_every_item_gets_its_answers_in_order(fork):
    found = collect([("count", n) for n in (3, 0, 500, 1, 2)], fork=fork)
    assert found == {0: [0, 1, 2], 2: list(range(500)), 3: [0], 4: [0, 1]}
    assert collect([], fork=fork) == {}


@either
def test_arrays_arrive_whole_and_can_be_written_to(fork):
    ((answers,),) = [collect([("arrays", (50, 300, 300))], 1, fork=fork).values()]
    for i, answer in enumerate(answers):
        assert answer["number"] == i and np.array_equal(answer["pixels"], np.full((50, 300, 300), i, np.uint8))
        answer["pixels"][0] = 9


@either
def test_an_item_that_dies_or_gives_no_sign_is_lost_alone(fork):
    items = [("count", 1), ("hang", 0), ("die", 0), ("count", 2), ("raise", "x"), ("interrupt", 0), ("count", 1)]
    found = collect(items, limit_s=2, fork=fork)
    assert found == {0: [0], 1: [Lost(None)], 2: [Lost(-9)], 3: [0, 1], 4: [Lost(1)], 5: ["still here"], 6: [0]}


@either
def test_the_limit_counts_from_the_last_sign(fork):
    assert collect([("signs", 6)], limit_s=2, fork=fork) == {0: ["done"]}


@either
def test_a_worker_does_not_run_ahead_of_its_reader(tmp_path, fork):
    with closing(run_in_workers(do_item, [("write", (str(tmp_path / "begun"), 50))], 1, 60, fork=fork)) as answers:
        next(answers)
        time.sleep(1)
        assert int((tmp_path / "begun").read_text()) < 5


@either
def test_closing_ends_every_process(fork):
    answers = run_in_workers(do_item, [("pid", 3600), ("pid", 3600)], 2, 60, fork=fork)
    pids = [next(answers)[1] for _ in range(2)]
    assert len(set(pids)) == 2 and all(psutil.pid_exists(pid) for pid in pids)
    answers.close()
    assert not any(psutil.pid_exists(pid) for pid in pids)


@either
def test_workers_end_when_their_parent_is_killed(fork):
    code = ("from helpers.worker_items import do_item; from losa.video.workers import run_in_workers\n"
            f"for answer in run_in_workers(do_item, [('pid', 1), ('pid', 1)], 2, 60, fork={fork}):\n"
            "    print(answer[1], flush=True)")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)
    pids = [int(parent.stdout.readline()) for _ in range(2)]
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while any(map(is_running, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_running, pids))


def is_running(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_script_needs_no_main_guard(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("from losa.video.probe_pool import probe_many\nprint(sorted(probe_many(['a.mp4', 'b.mp4'])[1]))")
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.stdout.count("a.mp4") == 1 and done.returncode == 0, done.stderr


@linux
def test_a_process_that_may_start_none_probes_all_the_same(tmp_path):
    from losa.video.probe_pool import probe_many

    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=lambda: queue.put(probe_many([tmp_path / "a.mp4"])[1]), daemon=True)
    process.start()
    assert "no such file" in queue.get(timeout=60)[tmp_path / "a.mp4"]
    process.join()
