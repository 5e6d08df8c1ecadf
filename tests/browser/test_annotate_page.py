"""Labelling in a real browser: by keys, by the mouse, without a kernel; what is saved is what was meant."""

import json
from statistics import median

import pytest

from helpers.browser import exchange, opened, picture, settled, shown, trait
from losa.annotations.dataset import load_annotations
from losa.inspection.annotate import annotate

FPS, DURATION = 25, 8.0
FRAME = 1 / FPS
WANTED = [("jump", 10, 22), ("wave", 25, 40), ("wave", 44, 50), ("throw", 50, 63), ("jump", 70, 82), ("wave", 90, 95),
          ("throw", 100, 125), ("jump", 130, 144), ("jump", 150, 157), ("throw", 170, 199)]  # label, first, last frame
TRUTH = [{"segment": [1.0, 2.0], "label": "jump"}, {"segment": [3.0, 5.0], "label": "wave"}]
FOUND = [{"segment": [1.04, 2.0], "label": "jump", "score": 0.9},
         {"segment": [6.03, 7.011], "label": "wave", "score": 0.8}]


@pytest.fixture
def copy(video, tmp_path):
    """The clip in a folder of its own."""
    place = tmp_path / "clip.mp4"
    place.write_bytes(video.read_bytes())
    return place


@pytest.fixture
def view(copy):
    return annotate(copy, classes=["jump", "wave", "throw"])


@pytest.fixture
def judged(copy):
    return annotate(copy, labels=TRUTH, predictions={"run": FOUND})


def ready(page):
    page.wait_for_function("() => document.querySelector('video').readyState >= 2")
    page.locator(".lanes").focus()
    return page


def press(page, *names):
    for name in names:
        page.keyboard.press(name)


def note(page):
    return page.locator(".note").inner_text()


def count(page):
    settled(page)
    return page.locator(".count").inner_text()


def records(page):
    return [(r["label"], *r["segment"]) for r in trait(page, "records")]


def to_frame(page, number):
    page.evaluate("time => losaModels[0].set('current_time', time)", number / FPS)


def x_of(page, time):
    box = page.locator(".lanes canvas").bounding_box()
    return box["x"] + box["width"] * time / DURATION


def y_of(page, lane=0):
    return page.locator(".lanes canvas").bounding_box()["y"] + 17 + 9 + lane * 39


def drag(page, start, end, lane=0, alt=False):
    """From a time to another on a lane."""
    page.mouse.move(x_of(page, start), y_of(page, lane))
    page.mouse.down()
    if alt:
        page.keyboard.down("Alt")
    page.mouse.move(x_of(page, end), y_of(page, lane), steps=4)
    page.mouse.up()
    if alt:
        page.keyboard.up("Alt")
    settled(page)


def is_as_meant(found, wanted=WANTED):
    """Whether the labels are these, to half a frame."""
    got = sorted(found, key=lambda row: row[1])
    assert [row[0] for row in got] == [row[0] for row in wanted]
    for (_, *times), (_, first, last) in zip(got, wanted, strict=True):
        assert times == pytest.approx([first / FPS, last / FPS], abs=FRAME / 2)


def saved_by(page, view):
    """Presses Save, lets Python answer, and returns what load_annotations reads from the new file."""
    page.get_by_role("button", name="Save").click()
    exchange(page, view)
    path = note(page).removeprefix("Saved as ")
    data = load_annotations(path)
    (one,) = data.videos
    assert count(page) == "no unsaved changes"
    return [(r["label"], *r["segment"]) for r in one.records(data.classes)]


def test_ten_by_keys_only_four_each(browser, tmp_path, view):
    with shown(browser, tmp_path, view, size=(1280, 800)) as page:
        ready(page)
        at = 0
        for label, first, last in WANTED:
            for key, frame in (("i", first), ("o", last)):
                seconds, frames = divmod(frame - at, FPS)
                press(page, *["ArrowRight"] * seconds, *["."] * frames, key)
                at = frame
            press(page, str(["jump", "wave", "throw"].index(label) + 1))
        assert count(page) == "● 10 unsaved changes"
        assert len(trait(page, "changes")) <= 20 and all(c["by"] == "key" for c in trait(page, "changes"))
        is_as_meant(records(page))
        picture(page, "annotate")
        exchange(page, view)
        is_as_meant(saved_by(page, view))
    assert view.unsaved == 0


