"""What every browser test gets: one Chromium per file of tests, or a skip that says what is missing."""

import pytest

from helpers.browser import BROWSER, FLAGS, clip


@pytest.fixture(scope="module")
def browser():
    """An open Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    if BROWSER is None:
        pytest.skip("needs Chromium with H.264: apt-get install chromium")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A barcoded clip of 8 s."""
    return clip(tmp_path_factory.mktemp("clip") / "clip.mp4")
