"""Scripts of the embedded world: shares, lengths, splits, and what only context tells apart."""

import numpy as np

from losa.world import motions, storyboard


def test_share_number_and_length_of_labelled_segments():
    scripts = [storyboard.script_video(5, "train", i) for i in range(60)]
    shares = [sum(e.end - e.start for e in s.labelled) / s.num_frames for s in scripts]
    assert min(shares) > 0.275 and max(shares) < 0.305
    assert 5 <= np.mean([len(s.labelled) for s in scripts]) <= 7
    assert all(44 <= s.num_frames / storyboard.FPS <= 63 for s in scripts)
    for script in scripts:
        for event in script.labelled:
            low, high = motions.ACTIONS[event.name].seconds
            assert low - 0.05 <= (event.end - event.start) / storyboard.FPS <= high + 0.05
        events = sorted((e for e in script.events if not e.hold), key=lambda e: e.start)
        assert all(a.end <= b.start for a, b in zip(events, events[1:], strict=False)), "motions overlap"
        assert events[0].start >= 0 and events[-1].end <= script.num_frames
    seen = {e.name for s in scripts for e in s.events}
    assert seen >= set(motions.ALL)


def test_in_the_context_world_only_an_earlier_signal_tells_two_classes_apart():
    answered, silent = 0, 0
    for index in range(40):
        events = storyboard.script_video(7, "train", index, kind="context").events
        ends = [e.end for e in events if e.name == motions.SIGNAL]
        for kick in (e for e in events if e.name == "kick"):
            waits = [(kick.start - end) / storyboard.FPS for end in ends if end <= kick.start]
            if kick.label == "answered_kick":
                assert sum(2.95 <= wait <= 8.05 for wait in waits) >= 1
                answered += 1
            else:
                assert kick.label == "" and all(wait > motions.SILENCE for wait in waits)
                silent += 1
    assert min(answered, silent) > 20 and 0.5 < answered / silent < 2
