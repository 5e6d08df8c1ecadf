"""Every widget for everyone: names, focus rings and contrast in light and dark, and texts from files as text."""

import numpy as np
import pytest

from helpers.browser import HOSTILE, LABELS, settled, shown, tracks
from losa.evaluation.diagnose import diagnose
from widgets.compare import Compare
from widgets.diagnosis import Diagnosis
from widgets.features import Features
from widgets.gates import Gates
from widgets.segments import Segments
from widgets.timeline import Timeline

# Of every shown text whose contrast with what is behind it is below 4.5, and of every element that takes the focus but
# has no ring of contrast 3 around it or lets shortcuts through: what it is.
FAULTS = r"""() => {
  const light = (c) => c.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const contrast = (...two) => { const [x, y] = two.map(light).sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  const parsed = (text) => { const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number); return [[r, g, b], a]; };
  const over = ([colour, alpha], under) => colour.map((v, i) => v * alpha + under[i] * (1 - alpha));
  const path = (e) => (e ? [...path(e.parentElement), e] : []), style = (e) => getComputedStyle(e);
  const behind = (e) => path(e).reduce((under, n) => over(parsed(style(n).backgroundColor), under), [255, 255, 255]);
  const found = [], texts = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement, [ink, alpha] = parsed(style(e).color);
    if (!texts.currentNode.data.trim() || !e.checkVisibility() || e.closest(".hidden, option, :disabled")) continue;
    const faint = path(e).reduce((all, n) => all * style(n).opacity, alpha);
    const reached = contrast(over([ink, faint], behind(e)), behind(e));
    if (reached < 4.5) found.push(`${path(e).at(-2).outerHTML.slice(0, 90)}: contrast ${reached.toFixed(2)}`);
  }
  for (const e of document.querySelectorAll("button, select, input, video, [tabindex='0']")) {
    if (!e.checkVisibility() || e.disabled) continue;
    e.focus({ focusVisible: true, preventScroll: true });
    const ring = style(e), seen = contrast(parsed(ring.outlineColor)[0], behind(e.parentElement));
    if (ring.outlineStyle === "none" || parseFloat(ring.outlineWidth) < 2 || seen < 3) found.push(
      `${e.outerHTML.slice(0, 90)}: ring ${ring.outline}, ${seen.toFixed(2)}`);
    if (!e.dataset.lmSuppressShortcuts) found.push(`${e.outerHTML.slice(0, 90)}: lets shortcuts through`);
  }
  return found; }"""


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    """All widgets on one page, what opens is open, every text that comes from a file is hostile."""
    labels = (*LABELS, *(f"{HOSTILE} {i}" for i in range(4)))
    given, table = tracks(24, 3, labels=labels), {label: [0.5] * 101 for label in labels}
    given = {f"{name}{HOSTILE}": records for name, records in given.items()}
    rows = {"thresholds": [i / 100 for i in range(101)], "average": table}
    more = dict(duration=60.0, fps=25, title=HOSTILE, video_id=HOSTILE)
    ap = {name: {"video": rows, "data": rows} for name in [*given][1:]}
    timeline = Timeline(HOSTILE, given, ap=ap, rescore={[*given][1]: lambda *a, **k: {}}, **more)
    timeline.shown_classes = timeline.classes[1:]
    truth, found = ({HOSTILE: records} for records in [*given.values()][:2])
    steps, times = np.linspace(0, 1, len(labels)), np.arange(30) * 2 + 1.0
    profile = {"classes": labels, "lengths": [HOSTILE], "background": dict.fromkeys(("gate", "contribution"))} | {
        f"by_{by}": {kind: steps[:size, None, None] * np.ones((1, 2)) for kind in ("gate", "contribution")}
        for by, size in (("class", len(labels)), ("length", 1))}
    gates = Gates(np.ones((1, 2, 30)), np.ones((1, 2, 30)), times, layers=[HOSTILE], ranges=["short", HOSTILE],
                  duration=60.0, static=True, title=HOSTILE, profile=profile)
    tap = {"name": HOSTILE, "similarity": np.eye(30), "xy": np.random.rand(30, 2), "explained": [0.5, 0.2]}
    features = Features([tap], times, [labels[i % 5] for i in range(30)], duration=60.0, classes=labels, title=HOSTILE)
    diagnosis = Diagnosis(diagnose(truth, found, durations={HOSTILE: 60.0}), truth=truth, predictions=found,
                          classes=labels, title=HOSTILE)
    columns = {"video": [HOSTILE], "kind": ["prediction"], "index": [0], "start": [1.0], "end": [2.0],
               "predicted": [labels[0]], "really": [HOSTILE], "score": [0.5], "error": ["confusion"]}
    segments = Segments(columns, classes=labels, title=HOSTILE, taps=[HOSTILE])
    for view in (diagnosis, segments):
        view.let_tag(["ambiguous", HOSTILE], print, {(HOSTILE, "prediction", 0): (HOSTILE, HOSTILE)})
    views = timeline, Compare(None, given, ap=ap, **more), gates, features, diagnosis, segments
    with shown(browser, tmp_path_factory.mktemp("access"), *views) as page:
        page.locator("button.bar").nth(1).click()
        page.locator("button.line").first.click()
        page.locator(".timeline button[aria-label=Keys]").first.click()
        settled(page)
        yield page


@pytest.mark.parametrize("theme", ["light", "dark", "JupyterLab Dark"])
def test_texts_and_focus_rings_are_seen(page, theme):
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    page.evaluate("""lab => { document.body.classList.toggle('losa-page', !lab);
        document.body.dataset.jpThemeLight = String(!lab); }""", theme == "JupyterLab Dark")
    settled(page)
    back = page.locator(".losa").first.evaluate("e => getComputedStyle(e).backgroundColor")
    assert back == ("rgb(255, 255, 255)" if theme == "light" else "rgb(21, 24, 29)")
    assert page.evaluate(FAULTS) == []


def test_all_that_takes_the_focus_has_a_name_and_changes_are_announced(page):
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    nodes = [{"role": n["role"]["value"], "name": n.get("name", {}).get("value", "")} for n in tree if any(
        p["name"] == "focusable" and p["value"]["value"] for p in n.get("properties", ()))]
    assert {"slider", "button", "combobox", "listbox", "application", "region"} <= {node["role"] for node in nodes}
    assert [node for node in nodes if not node["name"].strip()] == []
    assert page.locator(".losa").count() == page.locator(".losa:has([aria-live=polite])").count() == 6


def test_texts_from_files_are_texts_and_nothing_moves_by_itself(page):
    assert page.locator("main").inner_text().count(HOSTILE) > 20
    assert page.locator("img, main b, main script").count() == 0
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate("() => document.getAnimations().length") == 0
