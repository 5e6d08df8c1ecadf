"""ELAN's tab-delimited export: with names or without, in any unit, a column for each tier, several files in one."""

import pytest

from helpers.annotation_files import write_text
from helpers.annotator_files import found, same, truth
from losa.annotations.scan import scan
from losa.errors import AnnotationError
from losa.formats.elan_table import is_elan_table
from losa.label_files.sheet import KINDS, Findings
from losa.label_files.source import Reading, open_source

FORMS = {"clock": "hh:mm:ss.ms", "seconds": "ss.msec", "ms": "msec"}
WORDS = {"en": ("Begin Time", "End Time", "Duration"), "fr": ("Temps de départ", "Temps de fin", "Durée"),
         "de": ("Startzeit", "Endzeit", "Dauer")}


def shown(seconds, form):
    whole = round(1000 * seconds)
    if form == "clock":
        return f"{whole // 3600000:02d}:{whole // 60000 % 60:02d}:{whole // 1000 % 60:02d}.{whole % 1000:03d}"
    return str(whole) if form == "ms" else f"{whole / 1000:.3f}"


def export(path, videos, forms=("clock", "seconds"), *, header="en", tier="action", file=None, duration=True):
    """Write what the tool exports of {video: rows}; file: ending of the names in a last column."""
    kinds = 3 if duration else 2
    lines = []
    if header:
        names = [f"{word} - {FORMS[form]}" for word in WORDS[header][:kinds] for form in forms]
        lines.append(["Tier", "Participant", *names, "Annotation", *(["File Path"] * bool(file))])
    for video, rows in videos.items():
        for label, start, end in rows:
            times = [shown(time, form) for time in (start, end, end - start)[:kinds] for form in forms]
            lines.append([tier, "", *times, label, *([f"/data/{video}{file}"] * bool(file))])
    return write_text(path, "\n".join("\t".join(line) for line in lines) + "\n")


@pytest.mark.parametrize("header", ["en", "fr", "de", ""])
@pytest.mark.parametrize("forms", [("clock",), ("seconds",), ("ms",), ("clock", "ms"), ("clock", "seconds", "ms")])
def test_every_unit_with_names_and_without(tmp_path, header, forms):
    path = export(tmp_path / "clip_0001.txt", truth("clip_0001"), forms, header=header)
    assert same(found(path), truth("clip_0001"), within=2e-3)


@pytest.mark.parametrize("header", ["en", ""])
def test_several_files_in_one_and_one_tier_of_two(tmp_path, header):
    path = export(tmp_path / "all.txt", truth(), header=header, file=".eaf")
    assert same(found(path), truth())
    lines = path.read_text().splitlines()
    more = lines[-1].replace("action", "notes").replace("bounce", "look")
    path.write_text("\n".join([*lines, more]) + "\n")
    with pytest.raises(AnnotationError, match=r"2 tiers have annotations: 'action' \(12\), 'notes' \(1\)"):
        scan(path)
    assert same(found(path, Reading(tier="action")), truth())
    assert [row[0] for row in found(path, Reading(tier="notes"))["clip_0002"]] == ["look"]


def test_a_table_without_durations(tmp_path):
    assert same(found(export(tmp_path / "clip_0000.txt", truth("clip_0000"), duration=False)), truth("clip_0000"))


def test_saved_again_as_csv(tmp_path):
    path = export(tmp_path / "clip_0000.csv", truth("clip_0000"))
    path.write_text(path.read_text().replace("\t", ","))
    assert same(found(path), truth("clip_0000"))


