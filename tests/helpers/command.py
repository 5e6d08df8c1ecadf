"""The `losa` command, run as a user types it."""

import contextlib
import io
import subprocess
import sys
import warnings

import pytest

from losa.cli.main import main


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
