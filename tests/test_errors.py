"""Errors raised on purpose: one base, the kinds that callers may catch, and whole after a worker process."""

import inspect
import pickle

import pytest

from losa import errors
from losa.errors import LosaError, VideoError

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, LosaError)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_is_ours_and_one_that_python_knows(kind):
    """`except ValueError` or RuntimeError also catches them, never OSError or KeyError, which mean something else."""
    assert kind is LosaError or issubclass(kind, ValueError) != issubclass(kind, RuntimeError)
    assert not issubclass(kind, OSError | LookupError | TypeError) and len(kind.__doc__) > 30


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_survives_the_way_from_a_worker(kind):
    error = kind("some/file.mp4", "is empty") if kind is VideoError else kind("some/file.mp4: is empty")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind and str(again) == str(error) == "some/file.mp4: is empty"
    assert vars(again) == vars(error)