def test_a_column_for_each_tier(tmp_path):
    path = write_text(tmp_path / "walk.txt", "Begin Time - ss.msec\tEnd Time - ss.msec\tDuration - ss.msec\tFOG\tNote\n"
                                             "1.000\t2.500\t1.500\tfreeze\t\n2.500\t4.000\t1.500\t\tgood\n"
                                             "5.000\t6.000\t1.000\tturn\tbad\n")
    with pytest.raises(AnnotationError, match=r"'FOG' \(2\), 'Note' \(2\)\. Say which holds.*: --tier \"FOG\""):
        scan(path)
    assert found(path, Reading(tier="FOG")) == {"walk": [("freeze", 1.0, 2.5), ("turn", 5.0, 6.0)]}
    assert found(path, Reading(tier="Note", label_column="tier"))["walk"] == [("Note", 2.5, 4.0), ("Note", 5.0, 6.0)]


def test_lines_of_title_name_the_video_and_warn_of_its_offset(tmp_path):
    path = export(tmp_path / "export.txt", truth("clip_0000"), header="")
    title = '"#clip_0000.eaf"\n"#file:///data/clip_0000.mp4 -- offset: 0"\n'
    write_text(path, title + path.read_text())
    assert same(found(path), truth("clip_0000"))
    write_text(path, path.read_text().replace("offset: 0", "offset: 1200"))
    sheet = scan(path)
    assert sheet.findings["times may be shifted"].examples[0].startswith("clip_0000.mp4 has an offset of 1200 ms")


def test_annotations_without_text_are_set_aside(tmp_path):
    path = export(tmp_path / "v.txt", {"v": [("", 1.0, 2.0), ("run", 2.0, 3.0)]})
    sheet = scan(path)
    assert [e.instances for e in sheet.entries] == [[("run", 2.0, 3.0)]]
    assert sheet.set_aside == {"instances have no label": 1}


@pytest.mark.parametrize("text", ["video\tlabel\tstart\tend\nv\tjump\t1\t2\n", "v\tjump\t1.0\t2.0\n",
                                  "v\tjump\t1.0\t2.0\ttrain\n", "1.0\t2.0\tjump\n", "a\t\t1.0\t2.0\t5.0\tx\n", ""])
def test_other_tables_are_not_taken_for_it(tmp_path, text):
    assert not is_elan_table(open_source(write_text(tmp_path / "a.txt", text), Findings(KINDS)))
    with pytest.raises(AnnotationError, match="no columns of begin and end as ELAN names them; export it again"):
        scan(tmp_path / "a.txt", reading=Reading(format="elan-text"))


def test_without_names_of_tiers(tmp_path):
    path = export(tmp_path / "clip_0000.txt", truth("clip_0000"), header="")
    path.write_text(path.read_text().replace("action\t\t", ""))
    assert scan(path).layout == "ELAN tab-delimited text" and same(found(path), truth("clip_0000"))


@pytest.mark.parametrize("names, factor", [
    ("Tier,Begin,End,Duration,Annotation,File", 1), ("tier,start time (s),end time (s),dur,value,file_path", 1),
    ("Tier,Begin (ms),End (ms),Duration,Label,video", 1000)])
def test_plain_names_of_columns(tmp_path, names, factor):
    rows = [f"action,{factor * a},{factor * b},,{label},{video}.eaf" for video, rows in truth().items()
            for label, a, b in rows]
    path = write_text(tmp_path / "all.csv", "\n".join([names, *rows]) + "\n")
    assert same(found(path), truth())
    path.write_text(path.read_text() + f"notes,{factor},{2 * factor},,hm,clip_0000.eaf\n")
    with pytest.raises(AnnotationError, match=r"'action' \(12\), 'notes' \(1\)"):
        scan(path)


@pytest.mark.parametrize("form, end", [("hh:mm:ss:ff (PAL)", 2.48), ("hh:mm:ss:ff (PAL-50)", 2.24)])
def test_timecodes_are_counted_as_the_column_says_and_not_at_the_rate_of_the_video(tmp_path, form, end):
    path = tmp_path / "a.txt"
    path.write_text(f"Tier\tBegin Time - {form}\tEnd Time - {form}\tAnnotation\nx\t00:00:01:00\t00:00:02:12\tjump\n")
    assert scan(path).entries[0].instances == [("jump", 1.0, end)]