def test_ten_by_mouse(browser, tmp_path, view):
    with shown(browser, tmp_path, view, size=(1280, 800)) as page:
        ready(page)
        ends = {last for _, _, last in WANTED}
        for label, first, last in WANTED:
            beside = 5 * DURATION / page.locator(".lanes canvas").bounding_box()["width"] * (first in ends)
            drag(page, first / FPS + beside, last / FPS)  # 5 pixels off an edge that is there it finds its border
            page.get_by_label("Class", exact=True).select_option(label)
        is_as_meant(records(page))
        exchange(page, view)
        is_as_meant(saved_by(page, view))
        log = json.loads(next(tmp_path.glob("*.changes.jsonl")).read_text().splitlines()[0])
        assert (log["what"], log["video"], log["by"]) == ("create", "clip", "mouse") and log["presses"] >= 1


def test_edges_and_segments_are_dragged_to_frames_neighbours_or_freely(browser, tmp_path, judged):
    with shown(browser, tmp_path, judged) as page:
        ready(page)
        drag(page, 2.0, 2.51)
        assert records(page)[0] == ("jump", 1.0, pytest.approx(2.52, abs=FRAME / 2 + 1e-9))
        assert records(page)[0][2] * FPS == pytest.approx(round(records(page)[0][2] * FPS))
        drag(page, records(page)[0][2], 2.98)  # a few pixels before the next one
        assert records(page)[0] == ("jump", 1.0, 3.0)
        press(page, "Control+z", "Control+z")
        assert records(page)[0] == ("jump", 1.0, 2.0)
        drag(page, 2.0, 2.513, alt=True)
        assert records(page)[0][2] == pytest.approx(2.513, abs=0.01) and records(page)[0][2] not in (2.52, 2.48)
        drag(page, 4.0, 5.5)
        assert records(page)[1] == ("wave", pytest.approx(4.5, abs=FRAME), pytest.approx(6.5, abs=FRAME))
        drag(page, 1.5, -3)
        assert records(page)[0][1] == 0 and trait(page, "selected") == ["labels", 0]
        assert [c["what"] for c in trait(page, "changes")] == ["move_edge", "move", "move"]


def test_split_merge_relabel_delete_undo_redo_by_keys_and_buttons(browser, tmp_path, judged):
    with shown(browser, tmp_path, judged) as page:
        ready(page)
        tool = lambda name: page.get_by_role("button", name=name, exact=True)  # noqa: E731
        press(page, "n", "n", "ArrowRight", "s")
        assert records(page)[1:] == [("wave", 3.0, 4.0), ("wave", 4.0, 5.0)]
        press(page, "1", "Delete")
        assert records(page) == [("jump", 1.0, 2.0), ("wave", 3.0, 4.0)] and trait(page, "selected") is None
        for _ in range(3):
            tool("undo").click()
        assert records(page) == [("jump", 1.0, 2.0), ("wave", 3.0, 5.0)] and count(page) == "no unsaved changes"
        assert tool("undo").get_attribute("aria-disabled") == "true"
        press(page, "Control+Shift+z")
        page.evaluate("() => losaModels[0].set('selected', ['labels', 1])")
        tool("merge").click()
        assert records(page) == [("jump", 1.0, 2.0), ("wave", 3.0, 5.0)]
        assert page.evaluate("() => document.activeElement.className") == "lanes", "keys go on working after a click"
        press(page, "Escape", "s")
        assert note(page).startswith("Select a segment of the first lane")
        press(page, "p", "Home", "]")
        assert note(page) == "The playhead is on its other side."


def test_a_new_class_is_typed_and_the_keys_stay_in_the_field(browser, tmp_path, judged):
    with shown(browser, tmp_path, judged) as page:
        ready(page)
        press(page, "n")
        field = page.get_by_label("New class")
        field.click()
        page.keyboard.type("sit i o 1")
        assert records(page)[0][0] == "jump"
        press(page, "Enter")
        assert records(page)[0][0] == "sit i o 1" and trait(page, "shown_classes")[-1] == "sit i o 1"
        assert page.evaluate("() => document.activeElement.className") == "lanes"
        press(page, "9")
        assert note(page).startswith("There are 3 classes")
        exchange(page, judged)
        saved_by(page, judged)
        assert load_annotations(tmp_path / "clip_labels.json").classes == ("jump", "wave", "sit i o 1")


