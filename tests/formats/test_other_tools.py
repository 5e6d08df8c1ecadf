"""Files of tools that are not read: named, with what to give instead; and what is read after what a message says."""

import gzip
import json
import re
import shlex

import pytest

from helpers.annotation_files import write_text as write
from losa.annotations.check import check
from losa.annotations.scan import read_layout, scan
from losa.cli.options import parse_columns
from losa.errors import AnnotationError
from losa.formats.other_tools import JSON, TABLES, TEXTS, XML, name_tool
from losa.label_files.sheet import KINDS, Findings
from losa.label_files.source import Reading, open_source

INSTANCES = [("throw", 1.25, 2.5), ("jump", 8.75, 9.5)]
CLOCKS = [("00:00:01.250", "00:00:02.500"), ("00:00:08.750", "00:00:09.500")]
FLAGS = ",background,throw,jump\n" + "".join(f"{i},{int(i > 9)},{int(i <= 9)},0\n" for i in range(20))
FILES = {
    "clip.anvil": ("Anvil", '<annotation><head/><body><track name="act"><el start="1.25" end="2.5"/></track></body>'
                   "</annotation>"),
    "clip.annotation": ("NOVA", '<annotation ssi-v="3"><scheme name="act" type="DISCRETE"/></annotation>'),
    "voc.xml": ("Pascal VOC", "<annotation><object><name>cat</name></object></annotation>"),
    "game.xml": ("Sportscode", "<file><ALL_INSTANCES><instance><start>1.25</start></instance></ALL_INSTANCES></file>"),
    "clip.kva": ("Kinovea", "<KinoveaVideoAnalysis/>"),
    "clip.ttml": ("TTML", '<tt xmlns="http://www.w3.org/ns/ttml"><body/></tt>'),
    "clip.odx": ("The Observer XT", "<OBS/>"),
    "budget.tsv": ("BORIS", "Observation id\tSubject\tBehavior\tModifiers\tTotal number of occurences\tTotal duration "
                   "(s)\tDuration mean (s)\nobs\t\tjump\t\t3\t4.2\t1.4\n"),
    "boris.sds": ("SDIS", "% SDIS file created by BORIS (www.boris.unito.it)\nTimed <seconds>;\njump,1.25-2.5/\n"),
    "strings.txt": ("BORIS", "# observation id: obs 1\n# Media file name: clip.mp4\n\nNo focal subject:\nthrow|jump\n"),
    "solomon.csv": ("Solomon Coder", "Solomon Coder;beta 19.08.02\ntime;behaviour\n0.00;\n0.20;throw\n"),
    "bento.annot": ("Bento", "Bento annotation file\nMovie file(s): clip.mp4\n\n>throw\n"
                    "Start\tStop\tDuration\n14\t28\t1\n"),
    "datavyu.csv": ("Datavyu", "#4\naction (MATRIX,true,)-code01|NOMINAL\n00:00:01:250,00:00:02:500,(throw)\n"),
    "flags.csv": ("DeepEthogram", FLAGS),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_tool_is_named_with_what_to_give_instead(tmp_path, name):
    tool, text = FILES[name]
    with pytest.raises(AnnotationError, match=rf"{name}: is a file of {tool}.*: .+\. \w+"):
        read_layout(write(tmp_path / name, text))


@pytest.mark.parametrize("keys, tool", JSON, ids=lambda value: value.name if hasattr(value, "name") else "")
@pytest.mark.parametrize("several", [False, True])
def test_json_of_another_tool_is_named_by_its_keys(tmp_path, keys, tool, several):
    content = dict.fromkeys(sorted(keys), [{"some": [1]}])
    path = write(tmp_path / "export.json", json.dumps([content] if several else content))
    with pytest.raises(AnnotationError, match=f"export.json: is a file of {re.escape(tool.name)}: "):
        scan(path)


def test_a_folder_of_such_files_says_it_too(tmp_path):
    write(tmp_path / "clip.mp4.json", json.dumps({"tags": [], "objects": [], "framesCount": 541, "frames": []}))
    with pytest.raises(AnnotationError, match=r"clip.mp4.json: is a file of Supervisely: .*--times frames"):
        scan(tmp_path)


def test_a_folder_without_label_files_says_what_is_there(tmp_path):
    write(tmp_path / "clip.anvil", FILES["clip.anvil"][1])
    with pytest.raises(AnnotationError, match=r"0 text files \(and clip.anvil: give such a file by itself\)"):
        scan(tmp_path)


def test_projects_that_are_no_text_are_named(tmp_path):
    for name, content, words in (("p.boris.gz", gzip.compress(b"{}"), "gunzip -k FILE"),
                                 ("p.mx22", b"SQLite format 3\0", "MAXQDA"), ("p.opf", b"PK\3\4", "--times ms"),
                                 ("p.xlsx", b"PK\3\4", "spreadsheet")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(AnnotationError, match=words):
            scan(tmp_path / name)


def test_json5_of_losslesscut_is_named(tmp_path):
    path = write(tmp_path / "clip.llc", "{\n  version: 1,\n  cutSegments: [{start: 1.25, name: 'throw'}],\n}\n")
    with pytest.raises(AnnotationError, match="LosslessCut.*--columns start=1,end=2,label=3"):
        scan(path)


# --- what a message says to type reads the file ----------------------------------------------------------------------

TYPED = {
    "maxqda": "Color;Document name;Code;Beginning;End;Segment\n" + "".join(
        f"x;clip;{label};{start};{end};\n" for (label, *_), (start, end) in zip(INSTANCES, CLOCKS, strict=True)),
    "observer": "Time_Relative_hmsf;Time_Relative_sf;Duration_sf;Observation;Behavior;Event_Type\n" + "".join(
        f"x;{start};{end - start};clip;{label};State start\n" for label, start, end in INSTANCES),
    "premiere": "Marker Name\tDescription\tIn\tOut\tDuration\tMarker Type\n" + "".join(
        f"{label}\t\t{start}\t{end}\tx\tx\n" for (label, *_), (start, end) in zip(INSTANCES, CLOCKS, strict=True)),
    "dartfish": "Name;Position;Duration;Player\n" + "".join(
        f"{label};{start};{end - start};A\n" for label, start, end in INSTANCES),
    "datavyu": "action.ordinal,action.onset,action.offset,action.code01\n" + "".join(
        f"{i},{start * 1000:g},{end * 1000:g},{label}\n" for i, (label, start, end) in enumerate(INSTANCES)),
    "losslesscut": "".join(f"{start},{end},{label}\n" for label, start, end in INSTANCES),
    "nova": "".join(f"{start};{end};{label};1.0\n" for label, start, end in INSTANCES),
    "names first": "".join(f"{label},a b,{start},{end},0.5,3\n" for label, start, end in INSTANCES),
}


@pytest.mark.parametrize("name", TYPED)
def test_the_options_of_the_message_read_the_file(tmp_path, name):
    path = write(tmp_path / "clip.csv", TYPED[name])
    with pytest.raises(AnnotationError) as caught:
        scan(path)
    words = shlex.split(re.split(r", in a file|\. `losa", str(caught.value).split("--columns ")[1])[0])
    reading = Reading(columns=parse_columns(words[0]), times="ms" if "ms" in words else "")
    entries = scan(path, reading=reading).entries
    if name == "names first":  # two texts: which of them is the video's is for people to say
        assert [entry.id for entry in entries] == ["throw", "jump"]
    else:
        assert {entry.id: entry.instances for entry in entries} == {"clip": INSTANCES}


@pytest.mark.parametrize("text", ["video,label,start,end\na,throw,1.25,2.5\n",
                                  "name,start,end\nthrow,1.25,2.5\n",
                                  "behavior,total duration,start,stop,observation id\nthrow,3,1.25,2.5,a\n",
                                  "document name,code,beginning,end,video,label,start\na,1,2,2.5,a,throw,1.25\n"])
def test_what_can_be_read_is_read_whatever_tool_it_looks_like(tmp_path, text):
    (entry,) = scan(write(tmp_path / "a.csv", text)).entries
    assert entry.instances == [("throw", 1.25, 2.5)]


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "[]", "{}", "<xml/>", "[1]", "plain words"])
def test_what_is_of_no_known_tool_has_no_name(tmp_path, text):
    source = open_source(write(tmp_path / "a.txt", text), Findings(KINDS))
    assert name_tool(source) == ""
    assert XML and TABLES and TEXTS


# --- messages keep what is to be typed -------------------------------------------------------------------------------


def test_check_shows_the_whole_sentence_of_a_file_that_cannot_be_read(tmp_path):
    columns = [f"a rather long name of column {number}" for number in range(8)]
    report = check(write(tmp_path / "a.csv", ",".join(["label", *columns]) + "\n" + ",".join("abcdefghi") + "\n"))
    assert "--columns video=NAME,start=NAME,end=NAME (without video= where the file is named like its video)" in str(
        report)


def test_a_long_example_loses_its_middle_and_not_its_end():
    findings = Findings({"odd": ("note", "")})
    findings.add("odd", "a" * 300 + "--columns label=NAME")
    assert len(findings["odd"].examples[0]) <= 200 and findings["odd"].examples[0].endswith("--columns label=NAME")
