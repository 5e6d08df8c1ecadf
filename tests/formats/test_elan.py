"""ELAN's own files: times of slots, of what an annotation refers to, and of a video that starts elsewhere."""

from xml.etree import ElementTree

import pytest

from helpers.annotation_files import write_text
from helpers.annotator_files import CASES, found, labelled, same, truth, written
from losa.annotations.scan import scan
from losa.errors import AnnotationError
from losa.formats.elan import write_elan
from losa.label_files.source import Reading

MEDIA = '<MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/my%20data/clip.mp4" MIME_TYPE="video/mp4"/>'
SLOTS = ('<TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="1500"/><TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="2750"/>'
         '<TIME_SLOT TIME_SLOT_ID="ts3"/><TIME_SLOT TIME_SLOT_ID="ts4" TIME_VALUE="4000"/>')


def aligned(key, first, last, text):
    return (f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="{key}" TIME_SLOT_REF1="{first}" TIME_SLOT_REF2="{last}">'
            f"<ANNOTATION_VALUE>{text}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>")


def refers(key, to, text, more=""):
    return (f'<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="{key}" ANNOTATION_REF="{to}" {more}>'
            f"<ANNOTATION_VALUE>{text}</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>")


def eaf(path, *tiers, media=MEDIA, units="milliseconds", slots=SLOTS, more="", root=""):
    body = "".join(f'<TIER TIER_ID="{name}" LINGUISTIC_TYPE_REF="lt">{"".join(items)}</TIER>' for name, *items in tiers)
    return write_text(path, f'<?xml version="1.0" encoding="UTF-8"?><ANNOTATION_DOCUMENT FORMAT="3.0" {root}><HEADER '
                            f'TIME_UNITS="{units}">{media}</HEADER><TIME_ORDER>{slots}</TIME_ORDER>{body}{more}'
                            f"</ANNOTATION_DOCUMENT>")


def test_a_file_of_the_tool():
    assert same(found(CASES / "elan_eaf" / "clip_0000.eaf"), truth("clip_0000"))


def test_annotations_without_a_time_or_a_text_are_set_aside_and_add_up(tmp_path):
    path = eaf(tmp_path / "a.eaf", ("action", aligned("a1", "ts1", "ts2", " run \n fast "),
                                    aligned("a2", "ts2", "ts3", "sit"), aligned("a3", "ts3", "ts4", "lie"),
                                    aligned("a4", "ts2", "ts4", "")))
    sheet = scan(path)
    assert {e.id: e.instances for e in sheet.entries} == {"clip": [("run fast", 1.5, 2.75)]}
    assert sheet.set_aside == {"instances have no time": 2, "instances have no label": 1}
    assert sheet.findings["instances have no time"].examples[0] == "a.eaf: a2 of tier 'action': 'sit' [2.75, None]"
    assert sheet.counts.startswith("4 instances read = 1 kept + 3 set aside")


def test_what_refers_to_another_lasts_as_long_even_over_two_steps(tmp_path):
    path = eaf(tmp_path / "a.eaf", ("words", aligned("a1", "ts1", "ts2", "x"), aligned("a2", "ts2", "ts4", "y")),
               ("kind", refers("a3", "a1", "jump"), refers("a4", "a2", "sit")),
               ("finer", refers("a5", "a3", "high jump"), refers("a6", "a7", "lost"), refers("a7", "a6", "circle")))
    with pytest.raises(AnnotationError, match=r"3 tiers have annotations: 'words' \(2\), 'kind' \(2\), 'finer' \(3\)"):
        scan(path)
    assert found(path, Reading(tier="kind")) == {"clip": [("jump", 1.5, 2.75), ("sit", 2.75, 4.0)]}
    sheet = scan(path, reading=Reading(tier="finer"))
    assert sheet.entries[0].instances == [("high jump", 1.5, 2.75)] and sheet.set_aside == {"instances have no time": 2}
    assert found(path, Reading(tier="words,kind"))["clip"] == [("x", 1.5, 2.75), ("jump", 1.5, 2.75),
                                                               ("y", 2.75, 4.0), ("sit", 2.75, 4.0)]


def test_tiers_may_be_the_labels(tmp_path):
    path = eaf(tmp_path / "a.eaf", ("walk", aligned("a1", "ts1", "ts2", "")),
               ("turn", aligned("a2", "ts2", "ts4", "1")))
    read = found(path, Reading(tier="all", label_column="tier"))
    assert read == {"clip": [("walk", 1.5, 2.75), ("turn", 2.75, 4.0)]}


@pytest.mark.parametrize("units, first", [("PAL-frames", 60.0), ("NTSC-frames", 50.05), ("PAL-50-frames", 30.0),
                                          ("", 1.5)])
def test_units_of_the_header(tmp_path, units, first):
    path = eaf(tmp_path / "a.eaf", ("action", aligned("a1", "ts1", "ts2", "jump")), units=units)
    assert found(path)["clip"][0][1] == pytest.approx(first)


def test_an_unknown_unit_is_told(tmp_path):
    path = eaf(tmp_path / "a.eaf", ("action", aligned("a1", "ts1", "ts2", "jump")), units="samples")
    with pytest.raises(AnnotationError, match="TIME_UNITS is 'samples', expected one of milliseconds"):
        scan(path)


