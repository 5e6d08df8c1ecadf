"""The mistakes put into labels are those that the check finds, and the rows given stay as they were."""

from losa.world.mistyped_labels import mistype


def test_the_rows_given_stay_and_the_mistakes_are_the_ones_named():
    rows = [[f"{i}.mp4", 1.5 + i, 3.25 + i, "squats"] for i in range(7)]
    before = [list(row) for row in rows]
    wrong = mistype(rows)
    assert rows == before and len(wrong) == 10
    assert (wrong[0][3], wrong[1][3]) == ("SQUATS", "suqats")
    assert wrong[2][1] > wrong[2][2] and wrong[6][2] == 69.25 and wrong[4][1:3] == ["0:05.50", "0:07.25"]
    assert wrong[7] == rows[5] and wrong[8][1] == wrong[8][2] and wrong[9][0] == "holiday.mp4"
