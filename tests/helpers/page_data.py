"""A made-up demo result and videos for the page's tests, with and without a browser."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

HOSTILE = '<img src=x onerror="document.title=1">"\'</script><b>&amp;'
CLASSES = ("jump", "wave", HOSTILE)


def result() -> dict:
    """A result as `losa.workflows.demo.demo` returns it."""
    per_class = {c: [0.5, 0.3] for c in CLASSES}
    return {"head_only": {"average_map": 0.4, "map": [0.5, 0.3], "per_class": per_class},
            "losa": {"average_map": 0.4625, "map": [0.55, 0.375], "per_class": per_class}, "tiou": [0.3, 0.5],
            "seconds": {"world": 20.0, "head_only_train": 40.0, "losa_train": 130.0}, "peak_memory_mb": 1234.5,
            "trainable_parameters": {"head_only": 1000, "losa": 23456}, "seed": 3, "preset": "gap",
            "num_videos": {"train": 6, "val": 3, "test": 5}}


def video(path: Path, name: str = "test_0", duration: float = 12.0) -> dict:
    """One video with a truth of three segments and two tracks of predictions, one right each."""
    truth = [{"segment": [1.0, 3.0], "label": "jump"}, {"segment": [5.0, 9.0], "label": "wave"},
             {"segment": [10.0, 11.5], "label": HOSTILE}]
    head = [{"segment": [5.2, 9.1], "label": "wave", "score": 0.9},
            {"segment": [1.0, 3.0], "label": "wave", "score": 0.2},
            {"segment": [1.1, 2.9], "label": "jump", "score": 0.01}]
    losa = [{"segment": [1.0, 3.1], "label": "jump", "score": 0.6},
            {"segment": [6.0, 7.0], "label": HOSTILE, "score": 0.5}]
    return {"id": name, "path": path, "duration": duration,
            "tracks": {"truth": truth, "head only": head, "LoSA": losa}}


def own_video(path: Path, name: str = "mine", duration: float = 120.0) -> dict:
    """One of one's own videos, with three segments."""
    records = [{"segment": [1.0, 3.0], "label": "jump", "score": 0.9},
               {"segment": [40.0, 100.0], "label": HOSTILE, "score": 0.5},
               {"segment": [65.0, 67.0], "label": "jump", "score": 0.2}]
    return {"id": name, "path": path, "duration": duration, "records": records}


class Tree(HTMLParser):
    """Elements of a page: (tag, attributes, text inside, opened within another tag)."""

    def __init__(self, page: str):
        super().__init__()
        self.elements, self.open = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append([tag, dict(attrs), ""])
        if tag not in ("meta", "link", "input"):
            self.open.append(len(self.elements) - 1)

    def handle_endtag(self, tag):
        assert self.elements[self.open[-1]][0] == tag, f"</{tag}> closes {self.elements[self.open[-1]]}"
        self.open.pop()

    def handle_data(self, data):
        for i in self.open:
            self.elements[i][2] += data

    def of(self, css_class: str) -> list[tuple[dict, str]]:
        return [(a, text) for _, a, text in self.elements if css_class in a.get("class", "").split()]


def page_states(page: str) -> list[dict]:
    """The traits of each widget of a page, by the number of its place."""
    data = json.loads(re.search(r'id="losa-states">(.*?)</script>', page, re.S)[1])
    return [data["shared"] | widget["state"] for widget in data["widgets"]]


def page_records(page: str) -> list[dict]:
    """The segments on the timelines of a page, one after the other, each with the name of its lane."""
    return [{**record, "lane": lane} for state in page_states(page) for lane in state["lanes"]
            for record in state["tracks"][lane]]
