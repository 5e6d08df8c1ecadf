"""Three short videos, and warnings that fail a test."""

import warnings

import pytest

from helpers.annotation_files import make_three_videos


@pytest.fixture
def folder(tmp_path):
    """A folder with three videos of 4 seconds."""
    return make_three_videos(tmp_path / "videos")


@pytest.fixture
def no_unexpected_warning():
    """Every warning that a test does not expect is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
