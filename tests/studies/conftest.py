"""What the tests of the ablation study share."""

import pytest

from losa.studies import ablations as study


@pytest.fixture
def worlds(tiny, tmp_path):
    """A study's folder whose worlds are all the tiny one."""
    for seed in (study.CHOOSING, *study.FIVE):
        for kind in ("world", "context"):
            (tmp_path / f"{kind}_{seed}").symlink_to(tiny)
    return tmp_path
