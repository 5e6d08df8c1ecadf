"""Times: every spelling is one number of seconds, frames need a rate, and units that cannot be are recognised."""

import pytest

from losa.errors import AnnotationError
from losa.label_files.times import (
    UNITS,
    Frames,
    Placed,
    check_unit,
    convert,
    fitting_units,
    looks_like_date,
    misread,
    parse_time,
    seconds,
    unit_advice,
)


@pytest.mark.parametrize(("text", "value"), [
    ("83.5", 83.5), ("83,5", 83.5), (" 7 ", 7), ("1e2", 100), ("-3", -3), (".5", 0.5), ("1:23.5", 83.5), ("0:05", 5),
    ("1:02:03,25", 3723.25), ("90:00", 5400), (12, 12), (1.5, 1.5), ("12:00:05 AM", 5), ("1:00:05 pm", 46805),
    ("1:60", None), ("1:60:00", None), ("1:2:3:4", None), ("nan", None), ("inf", None), ("1e400", None), ("", None),
    ("5 s", None), ("1.234,5", None), ("1,234.5", None), (float("nan"), None), (10**400, None), (1e9, None),
    (True, None), (None, None), ([1], None), ("-1:00", None), ("٣", None),
])  # fmt: skip
def test_times_are_seconds_or_clock_times_and_nothing_else(text, value):
    assert seconds(text) == value


@pytest.mark.parametrize(("text", "value"), [
    ("5 s", 5), ("1.17s", 1.17), ("1167 ms", 1.167), ("1.5 min", 90), ("1h2m3s", 3723), ("1m 23,5 sec", 83.5),
    ("14 frames", Frames(14)), ("00:00:01:02", Frames(2, 1)), ("00:00:01;02", Frames(2, 1, True)),
    ("00:00:00:11", Frames(11)), ("1:05;03", Frames(3, 65, True)), (Frames(3), Frames(3)), (2, 2),
    ("5 apples", None), ("", None), ("00:61:00:00", None), ("1:05:03", 3903), ([], None), ("1 2", None),
])  # fmt: skip
def test_units_and_timecodes_are_understood_as_stated(text, value):
    found = parse_time(text)
    assert found == (pytest.approx(value) if isinstance(value, int | float) else value)


@pytest.mark.parametrize(("frames", "fps", "value"), [
    (Frames(14), 12, 14 / 12), (Frames(14), 29.97, 14 / 29.97), (Frames(2, 1), 12, 1 + 2 / 12),
    (Frames(0, 60), 30000 / 1001, 60.06),  # without drop, a minute of timecode lasts 60.06 s
    (Frames(2, 60, True), 30000 / 1001, 60.06), (Frames(0, 600, True), 30000 / 1001, 600 - 0.0006),
    (Frames(0, 600, True), 30, 600), (Frames(5, 1), 12.5, 1.4), (Frames(25, 1), 25, None), (Frames(25), 25, 1),
])  # fmt: skip
def test_frames_become_seconds_at_the_rate_of_their_video(frames, fps, value):
    assert frames.at(fps) == (None if value is None else pytest.approx(value, abs=1e-4))


def test_numbers_are_converted_from_every_unit():
    found = {unit: convert(1.3, unit) for unit in UNITS}
    assert found == {"seconds": 1.3, "frames": Frames(1.3), "ms": pytest.approx(0.0013),
                     "minutes": pytest.approx(1.3 / 60), "decimal-minutes": pytest.approx(78),
                     "days": pytest.approx(112320), "m.ss": 90}
    assert convert(1.75, "m.ss") is None and convert(-1.3, "m.ss") is None
    check_unit("frames")
    with pytest.raises(AnnotationError, match="--times hours: expected one of\n  seconds"):
        check_unit("hours")


@pytest.mark.parametrize(("text", "date"), [
    ("14. Mai", True), ("14-May", True), ("May-14", True), ("2024-05-14", True), ("14.05.2024", True),
    ("1/2/2024", True), ("14.5", False), ("1:02", False), ("abc", False), ("", False),
])  # fmt: skip
def test_dates_are_what_spreadsheets_make_of_numbers(text, date):
    assert looks_like_date(text) is date


TRUE = [(1.17, 2.33), (8.75, 9.5), (22.4, 23.7), (25.25, 29.4)]  # seconds, in videos of 45 s and 12 frames a second


def read_as(unit: str) -> list[Placed]:
    """The true segments as they stand in a file of that unit, read as seconds."""
    factors = {"seconds": 1, "frames": 12, "ms": 1000, "minutes": 60, "decimal-minutes": 1 / 60, "days": 1 / 86400}
    return [Placed(start * factors[unit], end * factors[unit], 45, 12) for start, end in TRUE]


@pytest.mark.parametrize("unit", ["frames", "ms", "minutes", "decimal-minutes", "days"])
def test_the_unit_is_recognised_by_numbers_that_fit(unit):
    placed = read_as(unit)
    assert misread(placed) and fitting_units(placed)[0] == unit and f"--times {unit} (" in unit_advice(placed)


def test_instances_of_one_frame_each_are_no_other_unit():
    assert misread([Placed(round(i / 12, 6), round((i + 1) / 12, 6), 45, 12) for i in range(9)]) == ""


def test_seconds_are_left_alone_and_nonsense_fits_nowhere():
    assert misread(read_as("seconds")) == "" and misread([]) == ""
    assert misread([Placed(1, 2, 45, 12)] * 3 + [Placed(100, 110, 45, 12)] * 2) == ""  # a few outside: other mistakes
    wild = [Placed(1e6, 1e6 + 5, 45, 12), Placed(3, 1e6, 45, 12), Placed(9e5, 9e5 + 1, 45, 12)]
    assert fitting_units(wild) == [] and "In no other unit" in unit_advice(wild)
    spelt = [Placed(0.01, 0.03, 45, 12), Placed(0.22, 0.24, 45, 12), Placed(0.59, 1.01, 80, 12)]
    assert fitting_units(spelt)[0] == "m.ss"


@pytest.mark.parametrize("text", ["0" * 200 + "5", "0" * 200 + "5 s", "9" * 20_000, "9" * 20_000 + " s", "1:" * 9_999])
def test_a_long_text_is_no_time_which_is_known_at_once(text):
    assert seconds(text) is None and parse_time(text) is None
