"""Scripts of the embedded world: what the performer does in a video and how it is filmed, as plain data.

A script depends only on (seed, split, index); `losa.world.render` draws it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from losa.world.motions import ACTIONS, ALL, ANSWERS, BEND, CLASSES, DELAY, OTHERS, SIGNAL, SILENCE, TWINS

VERSION = 2  # of the look and the scripts: a folder made by another version is refused, not mixed
FPS, CLIP_FRAMES = 12, 16
SPLITS = ("train", "val", "test")
KINDS = ("plain", "context")  # in the second, what a kick is called depends on what happened seconds before


@dataclass
class Event:
    """One motion from frame `start` to frame `end` (exclusive), and how it is performed."""

    name: str
    start: int
    end: int
    amplitude: float = 1.0
    swap: bool = False
    period: float = 1.0
    hold: dict | None = None  # a pose kept from start to end, instead of a motion
    label: str = ""  # where it is not the name


@dataclass
class Shot:
    """One camera setting from frame `start` on."""

    start: int
    zoom: float
    x: float
    mirror: int
    seed: int


@dataclass
class Script:
    """All that happens in a video. The same script always gives the same frames."""

    num_frames: int
    seed: int
    events: list[Event] = field(default_factory=list)
    shots: list[Shot] = field(default_factory=list)

    @property
    def labelled(self) -> list[Event]:
        """The labelled events, sorted by time."""
        return [e for e in sorted(self.events, key=lambda e: e.start) if e.name in ACTIONS]


def _event(rng: np.random.Generator, name: str, start: int, num: int | None = None) -> Event:
    """Draw how a motion is performed from frame `start` on, for `num` frames or a random time."""
    motion = ALL[name]
    num = num or round(rng.uniform(*motion.seconds) * FPS)
    period = rng.uniform(*motion.period) if motion.cycle else 1.0
    cycles = max(1, round(num / FPS / period)) if motion.cycle else 1
    return Event(name, start, start + num, rng.uniform(0.8, 1.15), bool(rng.random() < 0.5), num / cycles)


def _shots(rng: np.random.Generator, num_frames: int) -> list[Shot]:
    """Draw camera settings that follow each other every 5 to 13 s."""
    shots, start = [], 0
    while start < num_frames:
        shots.append(Shot(start, rng.uniform(0.74, 1.12), rng.uniform(0.38, 0.62), int(rng.choice((-1, 1))),
                          int(rng.integers(1 << 31))))
        start += int(rng.uniform(5, 13) * FPS)
    return shots


def _fill(rng: np.random.Generator, start: int, end: int, names: Sequence[str]) -> list[Event]:
    """Draw fillers between frames `start` and `end`, with a rest before and after each."""
    events = []
    while True:
        start += round(rng.uniform(0.35, 1.4) * FPS)
        event = _event(rng, str(rng.choice(names)), start)
        if event.end + 4 > end:
            return events
        events.append(event)
        start = event.end


def script_video(seed: int, split: str, index: int, seconds: tuple[float, float] = (44.0, 63.0),
                 kind: str = "plain") -> Script:
    """Return the script of one untrimmed video; 28 to 30 % of its time is labelled.

    seconds: the least and the greatest length. kind: "plain", or "context", where what a kick is called depends on an
    earlier signal.
    """
    rng = np.random.default_rng([VERSION, seed, SPLITS.index(split), index, *([1] if kind == "context" else [])])
    while True:
        script = _draw_script(rng, seconds, kind == "context")
        if kind == "plain" or _is_clear(script):
            return script


def _draw_script(rng: np.random.Generator, seconds: tuple[float, float], context: bool) -> Script:
    """Draw the script of one video: first which actions and how long, then gaps, fillers, signals and shots."""
    most = max(2, round(seconds[1] / 10))
    units = [c for c in CLASSES if c != "rise"]  # every sit is followed by its rise
    chances = [0.4 if u in ANSWERS else 0.6 / (len(units) - len(ANSWERS)) for u in units] if context else None
    while True:
        names = [str(n) for n in rng.choice(units, rng.integers(max(1, most - 2), most + 1), p=chances)]
        acts = [_event(rng, n, 0) for n in names]
        rises = [_event(rng, "rise", 0) if n == "sit" else None for n in names]
        holds = [round(rng.uniform(1.0, 4.0) * FPS) if rise else 0 for rise in rises]
        asked = [context and n in ANSWERS and rng.random() < 0.5 for n in names]
        signals = [_event(rng, SIGNAL, 0) if a else None for a in asked]
        delays = [round(rng.uniform(*DELAY) * FPS) if a else 0 for a in asked]
        least = [8 + delay + (signal.end if signal else 0) for delay, signal in zip(delays, signals, strict=True)] + [8]
        labelled = sum(e.end for e in acts) + sum(r.end for r in rises if r)
        num_frames = round(labelled / rng.uniform(0.28, 0.30))
        free = num_frames - labelled - sum(holds)
        if seconds[0] * FPS <= num_frames <= seconds[1] * FPS and free - sum(least) > 4 * len(least):
            break
    shares = rng.dirichlet(np.full(len(acts) + 1, 2.0))
    gaps = [few + int(share * (free - sum(least))) for few, share in zip(least, shares, strict=True)]
    fillers = [n for n in (*OTHERS, *TWINS) if not (context and n == SIGNAL)]
    seated = [n for n in ("clap", "scratch", "point", "hail") if n in fillers]
    script, now = Script(num_frames, int(rng.integers(1 << 31))), 0
    for gap, act, rise, hold, signal, delay in zip(gaps, acts, rises, holds, signals, delays, strict=False):
        if signal:
            signal.start, signal.end = now + gap - delay - signal.end, now + gap - delay
            script.events += [*_fill(rng, now, signal.start, fillers), signal]
            act.label = ANSWERS[act.name]
        script.events += _fill(rng, signal.end if signal else now, now + gap, fillers)
        now += gap
        act.start, act.end = now, now + act.end
        script.events.append(act)
        now = act.end
        if rise:
            script.events.append(Event("seated", now, now + hold, act.amplitude, act.swap, hold=BEND))
            script.events += _fill(rng, now, now + hold, seated)
            now += hold
            rise.start, rise.end, rise.amplitude, rise.swap = now, now + rise.end, act.amplitude, act.swap
            script.events.append(rise)
            now = rise.end
    script.events += _fill(rng, now, num_frames, fillers)
    script.shots = _shots(rng, num_frames)
    return script


def _is_clear(script: Script) -> bool:
    """Tell whether no signal ends shortly before a motion that answers none."""
    ends = [e.end for e in script.events if e.name == SIGNAL]
    return not any(0 <= e.start - end <= SILENCE * FPS for e in script.events if e.name in ANSWERS and not e.label
                   for end in ends)


def script_clip(rng: np.random.Generator, name: str) -> tuple[Script, int]:
    """Return a script around one instance of a motion, and the first frame of a clip that shows its middle part."""
    pad = 2 * CLIP_FRAMES
    event = _event(rng, name, pad)
    script = Script(event.end + pad, int(rng.integers(1 << 31)), [event], _shots(rng, 1))
    if name == "sit":
        script.events.append(Event("seated", event.end, script.num_frames, event.amplitude, event.swap, hold=BEND))
    if name == "rise":
        script.events.append(Event("seated", 0, pad, event.amplitude, event.swap, hold=BEND))
    centre = event.start + (event.end - event.start) * rng.uniform(0.3, 0.7)
    return script, int(round(centre)) - CLIP_FRAMES // 2
