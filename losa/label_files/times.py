"""Times of label files: seconds, clock times, frames and timecodes, and which unit the numbers of a file must have.

A unit is taken where the file states it ("1.2 s", a column "start_frame") or the user does (`Reading.times`). Else
numbers are seconds; `fitting_units` recognises that they are not, for the error that asks.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from losa.errors import AnnotationError

MAX_SECONDS = 1e7  # 115 days: a larger time is no time in seconds
MOST_TEXT = 100  # characters: longer text is no time, and patterns would take long to say so
UNITS = {  # names of --times: what the numbers of the file are
    "seconds": "seconds, or clock times",
    "frames": "numbers of frames, from 0; divided by the frame rate",
    "ms": "milliseconds",
    "minutes": "minutes:seconds that a spreadsheet took for hours:minutes; divided by 60",
    "decimal-minutes": "minutes with decimals",
    "days": "fractions of a day, as spreadsheets store a time",
    "m.ss": "minutes and seconds with a point between them, 1.30 for 90 s",
}
AS_LONG = "the whole length of the video is the duration of"
ONE_FRAME = 0.9  # of a frame's length: what is shorter is less than one frame, whatever was rounded
ASSUMED = 30  # frames per second, of a video whose rate is not known
WORDS = {"s": "seconds", "sec": "seconds", "secs": "seconds", "sek": "seconds",
         "second": "seconds", "seconds": "seconds", "ms": "ms",
         "msec": "ms", "millisecond": "ms", "milliseconds": "ms", "f": "frames", "fr": "frames", "frame": "frames",
         "frames": "frames", "min": "decimal-minutes", "mins": "decimal-minutes", "minutes": "decimal-minutes"}
NUMBER = r"[+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][+-]?\d+)?"


@dataclass(frozen=True)
class Frames:
    """A time that becomes seconds at a frame rate: `number` frames, after whole `seconds` in a timecode."""

    number: int | float
    seconds: int = 0
    drop: bool = False  # a timecode with ";", which skips numbers at 29.97 and 59.94 frames a second
    later: "int | float | Frames" = field(default=0, repr=False)  # what is added: a duration

    def at(self, fps: int | float) -> float | None:
        """Return the time in seconds at a frame rate; None where a timecode has more frames than a second holds."""
        if self.later:
            first, length = replace(self, later=0).at(fps), self.later
            length = replace(length, drop=False).at(fps) if isinstance(length, Frames) else length
            return None if first is None or length is None else first + length
        nominal = round(fps)
        if not self.seconds:
            return self.number / fps
        if self.number >= max(nominal, 1):
            return None
        if abs(fps - nominal) > 0.1:  # no rate that timecodes are made for
            return self.seconds + self.number / fps
        skipped = 0
        if self.drop and nominal in (30, 60) and fps < nominal:
            minutes = self.seconds // 60
            skipped = nominal // 15 * (minutes - minutes // 10)
        return (self.seconds * nominal + self.number - skipped) / fps


Time = int | float | Frames


def seconds(value: object) -> float | None:
    """Return the seconds of a number or of text like "83.5", "83,5", "1:23.5", "0:01:23.5"; None if it is no time."""
    if isinstance(value, str) and len(value) <= MOST_TEXT:
        text = re.sub(r"^0 days?,? ", "", value.strip())  # which pandas writes
        clock = re.fullmatch(r"(?:(\d+):)?(\d+):(\d\d?(?:[.,]\d*)?)(?:\s*([AaPp])\.?[Mm]\.?)?", text, re.ASCII)
        if clock:
            hours, minutes, rest = (float((part or "0").replace(",", ".")) for part in clock.groups()[:3])
            if clock[4]:  # 12:00:05 AM, as a spreadsheet shows 5 s
                hours = hours % 12 + 12 * (clock[4] in "Pp")
            value = hours * 3600 + minutes * 60 + rest if rest < 60 and (minutes < 60 or not clock[1]) else None
        elif re.fullmatch(NUMBER, value.strip(), re.ASCII):
            value = float(value.strip().replace(",", "."))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -MAX_SECONDS <= value <= MAX_SECONDS else None


def parse_time(value: object) -> Time | None:
    """Return the time of a number, or of text as `seconds` reads it, with a unit ("1.2 s", "1m 5s") or as a timecode.

    Timecodes are hours:minutes:seconds:frames, or with ";" before the frames. None if it is no time.
    """
    if isinstance(value, Frames):
        return value
    plain = seconds(value)
    if plain is not None or not isinstance(value, str) or len(value) > MOST_TEXT:
        return plain
    text = value.strip()
    code = re.fullmatch(r"(?:(\d{1,3}):)?(\d{1,2}):(\d\d)([:;])(\d\d)", text, re.ASCII)
    if code and (code[1] or code[4] == ";") and int(code[2]) < 60 and int(code[3]) < 60:
        whole = int(code[1] or 0) * 3600 + int(code[2]) * 60 + int(code[3])
        return Frames(int(code[5]), whole, code[4] == ";") if whole else Frames(int(code[5]))
    united = re.fullmatch(rf"({NUMBER})\s*([A-Za-z]+)\.?", text, re.ASCII)
    if united and united[2].lower() in WORDS:
        number = seconds(united[1])
        return None if number is None else convert(number, WORDS[united[2].lower()])
    parts = re.fullmatch(r"(?:(\d+)\s*h)?\s*(?:(\d+)\s*m(?:in)?)?\s*(?:(\d+(?:[.,]\d*)?)\s*s(?:ec)?)?", text, re.ASCII)
    if parts and any(parts.groups()):
        hours, minutes, rest = (float((part or "0").replace(",", ".")) for part in parts.groups())
        return seconds(hours * 3600 + minutes * 60 + rest)
    return None


def convert(number: int | float, unit: str) -> Time | None:
    """Return a number of a file as a time, its unit being one of UNITS; None where it can be none."""
    if unit == "frames":
        return Frames(number)
    if unit == "m.ss":
        rest = round((abs(number) - int(abs(number))) * 100, 6)
        return int(number) * 60 + rest if number >= 0 and rest < 60 else None
    factor = {"ms": 1e-3, "minutes": 1 / 60, "decimal-minutes": 60, "days": 86400}.get(unit, 1)
    return number * factor


def check_unit(unit: str) -> None:
    """Raise AnnotationError where `unit` is none of UNITS."""
    if unit and unit not in UNITS:
        listed = "".join(f"\n  {name:16} {meaning}" for name, meaning in UNITS.items())
        raise AnnotationError(f"--times {unit}: expected one of{listed}")


def looks_like_date(text: str) -> bool:
    """Return whether a cell is a date, as spreadsheets make of 14.5: "14. Mai", "14-May", "2024-05-14"."""
    day = r"(?:\d{1,2}[.\-/ ]+\s*[A-Za-zäé]{3,9}\.?|[A-Za-zäé]{3,9}[.\-/ ]+\d{1,4})(?:[.\-/ ]+\d{2,4})?"
    return bool(re.fullmatch(rf"{day}|\d{{1,4}}[.\-/]\d{{1,2}}[.\-/]\d{{1,4}}.*", text.strip()))


# --- numbers that cannot be seconds -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Placed:
    """A segment as it was read, in seconds, and the length and frame rate of the video that it should lie in."""

    start: int | float
    end: int | float
    duration: int | float
    fps: int | float | None


def misread(segments: Sequence[Placed]) -> str:
    """Return why the numbers of a file cannot be seconds: "" where nothing speaks against it.

    That is where more than half of the segments lie wholly outside their videos, or are shorter than one frame.
    """
    if not segments:
        return ""
    outside = sum(item.start >= item.duration or item.end <= 0 for item in segments)
    tiny = sum(0 < item.end - item.start < ONE_FRAME / (item.fps or ASSUMED) for item in segments)
    if 2 * outside > len(segments):
        return f"{outside} of {len(segments)} instances lie wholly outside their videos"
    if 2 * sum(map(_lasts_as_its_video, segments)) > len(segments):
        return f"{AS_LONG} {sum(map(_lasts_as_its_video, segments))} of {len(segments)} instances"
    if 2 * tiny > len(segments) and max(item.end - item.start for item in segments) < 1:
        return f"{tiny} of {len(segments)} instances are shorter than one frame of their video"
    return ""


def _lasts_as_its_video(item: Placed) -> bool:
    """Return whether a segment starts inside a video and is as long as all of it."""
    return item.start > 0.01 * item.duration and abs(item.end - item.start - item.duration) < 0.01 * item.duration


def fitting_units(segments: Sequence[Placed]) -> list[str]:
    """Return the units in which every segment lies in its video; the one that makes the longest segments first.

    Of units that shrink times, a smaller one always fits too: only the largest that fits is returned, with those that
    give nearly the same. Minutes and seconds with a point come first where every number can be one.
    """
    lengths = {unit: length for unit in UNITS if unit != "seconds"
               for length in [_length_if_fitting(segments, unit)] if length is not None}
    best = max(lengths.values(), default=0.0)
    pointed = all(round(time, 2) == time for item in segments for time in (item.start, item.end))
    good = [unit for unit, length in lengths.items() if length > 0.4 * best or (unit == "m.ss" and pointed)]
    return sorted(good, key=lambda unit: (unit != "m.ss", -lengths[unit]))


def _length_if_fitting(segments: Sequence[Placed], unit: str) -> int | float | None:
    """Return the sum of the segments' lengths in a unit; None where one does not fit, or most are below a frame."""
    total, tiny = 0.0, 0
    for item in segments:
        start, end = (_settled(convert(time, unit), item.fps or ASSUMED) for time in (item.start, item.end))
        if start is None or end is None or start < -0.5 or end > item.duration + max(0.5, 0.01 * item.duration):
            return None
        tiny += end - start < ONE_FRAME / (item.fps or ASSUMED)
        total += end - start
    return total if 2 * tiny <= len(segments) else None


def _settled(time: Time | None, fps: int | float | None) -> int | float | None:
    return (time.at(fps) if fps else None) if isinstance(time, Frames) else time


def unit_advice(segments: Sequence[Placed]) -> str:
    """Return what to type for segments that are `misread`."""
    if misread(segments).startswith(AS_LONG):
        return ("Say which column holds the end, or the length, of each action: --columns end=NAME or --columns "
                "duration=NAME.")
    units = fitting_units(segments)
    if not units:
        return ("In no other unit do all of them fit either: are these the right videos? "
                f"--times takes {', '.join(UNITS)}.")
    unknown = "frames" in units and any(item.fps is None for item in segments)
    options = " or ".join(f"--times {unit} ({UNITS[unit]})" for unit in units)
    return (f"All of them fit with {options}: look at one, and give that option."
            + " Frames need --videos or --fps." * unknown)
