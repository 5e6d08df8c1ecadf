"""Videos divided over train, val and test: every class everywhere if that can be, the same for the same seed."""

import random
from collections import Counter
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from losa.annotations.dataset import Annotations, Video
from losa.annotations.split import PARTS, count_videos, describe_left_out, split_videos
from losa.errors import AnnotationError


def annotations(*labels_of_videos, subset="all"):
    """Videos "00", "01", ... with an action for each of these numbers of classes."""
    num = max((label for labels in labels_of_videos for label in labels), default=0) + 1
    videos = [Video(f"{i:02d}", subset, None, 0.0, 60.0, np.array([[k, k + 0.5] for k in range(len(labels))], float)
                    .reshape(-1, 2), np.array(labels, np.int64)) for i, labels in enumerate(labels_of_videos)]
    return Annotations(tuple(f"class {i}" for i in range(num)), tuple(videos))


def counted(found):
    """{part: {class: instances}}, counted label by label."""
    table = {part: Counter() for part in PARTS}
    for video in found.videos:
        for label in video.labels:
            table[video.subset][int(label)] += 1
    return table


def can_cover(data, sizes):
    """Whether any division into so many videos has all classes with three videos or more in all parts: tried one by
    one."""
    sets = [set(map(int, video.labels)) for video in data.videos]
    needed = {c for c, n in Counter(label for labels in sets for label in labels).items() if n >= 3}
    everyone = set(range(len(sets)))
    cover = lambda part: needed <= set().union(*(sets[i] for i in part))  # noqa: E731
    return any(cover(train) and cover(val) and cover(everyone - set(train) - set(val))
               for train in combinations(sorted(everyone), sizes[0])
               for val in combinations(sorted(everyone - set(train)), sizes[1]))


@given(st.lists(st.lists(st.integers(0, 4), max_size=4), min_size=3, max_size=9),
       st.sampled_from([(0.6, 0.2, 0.2), (0.4, 0.3, 0.3), (0.8, 0.1, 0.1)]))
def test_classes_with_three_videos_are_in_all_parts_whenever_any_division_can_do_that(labels, shares):
    data = annotations(*labels)
    sizes = count_videos(len(labels), shares)
    found = split_videos(data, shares)
    table, videos = counted(found), Counter(c for row in labels for c in set(row))
    assert [sum(v.subset == part for v in found.videos) for part in PARTS] == sizes.tolist()
    everywhere = all(table[part][c] for part in PARTS for c, n in videos.items() if n >= 3)
    assert everywhere == can_cover(data, sizes)


@pytest.mark.parametrize("seed", range(5))
def test_rare_classes_are_covered_and_shares_kept_among_hundreds_of_videos(seed):
    """Twenty classes, from 3 videos to half of them: a plain draw misses the rare ones in some part nearly always."""
    draw = random.Random(seed)
    labels = [[] for _ in range(300)]
    for label in range(20):
        for video in draw.sample(range(300), 3 + label * 7):
            labels[video] += [label] * draw.randint(1, 3)
    found = split_videos(annotations(*labels), (0.6, 0.2, 0.2), seed)
    table, total = counted(found), Counter(label for row in labels for label in row)
    assert all(table[part][label] for part in PARTS for label in range(20))
    for label in range(10, 20):
        for part, share in zip(PARTS, (0.6, 0.2, 0.2), strict=True):
            assert table[part][label] / total[label] == pytest.approx(share, abs=0.12)
    assert [sum(v.subset == part for v in found.videos) for part in PARTS] == [180, 60, 60]


def test_the_same_seed_gives_the_same_division_whatever_the_order_and_another_seed_another():
    data = annotations(*[[i % 3, (i * 7) % 5] for i in range(30)])
    where = lambda found: {video.id: video.subset for video in found.videos}  # noqa: E731
    first = where(split_videos(data, (0.6, 0.2, 0.2), 1))
    turned = replace(data, videos=data.videos[::-1])
    assert where(split_videos(turned, (0.6, 0.2, 0.2), 1)) == first != where(split_videos(data, (0.6, 0.2, 0.2), 2))
    assert [video.id for video in split_videos(turned, (0.6, 0.2, 0.2), 1).videos] == [v.id for v in turned.videos]


def test_a_class_of_few_videos_goes_to_training_first_then_to_the_test():
    found = split_videos(annotations([0, 1], [0, 1], [0], [0, 2], [0], [0]), (0.5, 0.25, 0.25))
    table = counted(found)
    assert table["train"][2] == 1 and table["train"][1] == table["test"][1] == 1
    assert all(table[part][0] for part in PARTS)


@pytest.mark.parametrize(("number", "shares", "sizes"), [
    (12, (0.5, 0.25, 0.25), [6, 3, 3]), (40, (0.75, 0.0, 0.25), [30, 0, 10]), (3, (0.8, 0.1, 0.1), [1, 1, 1]),
    (7, (0.98, 0.01, 0.01), [5, 1, 1]), (5, (1.0, 0.0, 0.0), [5, 0, 0])])
def test_every_part_with_a_share_has_a_video(number, shares, sizes):
    assert count_videos(number, shares).tolist() == sizes


def test_fewer_videos_than_parts_stop():
    with pytest.raises(AnnotationError, match=r"2 videos are too few for the 3 parts of split=\(0.6, 0.2, 0.2\)"):
        split_videos(annotations([0], [0]), (0.6, 0.2, 0.2))


def test_videos_without_any_action_are_divided_too():
    found = split_videos(annotations([], [], [], []), (0.5, 0.25, 0.25))
    assert Counter(video.subset for video in found.videos) == {"train": 2, "val": 1, "test": 1}


def test_what_is_left_out_is_named_with_its_count_and_place():
    data = annotations([0, 0, 1], [0], [2, 2, 2], [0, 2])
    data = replace(data, videos=tuple(replace(v, subset=s) for v, s in zip(
        data.videos, ("train", "train", "test", "val"), strict=True)))
    lines = describe_left_out(data).splitlines()
    assert lines[1:-1] == [
        "  train: never learnt: 'class 2' (4 instances in 2 videos: test, val)",
        "  val: not measured: 'class 1' (1 instance in 1 video: train)",
        "  test: not measured: 'class 0' (4 instances in 3 videos: train, val); "
        "'class 1' (1 instance in 1 video: train)"]
    assert "--seed" in lines[-1] and "--ranges" in lines[-1]
    assert describe_left_out(annotations([0, 1], subset="train")) == ""
    assert describe_left_out(annotations([0, 1], subset="somewhere")) == ""