@pytest.mark.parametrize("media, video", [
    ("", "session 3"),
    ('<MEDIA_DESCRIPTOR MEDIA_URL="" RELATIVE_MEDIA_URL="../videos/b.MOV"/>', "b"),
    ('<MEDIA_DESCRIPTOR MEDIA_URL="file:///home/me/sound.wav" MIME_TYPE="audio/x-wav"/>', "sound"),
    ('<MEDIA_DESCRIPTOR MEDIA_URL="file:///x/s.wav" MIME_TYPE="audio/x-wav"/>'
     '<MEDIA_DESCRIPTOR MEDIA_URL="file:///x/c.mp4" MIME_TYPE="video/mp4"/>', "c"),
    (r'<MEDIA_DESCRIPTOR MEDIA_URL="file:///D:\films\d.avi" MIME_TYPE="video/*"/>', "d"),
])  # fmt: skip
def test_the_video_is_the_first_medium_with_pictures(tmp_path, media, video):
    path = eaf(tmp_path / "session 3.eaf", ("action", aligned("a1", "ts1", "ts2", "jump")), media=media)
    assert found(path) == {video: [("jump", 1.5, 2.75)]}


def test_a_second_camera_and_an_offset_are_told(tmp_path):
    media = ('<MEDIA_DESCRIPTOR MEDIA_URL="file:///front.mp4" MIME_TYPE="video/mp4" TIME_ORIGIN="2500"/>'
             '<MEDIA_DESCRIPTOR MEDIA_URL="file:///side.mp4" MIME_TYPE="video/mp4"/>')
    sheet = scan(eaf(tmp_path / "a.eaf", ("action", aligned("a1", "ts1", "ts2", "jump")), media=media))
    assert [(e.id, e.instances) for e in sheet.entries] == [("front", [("jump", 4.0, 5.25)])]
    assert sheet.findings["media are not read"].examples == ["a.eaf: side.mp4, beside front.mp4"]
    assert sheet.findings["times are shifted"].examples == ["a.eaf: front.mp4 begins 2.5 s before ELAN's 0"]


def test_texts_of_a_controlled_vocabulary_and_namespaces(tmp_path):
    words = ('<CONTROLLED_VOCABULARY CV_ID="cv"><CV_ENTRY_ML CVE_ID="e1"><CVE_VALUE LANG_REF="en">long jump</CVE_VALUE>'
             "</CV_ENTRY_ML></CONTROLLED_VOCABULARY>")
    item = aligned("a1", "ts1", "ts2", "").replace("<ALIGNABLE_ANNOTATION", '<ALIGNABLE_ANNOTATION CVE_REF="e1"')
    path = eaf(tmp_path / "a.eaf", ("action", item), more=words, root='xmlns="http://www.mpi.nl/elan"')
    assert found(path) == {"clip": [("long jump", 1.5, 2.75)]}


def test_a_file_without_annotations_is_a_video_without_instances(tmp_path):
    assert found(eaf(tmp_path / "a.eaf", ("action",))) == {"clip": []}


def test_times_outlive_writing_and_reading(tmp_path):
    videos = truth() | {"busy": [("a", 0.0, 4.0), ("a & <b>", 1.0, 2.0), ("c\x01d", 1.5, 3.0), ("e", 4.0, 5.0)],
                        "none": []}
    files = write_elan(labelled(videos))
    assert sorted(files) == ["busy.eaf", "clip_0000.eaf", "clip_0001.eaf", "clip_0002.eaf", "none.eaf"]
    read = found(written(tmp_path / "out", files))
    videos["busy"][2] = ("c d", 1.5, 3.0)
    assert same(read, videos)


def test_elan_finds_what_its_schema_asks_for(tmp_path):
    """Attributes and order as in EAFv3.0.xsd; slots in order of time, no overlap within a tier."""
    root = ElementTree.fromstring(write_elan(labelled({"v": [("a", 1.0, 3.0), ("b", 2.0, 4.0), ("c", 3.0, 3.0)]}))
                                  ["v.eaf"].encode())
    assert set(root.attrib) >= {"AUTHOR", "DATE", "FORMAT", "VERSION"}
    assert [child.tag for child in root] == ["HEADER", "TIME_ORDER", "TIER", "TIER", "LINGUISTIC_TYPE",
                                             *["CONSTRAINT"] * 4]
    slots = {slot.get("TIME_SLOT_ID"): int(slot.get("TIME_VALUE")) for slot in root.iter("TIME_SLOT")}
    assert list(slots.values()) == sorted(slots.values()) == [1000, 2000, 3000, 3000, 3001, 4000]
    types = {kind.get("LINGUISTIC_TYPE_ID") for kind in root.iter("LINGUISTIC_TYPE")}
    for tier in root.iter("TIER"):
        spans = [(slots[a.get("TIME_SLOT_REF1")], slots[a.get("TIME_SLOT_REF2")])
                 for a in tier.iter("ALIGNABLE_ANNOTATION")]
        assert tier.get("LINGUISTIC_TYPE_REF") in types and all(a < b for a, b in spans)
        assert all(a[1] <= b[0] for a, b in zip(spans, spans[1:], strict=False))
    keys = [a.get("ANNOTATION_ID") for a in root.iter("ALIGNABLE_ANNOTATION")]
    assert len(set(keys)) == 3 and root.find("HEADER/PROPERTY").text == "3"
    assert root.find("HEADER/MEDIA_DESCRIPTOR").get("RELATIVE_MEDIA_URL") == "./v.mp4"
