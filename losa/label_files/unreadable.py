"""Say what files are that cannot be read, because they are no text or no JSON, and what to give instead.

Tools whose files can be read, but are of no known format, are named in `losa.formats.other_tools`.
"""

from pathlib import Path

DATAVYU = ("Export its cells as a table with onset and offset in milliseconds and a code, a file for each video: "
           "--columns label=NAME,start=NAME,end=NAME --times ms")  # fmt: skip
OBSERVER = "Export the event logs, and save that sheet as CSV"
BEGINNINGS = {  # what files are that begin so
    b"\x1f\x8b": "compressed by gzip, as BORIS' .boris.gz; unpack it (gunzip -k FILE) and give what comes out",
    b"SQLite format 3": "a database, as MAXQDA and others keep their projects in; export the coded segments as a table "
                        "with video, label, start and end, and give that as CSV",
    b"%PDF": "a PDF; export the labels as CSV",
}  # fmt: skip
ENDINGS = {  # what files are that are no text and have this ending
    ".opf": f"a project of Datavyu. {DATAVYU}",
    ".odx": f"a project of The Observer XT. {OBSERVER}",
    ".nvp": "a project of NVivo; export the coded segments as a table, and give that as CSV",
    ".mat": "a file of MATLAB; write a table with the columns video,label,start,end",
}


def describe_binary(path: Path, content: bytes) -> str:
    """Return what a file is that is no text, and what to give instead; "" for text."""
    suffix = path.suffix.lower()
    if suffix == ".zip":
        return "a ZIP file, as CVAT and others export; unpack it and give the label file in it, such as annotations.xml"
    packed, zeros = content[:2] == b"PK", b"\0" in content[:4096]
    if (packed or zeros) and suffix in ENDINGS:
        return ENDINGS[suffix]
    for beginning, what in BEGINNINGS.items():
        if content.startswith(beginning):
            return what
    if packed or suffix in (".xls", ".xlsx", ".ods"):
        return ('no text file but a spreadsheet; save its sheet as "CSV UTF-8" (in Excel: File, Save As) and give '
                "that")
    if content[:1] == b"\x80" or suffix in (".pkl", ".pickle"):
        return ("a pickle, which is never opened, as that could run anything; write JSON or CSV with the tool that "
                "made it")
    return 'no text file; expected a CSV or JSON (in Excel: save as "CSV UTF-8")' if zeros else ""


def describe_no_json(text: str) -> str:
    """Return what a text is that begins as JSON and is none, and what to give instead; "" where that is not known."""
    if "cutSegments" in text[:2000]:  # JSON5
        return ("a project of LosslessCut, which is not read. Export its segments as CSV, in a file that is named like "
                "its video: --columns start=1,end=2,label=3")
    return ""
