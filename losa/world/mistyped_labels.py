"""Labels with typical human mistakes, to try `losa data check` and its repairs on."""

from collections.abc import Sequence


def mistype(rows: Sequence[Sequence]) -> list[list]:
    """Return the rows [file, start, end, label] with typical mistakes put in; there must be at least 7 rows.

    The mistakes: capitals, swapped letters, start after end, end after the video's, times as minutes, a row twice, an
    action of no length, and a video that does not exist.
    """
    rows = [list(row) for row in rows]
    name = rows[1][3]
    rows[0][3], rows[1][3] = rows[0][3].upper(), name[0] + name[2] + name[1] + name[3:]  # capitals; two letters swapped
    rows[2][1], rows[2][2], rows[6][2] = rows[2][2], rows[2][1], round(rows[6][2] + 60, 2)  # backwards; after the end
    rows[4][1:3] = (f"{int(t) // 60}:{t % 60:05.2f}" for t in rows[4][1:3])  # minutes
    file, *_, label = rows[5]
    return [*rows, rows[5], [file, 7, 7, label], ["holiday.mp4", 3, 5, label]]  # twice; lasts no time; no such video
