"""What every test gets: checked tensor annotations, few threads, no window, no network, the same seeds."""

import os
import random
import warnings
from pathlib import Path

from helpers.paths import ROOT

# Before torch; test workers, kernels and subprocesses inherit it. More would make two workers wait for each other:
# several times slower on two cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from jaxtyping import install_import_hook  # noqa: E402

install_import_hook("losa", "beartype.beartype")  # stays on: every annotation in losa is checked in every test

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
from hypothesis import settings  # noqa: E402

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
settings.register_profile("losa", deadline=None, derandomize=True)
settings.load_profile("losa")


@pytest.fixture(autouse=True)
def seeds() -> None:
    """Start Python, numpy and torch from the same seed in every test."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with the real annotations, videos and weights, which lies beside the repository or the test skips."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs ../shared/data: real annotations, videos and weights are not part of the repository")
    return folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A folder with the embedded world at size tiny, shared by the tests of this process."""
    from losa.world.render import make_world

    folder = tmp_path_factory.mktemp("tiny")
    make_world(folder / "world", "tiny", seed=0, num_workers=1)
    return folder


@pytest.fixture
def folder(tmp_path):
    """A folder with three videos of 4 seconds."""
    from helpers.annotation_files import make_three_videos

    return make_three_videos(tmp_path / "videos")


@pytest.fixture
def no_unexpected_warning():
    """Every warning that a test does not expect is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
