"""Screenshots of every widget and notebook in a real browser: `make pictures`, after `make demo`. To be looked at.

    python tests/browser/pictures.py [--out runs/pictures] [--keep notebooks/pictures] [05_inspect ...]

Widgets as offline pages, light and dark, of the demo's worst test video; notebooks executed in JupyterLab, whole.
--keep: folder for the two pictures of the README.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[i]) for i in (1, 2)]  # tests/ for the helpers, and the repository

from helpers.browser import BROWSER, FLAGS, opened, settled  # noqa: E402
from helpers.lab import Notebook, jupyter  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
HIGH = 15_000  # pixels: a browser's pictures end at 16,384


def widgets(demo: Path) -> tuple[dict[str, list], list]:
    """{name: widgets of one page} of the video with most errors, and those of the README's second picture."""
    from losa.evaluation.diagnose import diagnose
    from losa.inspection.model_internals import features_view, gate_profile, gates_view
    from losa.inspection.run_folder import open_run
    from losa.inspection.timeline_data import frames, timeline_view, video_table
    from widgets.base import link
    from widgets.compare import Compare
    from widgets.diagnosis import Diagnosis
    from widgets.features import Features
    from widgets.gates import Gates
    from widgets.timeline import Timeline

    run, other = open_run(demo / "losa"), open_run(demo / "head_only")
    table = video_table(run)
    video = table.loc[(table.missed + table.wrong).idxmax(), "video"]
    timeline = Timeline(**timeline_view({run.name: run, other.name: other}, video))
    timeline.selected = [run.name, 0]
    gates, features = Gates(**gates_view(run, video, gate_profile(run))), Features(**features_view(run, video))
    link(timeline, gates, features)
    timeline.current_time = timeline.tracks[run.name][0]["segment"][0]
    found = diagnose(run.truth, run.predictions, durations={n: float(v.duration) for n, v in run.videos.items()})
    diagnosis = Diagnosis(found, truth=run.truth, predictions=run.predictions, classes=run.classes, title=run.name,
                          frames=lambda name, times: frames(run.videos[name].path, times))
    compare = Compare(**timeline_view({other.name: other, run.name: run}, video))
    return {"timeline": [timeline], "gates": [gates], "features": [features], "diagnosis": [diagnosis],
            "compare": [compare], "timeline_gates": [timeline, gates]}


def main() -> None:
    from playwright.sync_api import sync_playwright

    from widgets import share

    wanted = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    wanted.add_argument("notebooks", nargs="*", help="default: all but the long ones, 02, 03 and 03b")
    wanted.add_argument("--out", type=Path, default=ROOT / "runs" / "pictures")
    wanted.add_argument("--demo", type=Path, default=ROOT / "runs" / "demo")
    wanted.add_argument("--keep", type=Path, help="folder for the pictures of the README")
    given = wanted.parse_args()
    if BROWSER is None or not (given.demo / "losa" / "result.json").is_file():
        sys.exit(f"needs Chromium (apt-get install chromium) and a finished demo at {given.demo} (make demo)")
    given.out.mkdir(parents=True, exist_ok=True)
    every = [path.stem for path in sorted((ROOT / "notebooks").glob("*.ipynb")) if path.stem[:2] not in ("02", "03")]
    with sync_playwright() as started, tempfile.TemporaryDirectory() as folder:
        browser = started.chromium.launch(executable_path=BROWSER, args=FLAGS)
        for name, views in widgets(given.demo).items():
            file = share.page(Path(folder) / f"{name}.html", *views)
            for scheme in ("light", "dark"):
                with opened(browser, file, scheme=scheme, size=(1100, 800)) as page:
                    page.wait_for_function("() => [...document.querySelectorAll('video')].every(v => v.readyState > 1)")
                    if name == "diagnosis":
                        page.locator("button").nth(1).click()
                    settled(page)
                    page.screenshot(path=given.out / f"{name}_{scheme}.png", full_page=True)
            print(given.out / f"{name}_light.png")
        with opened(browser, given.demo / "index.html", size=(1000, 1430)) as page:
            page.wait_for_function("() => [...document.querySelectorAll('video')].some(v => v.readyState > 1)")
            page.screenshot(path=given.out / "demo_page.png")
        with jupyter(ROOT, Path(folder) / "home") as url:
            for name in given.notebooks or every:
                copy = shutil.copy(ROOT / "notebooks" / f"{name}.ipynb", ROOT / "runs" / f"{name}_picture.ipynb")
                try:
                    book = Notebook(browser, url, f"runs/{Path(copy).name}")
                    book.page.set_viewport_size({"width": 1280, "height": HIGH})
                    book.run_all(timeout_s=1800)  # 04 trains: minutes, more on a busy machine
                    book.page.wait_for_timeout(3000)
                    book.page.screenshot(path=given.out / f"{name}.png")
                    print(given.out / f"{name}.png", *book.problems, sep="\n  ")
                    book.close()
                finally:
                    Path(copy).unlink()
        browser.close()
    if given.keep:
        for name in ("timeline_gates", "diagnosis"):
            shutil.copy(given.out / f"{name}_light.png", given.keep / f"inspect_{name}.png")
        shutil.copy(given.out / "demo_page.png", given.keep)


if __name__ == "__main__":
    main()