def test_a_prediction_is_accepted_and_judged_anew(browser, tmp_path, judged):
    with shown(browser, tmp_path, judged) as page:
        ready(page)
        press(page, "ArrowDown", "n", "n")
        assert trait(page, "selected") == ["run", 1]
        picture(page, "annotate_accept")
        press(page, "a")
        assert records(page)[-1] == ("wave", 6.03, 7.011) and trait(page, "selected") == ["run", 1]
        exchange(page, judged)
        assert [r["verdict"] for r in judged.tracks["run"]] == ["true positive", "true positive"]
        assert trait(page, "tracks")["run"][1]["verdict"] == "true positive"
        change = trait(page, "changes")[-1]
        assert (change["what"], change["from"], change["before"]) == ("accept", "run", [])
        press(page, "ArrowUp", "a")
        assert note(page).startswith("Select a prediction first") and len(records(page)) == 3


def test_without_python_save_says_so(browser, tmp_path, judged):
    with shown(browser, tmp_path, judged) as page:
        ready(page)
        press(page, "n", "Delete")
        page.get_by_role("button", name="Save").click()
        page.wait_for_function("() => document.querySelector('.note').textContent.includes('use Download')")
        assert count(page) == "● 1 unsaved change"


def test_a_page_alone_labels_and_downloads_the_same_as_python_saves(browser, tmp_path, judged):
    judged.edit("relabel", id=1, label="wave")  # before the page is written
    file = judged.to_html(tmp_path / "alone.html")
    with opened(browser, file, size=(1280, 800)) as page:
        ready(page)
        assert page.get_by_role("button", name="Save").is_hidden() and count(page) == "● 1 unsaved change"
        press(page, "n", "n", "Delete")
        settled(page)
        assert "hatched" not in page.locator(".legend").inner_text(), "nobody judges predictions anew"
        files = []
        page.on("download", lambda one: files.append(one))
        page.get_by_role("button", name="Download").click()
        page.wait_for_function("() => document.querySelector('.note').textContent.startsWith('Downloaded')")
        for _ in range(50):
            if len(files) == 2:
                break
            page.wait_for_timeout(100)
        texts = {one.suggested_filename: one.path().read_text() for one in files}
        assert count(page) == "no unsaved changes"
    judged.edit("delete", id=2)
    made = judged.save()
    assert json.loads(texts["clip_edited.json"]) == json.loads(made.read_text())
    lines = [json.loads(line) for line in texts["clip_edited.json.changes.jsonl"].splitlines()]
    assert [(c["what"], c["by"]) for c in lines] == [("relabel", "python"), ("delete", "key")]
    beside = tmp_path / "downloaded.json"
    beside.write_text(texts["clip_edited.json"])
    data = load_annotations(beside)
    assert data.videos[0].records(data.classes) == [{"segment": [1.0, 2.0], "label": "wave"}]


def test_a_video_alone_shows_no_scores_and_a_segment_of_a_few_pixels_its_colour(browser, tmp_path, copy):
    with shown(browser, tmp_path, annotate(copy, labels=[{"segment": [4.0, 4.04], "label": "jump"}])) as page:
        ready(page)
        press(page, "n")
        settled(page)
        text = page.locator(".losa").inner_text()
        assert "labels: jump, 4.00 s – 4.04 s." in text
        assert "score" not in text and "next error" not in text
        middle = page.evaluate("""() => { const c = document.querySelector('.lanes canvas');
            const high = c.height / c.clientHeight;
            const data = c.getContext('2d').getImageData(c.width * 4.02 / 8, 25 * high, 1, 1).data;
            return '#' + [...data.slice(0, 3)].map((part) => part.toString(16).padStart(2, '0')).join(''); }""")
        assert middle == trait(page, "colours")["jump"], "its handles are beside it"


def test_two_thousand_segments_answer_a_key_in_a_tenth_of_a_second(browser, tmp_path, copy):
    many = [{"segment": [i * 0.004, i * 0.004 + 0.003], "label": "ab"[i % 2]} for i in range(2000)]
    with shown(browser, tmp_path, annotate(copy, labels=many)) as page:
        ready(page)
        press(page, "n")
        settled(page)
        times = page.evaluate("""async () => { const times = [], pane = document.querySelector('.lanes');
            for (const key of ['1', '2', '1', '2', '1', '2', '1']) { const from = performance.now();
              pane.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
              await new Promise((f) => requestAnimationFrame(() => setTimeout(() => f())));
              times.push(performance.now() - from); } return times; }""")
        assert len(trait(page, "changes")) >= 6
        assert median(times) < 100, times
