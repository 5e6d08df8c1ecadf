"""Label tracks of Audacity and TextGrids of Praat."""

import pytest

from helpers.annotation_files import write_text
from helpers.annotator_files import CASES, found, same, truth
from losa.annotations.scan import scan
from losa.errors import AnnotationError
from losa.formats.label_tracks import is_audacity
from losa.label_files.sheet import KINDS, Findings
from losa.label_files.source import Reading, open_source


def test_a_label_track():
    assert same(found(CASES / "audacity" / "clip_0000.txt"), truth("clip_0000"))


def test_points_frequencies_and_labels_without_a_name(tmp_path):
    text = "0.5\t0.5\tclick\n1.000000\t2.000000\tjump high\n\\\t100.0\t2000.0\n2,5\t3,5\trun\n4.0\t5.0\t\n6.0\t7.0\n"
    sheet = scan(write_text(tmp_path / "clip.txt", text))
    assert sheet.layout == "Audacity"
    assert [(e.id, e.instances) for e in sheet.entries] == [("clip", [("jump high", 1.0, 2.0), ("run", 2.5, 3.5)])]
    assert sheet.set_aside == {"events are points in time": 1, "instances have no label": 2}


@pytest.mark.parametrize("text", ["", "v\t1.0\t2.0\n", "1.0\t2.0\t3.0\n", "1\tjump\n2\trun\n", "1.0 2.0 jump\n",
                                  "video\tstart\tend\nv\t1\t2\n", "3.0\t2.0\tjump\n", "1.0\t2.0\tjump\ttrain\n"])
def test_other_texts_are_no_label_track(tmp_path, text):
    assert not is_audacity(open_source(write_text(tmp_path / "a.txt", text), Findings(KINDS)))


def test_lines_that_are_none_are_errors_when_it_is_forced(tmp_path):
    path = write_text(tmp_path / "a.txt", "1.0\t2.0\tjump\nrun\n")
    assert scan(path, reading=Reading(format="audacity")).findings["rows cannot be understood"].count == 1


LONG = '''File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 10.5
tiers? <exists>
size = {size}
item []:
    item [1]:
        class = "IntervalTier"
        name = "{name}"
        xmin = 0
        xmax = 10.5
        intervals: size = 4
        intervals [1]:
            xmin = 0
            xmax = 1.5
            text = ""
        intervals [2]:
            xmin = 1.5
            xmax = 2.75
            text = "say ""jump"" ! 3"
        intervals [3]:
            xmin = 2.75
            xmax = 4 ! a comment with 7 in it
            text = " "
        intervals [4]:
            xmin = 4
            xmax = 10.5
            text = "run
fast"
'''
POINTS = '''    item [2]:
        class = "TextTier"
        name = "clicks"
        xmin = 0
        xmax = 10.5
        points: size = 2
        points [1]:
            number = 1.25
            mark = "click"
        points [2]:
            number = 3
            mark = ""
'''
SECOND = '''    item [3]:
        class = "IntervalTier"
        name = "gaze"
        xmin = 0
        xmax = 10.5
        intervals: size = 1
        intervals [1]:
            xmin = 0
            xmax = 10.5
            text = "left"
'''
SHORT = '''File type = "ooTextFile short"
"TextGrid"

0
10.5
<exists>
1
"IntervalTier"
"action"
0
10.5
4
0
1.5
""
1.5
2.75
"say ""jump"" ! 3"
2.75
4
" "
4
1.05e1
"run
fast"
'''
EXPECTED = {"v": [('say "jump" ! 3', 1.5, 2.75), ("run fast", 4.0, 10.5)]}


@pytest.mark.parametrize("text", [LONG.format(size=1, name="action"), SHORT,
                                  SHORT.replace('File type = "ooTextFile short"', '"ooTextFile"')])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_both_forms_in_the_encodings_that_praat_writes(tmp_path, text, encoding):
    assert found(write_text(tmp_path / "v.TextGrid", text, encoding)) == EXPECTED


def test_points_are_set_aside_and_a_tier_is_chosen(tmp_path):
    path = write_text(tmp_path / "v.TextGrid", LONG.format(size=2, name="action") + POINTS)
    sheet = scan(path)
    assert sheet.counts == "4 instances read = 2 kept + 2 set aside (2: events are points in time)"
    path = write_text(tmp_path / "v.TextGrid", LONG.format(size=3, name="action") + POINTS + SECOND)
    with pytest.raises(AnnotationError, match=r"2 tiers have annotations: 'action' \(2\), 'gaze' \(1\)"):
        scan(path)
    assert found(path, Reading(tier="action")) == EXPECTED
    assert found(path, Reading(tier="gaze")) == {"v": [("left", 0.0, 10.5)]}
    assert scan(path, reading=Reading(tier="gaze")).set_aside == {}
    assert scan(path, reading=Reading(tier="clicks")).set_aside == {"events are points in time": 2}


def test_what_is_no_textgrid_or_ends_too_early_is_told(tmp_path):
    path = write_text(tmp_path / "v.TextGrid", 'File type = "ooTextFile"\nObject class = "PitchTier"\n0\n1\n')
    with pytest.raises(AnnotationError, match="is a 'PitchTier' of Praat; expected a TextGrid"):
        scan(path)
    for text in (SHORT[:120], SHORT.replace("\n4\n0", "\n5\n0"), SHORT.replace("\n4\n0", "\n1e9\n0")):
        with pytest.raises(AnnotationError, match="ends too early, or is damaged"):
            scan(write_text(path, text))
    assert found(write_text(path, SHORT.replace("<exists>", "<absent>"))) == {"v": []}
