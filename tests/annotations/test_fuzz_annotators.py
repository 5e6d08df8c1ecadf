"""Whatever is in a file of an annotation tool, reading it ends in a sheet or in one AnnotationError."""

import copy
import json
import os
import random
from xml.etree import ElementTree

import pytest

from helpers.annotator_files import CASES, labelled, survives, truth
from losa.formats.boris import write_boris
from losa.formats.cues import srt, vtt
from losa.formats.elan import write_elan
from losa.label_files.source import Reading

ROUNDS = int(os.environ.get("LOSA_FUZZ", 60))
ODD = [None, True, 0, -1, 1e308, 10**400, float("nan"), float("inf"), "", " ", "1:23.5", "12,5", "NaN", "x", "../x",
       "/x", "a\x00b", "\ud800", "é" * 300, [], {}, [[]], [1], {"a": 1}, "9" * 400, -3.5, "START"]  # fmt: skip
TEXTS = ["", " ", "x", "1e999", "-1", "nan", "9" * 400, "../x", "a\tb", '"', "\\", "1,5", "00:00:61.0", "<i>", "-->",
         "1\t2\tx", "START", "POINT", "NA", "<exists>", "é", "\ufeff", "1.0", "player #1:a;b"]  # fmt: skip
EAF = write_elan(labelled({"v": [("a", 0.0, 4.0), ("b", 1.0, 2.0)]}))["v.eaf"]
BORIS = json.loads(write_boris(labelled(truth(), duration=60.0, fps=12.0))["losa.boris"])
RECORDS = [{"label": "a", "segment": [0, 2], "score": 0.5}, {"label": "b", "segment": [1, 3], "score": 0.25}]
ELAN_TEXT = "".join(f"action\t\t{a:.3f}\t{b:.3f}\t{b - a:.3f}\t{label}\n" for label, a, b in truth("clip_0000")
                    ["clip_0000"])  # fmt: skip
TABULAR = ("Observation id\tSource\tMedia duration (s)\tTime offset (s)\tSubject\tBehavior\tBehavior type\tTime\n"
           "o\tplayer #1:a;b\t5;6\t1\t\tjump\tSTART\t2\no\tplayer #1:a;b\t5;6\t1\t\tjump\tSTOP\t3\n")
TEXTGRID = ('File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n4\n<exists>\n2\n"IntervalTier"\n"a"\n0\n4\n'
            '2\n0\n1\n""\n1\n4\n"run"\n"TextTier"\n"p"\n0\n4\n1\n2\n"x"\n')
HEADER = "Tier\tParticipant\tBegin Time - ss.msec\tEnd Time - ss.msec\tDuration - ss.msec\tAnnotation\n"
ASS = "[Script Info]\n[Events]\nFormat: Start, End, Text\nDialogue: 0:00:01.5,0:00:02.0,{\\b1}run\\Nsit\n"
FILES = {
    "v.txt": ELAN_TEXT, "w.txt": HEADER + ELAN_TEXT, "t.tsv": TABULAR, "v.srt": srt(RECORDS), "v.vtt": vtt(RECORDS),
    "v.ass": ASS, "v.TextGrid": TEXTGRID, "a.txt": (CASES / "audacity" / "clip_0000.txt").read_text(),
    "b.tsv": (CASES / "boris_aggregated" / "boris.tsv").read_text(), "v.eaf": EAF,
}  # fmt: skip


def nodes(value, above=None, key=None):
    """Every (container, key) of a JSON value."""
    if above is not None:
        yield above, key
    for name, inner in list(value.items() if isinstance(value, dict) else enumerate(value)
                            if isinstance(value, list) else []):
        yield from nodes(inner, value, name)


def test_projects_with_odd_values(tmp_path):
    rng, path = random.Random(1), tmp_path / "a.boris"
    for _ in range(ROUNDS):
        content = copy.deepcopy(BORIS)
        for _ in range(rng.randint(1, 3)):
            above, key = rng.choice(list(nodes(content)))
            if rng.random() < 0.3 and isinstance(above, dict):
                above.pop(key, None)
            else:
                above[key] = rng.choice(ODD)
        path.write_text(json.dumps(content))
        survives(path)


def test_xml_with_odd_attributes(tmp_path):
    rng, path = random.Random(2), tmp_path / "v.eaf"
    for _ in range(ROUNDS):
        root = ElementTree.fromstring(EAF.encode())
        for _ in range(rng.randint(1, 3)):
            element = rng.choice(list(root.iter()))
            choice = rng.random()
            if choice < 0.2:
                for child in list(element)[:rng.randint(1, 3)]:
                    element.remove(child)
            elif choice < 0.3:
                element.tag = rng.choice(["REF_ANNOTATION", "TIER", "x", "MEDIA_DESCRIPTOR"])
            elif element.attrib:
                name = rng.choice(sorted(element.attrib))
                element.set(rng.choice([name, "ANNOTATION_REF", "TIME_ORIGIN"]), rng.choice(TEXTS))
            else:
                element.text = rng.choice(TEXTS)
        path.write_bytes(ElementTree.tostring(root))
        survives(path)


@pytest.mark.parametrize("name", FILES)
def test_texts_with_odd_cells_and_lines(tmp_path, name):
    rng, path = random.Random(name), tmp_path / name
    for _ in range(max(ROUNDS // 4, 10)):
        lines = FILES[name].split("\n")
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(lines))
            cells = lines[at].split("\t")
            choice = rng.random()
            if choice < 0.6:
                cells[rng.randrange(len(cells))] = rng.choice(TEXTS)
                lines[at] = "\t".join(cells)
            elif choice < 0.8 and len(lines) > 1:
                del lines[at]
            else:
                lines.insert(at, rng.choice(lines + TEXTS))
        path.write_bytes("\n".join(lines)[:rng.choice([None, None, rng.randrange(1, 400)])].encode())
        survives(path)


FORCED = ("boris", "boris-tabular", "boris-aggregated", "elan", "elan-text", "srt", "webvtt", "ass", "audacity",
          "textgrid")  # fmt: skip


@pytest.mark.parametrize("name", FORCED)
def test_a_format_that_is_forced_on_the_files_of_others(tmp_path, name):
    others = FILES | {"a.boris": json.dumps(BORIS), "a.json": "[1, 2]", "a.xml": "<a/>", "empty.txt": ""}
    for file, text in others.items():
        (tmp_path / file).write_text(text)
        survives(tmp_path / file, Reading(format=name))
    survives(tmp_path, Reading(format=name))
