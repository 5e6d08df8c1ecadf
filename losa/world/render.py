"""Render the embedded world: labelled untrimmed videos and trimmed clips of an articulated figure.

A benchmark's videos take days to get, so the project draws its own. A video is a *script* (what the performer does,
how it is filmed; see `storyboard`) that depends only on (seed, split, index), drawn with Pillow and encoded as H.264.
Everything is invariant to mirroring: directions are relative to where the performer faces.
"""

import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw
from tqdm.auto import tqdm

from losa.errors import ConfigError
from losa.files import read_object, replacing, write_json
from losa.world.motions import ACTIONS, ALL, ANSWERS, CHANNELS, CLASSES, DIFFICULTIES, OTHERS, STAND, TWINS
from losa.world.storyboard import CLIP_FRAMES, FPS, KINDS, SPLITS, VERSION, Event, Script, script_clip, script_video

SIZE = 96
SIZES = {"tiny": (6, 3, 3), "demo": (80, 20, 40), "full": (200, 40, 80)}  # videos in train, val, test


# ------------------------------------------------------------------------------------------ drawing
def _vector(pose: dict, swap: bool = False) -> np.ndarray:
    """Return a pose as an offset from standing, one number per channel; `swap` exchanges near and far limbs."""
    other = {c: c[:-1] + {"N": "F", "F": "N"}[c[-1]] if c[-1] in "NF" else c for c in CHANNELS}
    offset = {c: pose[c] - STAND.get(c, 0) for c in pose}
    return np.array([offset.get(other[c] if swap else c, 0.0) for c in CHANNELS])


def _offsets(event: Event) -> np.ndarray:
    """Return an event's offset from standing at each of its frames, (end - start, channels)."""
    num = event.end - event.start
    frame = np.arange(num) + 0.5
    if event.hold:
        return np.repeat(_vector(event.hold, event.swap)[None] * event.amplitude, num, 0)
    motion = ALL[event.name]
    if motion.cycle:
        first, second = (_vector(p, event.swap) for p in motion.cycle)
        swing = (0.5 - 0.5 * np.cos(2 * np.pi * frame / event.period))[:, None]
        ramp = np.clip(np.minimum(frame, num - frame) / 3, 0, 1)[:, None]
        return ramp * (first + (second - first) * swing) * event.amplitude
    keys = motion.keys if motion.keys[0][0] == 0 else ((0.0, {}), *motion.keys)
    keys = keys if keys[-1][0] == 1 else (*keys, (1.0, {}))
    phases = np.array([k[0] for k in keys])
    poses = np.stack([_vector(k[1], event.swap) for k in keys])
    phase = frame / num
    left = np.clip(np.searchsorted(phases, phase, side="right") - 1, 0, len(keys) - 2)
    part = (phase - phases[left]) / (phases[left + 1] - phases[left])
    part = (part * part * (3 - 2 * part))[:, None]
    return (poses[left] * (1 - part) + poses[left + 1] * part) * event.amplitude


def _smooth(rng: np.random.Generator, num: int, width: int, channels: int) -> np.ndarray:
    """Draw unit-variance noise, (num, channels), that changes over about `width` frames."""
    knots = rng.standard_normal((num // width + 3, channels))
    at = np.arange(num) / width
    left = at.astype(int)
    part = (0.5 - 0.5 * np.cos(np.pi * (at - left)))[:, None]
    return knots[left] * (1 - part) + knots[left + 1] * part


def pose_track(script: Script) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return joint angles and air, (F, channels), place, (F,) in body heights, and facing, (F,) +-1, of each frame."""
    rng = np.random.default_rng(script.seed)
    num = script.num_frames
    pose = np.array([STAND.get(c, 0.0) for c in CHANNELS]) + _smooth(rng, num, 9, len(CHANNELS)) * np.array(
        [0, 2.0, 4, 5, 4, 5, 1, 1, 1, 1])
    place, facing, at = np.zeros(num), np.ones(num), 0.0
    for event in sorted(script.events, key=lambda e: e.start):
        pose[event.start : event.end] += _offsets(event)
        if event.name == "walk":
            step = np.clip(rng.uniform(-0.42, 0.42), -0.3 - at, 0.3 - at)
            facing[event.start :] = 1 if step >= 0 else -1
            place[event.start : event.end] = at + step * np.linspace(0, 1, event.end - event.start)
            at += step
            place[event.end :] = at
    return pose, place, facing


def _joints(pose: np.ndarray, place: np.ndarray, facing: np.ndarray) -> np.ndarray:
    """Return joint positions, (F, 14, 2), x to the right and y up from the ground, in body heights."""
    p = dict(zip(CHANNELS, np.deg2rad(pose).T, strict=True))
    point = lambda origin, length, angle: origin + length * np.stack([np.sin(angle), -np.cos(angle)], -1)  # noqa: E731
    zero = np.zeros((len(pose), 2))
    parts = {"hip": zero, "neck": point(zero, -0.33, -p["lean"])}
    parts["head"] = point(parts["neck"], -0.14, -p["lean"])
    parts["nose"] = point(parts["head"], 0.11, p["lean"] + np.pi / 2 - 2 * p["lean"])
    for side, dx in (("N", 0.025), ("F", -0.025)):
        shift = np.array([dx, 0.0])
        parts["shoulder" + side] = point(parts["neck"], 0.03, -p["lean"]) - shift
        parts["elbow" + side] = point(parts["shoulder" + side], 0.19, p["arm" + side])
        parts["hand" + side] = point(parts["elbow" + side], 0.19, p["arm" + side] + p["elb" + side])
        parts["knee" + side] = point(zero + shift, 0.24, p["thi" + side])
        parts["foot" + side] = point(parts["knee" + side], 0.25, p["thi" + side] - p["kne" + side])
    body = np.stack(list(parts.values()), 1)
    low = np.minimum(parts["footN"][:, 1], parts["footF"][:, 1])
    body[..., 1] += (pose[:, 0] - low)[:, None]
    body[..., 0] = body[..., 0] * facing[:, None] + place[:, None]
    return body


JOINTS = ("hip", "neck", "head", "nose", *(j + s for s in "NF" for j in ("shoulder", "elbow", "hand", "knee", "foot")))


def _colour(rng: np.random.Generator, light: tuple[float, float], vivid: tuple[float, float]) -> np.ndarray:
    """Draw an RGB colour, 0 to 255, with its brightness and its saturation in the given ranges."""
    hue = np.abs((rng.random() * 6 + np.array([0, 4, 2])) % 6 - 3) - 1
    return 255 * rng.uniform(*light) * (1 - rng.uniform(*vivid) * (1 - np.clip(hue, 0, 1)))


def _background(rng: np.random.Generator, side: int, ground: int) -> Image.Image:
    """Draw a pastel background of low contrast, `side` pixels wide and high, its floor from row `ground` down."""
    base = _colour(rng, (0.86, 0.98), (0.05, 0.22))
    shade = lambda: tuple(int(c) for c in np.clip(base + rng.uniform(-16, 16, 3), 0, 255))  # noqa: E731
    image = Image.new("RGB", (side, side), shade())
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        x, y = rng.integers(-side // 4, side, 2)
        w, h = rng.integers(side // 8, side // 2, 2)
        (draw.rectangle if rng.random() < 0.5 else draw.ellipse)((x, y, x + w, y + h), shade())
    draw.rectangle((0, ground, side, side), shade())
    return image


def draw_frames(script: Script, size: int = SIZE, start: int = 0, end: int | None = None) -> Iterator[np.ndarray]:
    """Yield the frames of a script, (size, size, 3) uint8, from frame `start` to `end` (exclusive).

    They are drawn at twice the size and reduced. Each frame depends only on the script and its index.
    """
    body = _joints(*pose_track(script))
    rng = np.random.default_rng([script.seed, 1])
    num, side = script.num_frames, 2 * size
    shake = (_smooth(rng, num, 3, 2) * 0.006 + _smooth(rng, num, 20, 2) * 0.014).clip(-0.06, 0.06) * side
    gain = 1 + (0.07 * _smooth(rng, num, 14, 1)[:, 0]).clip(-0.18, 0.18)
    look = [tuple(int(c) for c in _colour(rng, lo, (0.75, 1.0))) for lo in ((0.25, 0.5), (0.2, 0.45), (0.15, 0.4))]
    far = tuple(int(0.7 * c + 55) for c in look[1])
    margin, levels, shot, base = side // 8, np.arange(256), None, None
    index = {j: i for i, j in enumerate(JOINTS)}
    for t in range(start, num if end is None else end):
        now = max((s for s in script.shots if s.start <= t), key=lambda s: s.start)
        if now is not shot:
            shot, base = now, _background(np.random.default_rng(now.seed), side + 2 * margin, int(margin + side * 0.84))
        dx, dy = np.round(shake[t]).astype(int)
        image = base.crop((margin + dx, margin + dy, margin + dx + side, margin + dy + side))
        draw, unit = ImageDraw.Draw(image), side * 0.66 * shot.zoom
        xy = body[t] * (unit * shot.mirror, -unit) + (side * shot.x - dx, side * 0.9 - dy)
        at = lambda *names: [tuple(xy[index[n]]) for n in names]  # noqa: E731, B023
        for s, limb in (("F", far), ("N", look[1])):
            draw.line(at("hip", "knee" + s, "foot" + s), limb, int(unit * 0.125), "curve")
            if s == "N":
                draw.line(at("hip", "neck"), look[0], int(unit * 0.19))
                (x, y), r = at("head")[0], unit * 0.1
                draw.line(at("head", "nose"), look[2], int(unit * 0.09))
                draw.ellipse((x - r, y - r, x + r, y + r), look[2])
            draw.line(at("shoulder" + s, "elbow" + s, "hand" + s), limb if s == "F" else look[2], int(unit * 0.1),
                      "curve")
        frame = np.asarray(image.reduce(2))
        yield np.clip(levels * gain[t], 0, 255).astype(np.uint8)[frame]


# ------------------------------------------------------------------------------------------ files
def encode(path: Path, frames: Iterator[np.ndarray], fps: int = FPS) -> None:
    """Write the frames as an H.264 mp4, with a closed group of pictures every 32 frames, so that seeks are exact."""
    with replacing(path) as part, av.open(str(part), "w", format="mp4") as file:
        stream = file.add_stream("libx264", rate=fps)
        stream.thread_count, stream.pix_fmt = 1, "yuv420p"
        stream.options = {"crf": "22", "preset": "veryfast",
                          "x264-params": "keyint=32:scenecut=0:open-gop=0:bframes=0"}
        for frame in frames:
            if not stream.codec_context.is_open:
                stream.height, stream.width = frame.shape[:2]
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame)))
        file.mux(stream.encode())


def _render_video(job: tuple[Path, Script]) -> None:
    encode(job[0], draw_frames(job[1]))


def _parallel(function, jobs: Sequence, num_workers: int | None, desc: str, show: bool = True) -> list:
    """Return `function` of every job, in order, computed in `num_workers` processes (None: all cores; 0: this one)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = min(cores if num_workers is None else num_workers, len(jobs) // 2)
    bar = dict(total=len(jobs), desc=desc, disable=not (show and jobs))
    if workers < 2:
        return [function(job) for job in tqdm(jobs, **bar)]
    # fork is quick and the children only draw; elsewhere it is not safe or not there
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    with ProcessPoolExecutor(workers, context) as pool:
        try:
            return list(tqdm(pool.map(function, jobs), **bar))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def make_world(out: Path | str, size: str | Sequence[int] = "demo", seed: int = 0,
               num_workers: int | None = None, *, kind: str = "plain") -> Path:
    """Render the videos of a world to `out`/videos, write `out`/annotations.json, and return its path.

    size: a name in SIZES or the numbers of (train, val, test) videos. Videos that are there already are kept, so a
    stopped call continues. num_workers: processes; None: all cores, 0: this one. kind: "plain", or "context", where a
    kick is an "answered_kick" if somebody clapped 3 to 8 seconds before it. Raises ConfigError for an unknown size or
    kind and for a folder that holds another world.
    """
    if kind not in KINDS:
        raise ConfigError(f"kind {kind!r} is unknown; give one of {', '.join(KINDS)}")
    if isinstance(size, str) and size not in SIZES:
        raise ConfigError(f"size {size!r} is unknown; give one of {', '.join(SIZES)}, or three numbers of videos "
                          "such as (80, 20, 40)")
    counts = SIZES[size] if isinstance(size, str) else tuple(int(n) for n in size)
    if len(counts) != 3 or min(counts) < 0 or sum(counts) == 0:
        raise ConfigError(f"size {size!r} is not three numbers of videos (train, val, test); e.g. (80, 20, 40)")
    out, seconds = Path(out), (10.0, 15.0) if size == "tiny" else (44.0, 63.0)
    (out / "videos").mkdir(parents=True, exist_ok=True)
    made, marker = {"world": VERSION, "seed": seed, "seconds": list(seconds)}, out / "world.json"
    made |= {"kind": kind} if kind != "plain" else {}
    if not marker.exists():
        write_json(marker, made)
    elif (present := read_object(marker)) != made:
        raise ConfigError(f"{out} already holds another world, {present}, not {made}; choose another folder, or "
                          "delete that one")
    scripts = {f"{split}_{index:04d}": script_video(seed, split, index, seconds, kind)
               for split, count in zip(SPLITS, counts, strict=True) for index in range(count)}
    jobs = [(out / f"videos/{name}.mp4", script) for name, script in scripts.items()]
    _parallel(_render_video, [job for job in jobs if not job[0].exists()], num_workers, "world: videos")
    classes = (*CLASSES, *ANSWERS.values()) if kind == "context" else CLASSES
    write_json(out / "annotations.json", annotations(scripts, classes))
    return out / "annotations.json"


def annotations(scripts: dict[str, Script], classes: Sequence[str] = CLASSES) -> dict:
    """Return the ground truth of named scripts in ActivityNet's layout; `fillers` lists the unlabelled motions."""
    rows = lambda events: [{"label": e.label or e.name, "segment": [round(e.start / FPS, 4), round(e.end / FPS, 4)]}  # noqa: E731
                           for e in events]
    return {"version": f"losa world {VERSION}", "classes": list(classes), "database": {
        name: {"subset": name.split("_")[0], "duration": round(s.num_frames / FPS, 4), "fps": FPS,
               "path": f"videos/{name}.mp4", "annotations": rows(s.labelled),
               "fillers": rows(e for e in s.events if e.name not in ACTIONS and not e.hold)}
        for name, s in scripts.items()}}


def _render_clips(job: tuple[tuple[str, ...], int, int, int, int]) -> np.ndarray:
    motions, seed, size, first, last = job
    clips = np.empty((last - first, 3, CLIP_FRAMES, size, size), np.uint8)
    for i in range(first, last):
        script, start = script_clip(np.random.default_rng([VERSION, seed, len(SPLITS), i]), motions[i % len(motions)])
        frames = np.stack(list(draw_frames(script, size, start, start + CLIP_FRAMES)))
        clips[i - first] = frames.transpose(3, 0, 1, 2)
    return clips


def render_clips(motions: Sequence[str], num: int, seed: int, size: int = 48, num_workers: int | None = None,
                 show: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return trimmed clips, (num, 3, 16, size, size) uint8, and their labels, (num,) int64, indices into `motions`.

    Clip i depends only on (motions, seed, i); the motions take turns. Raises ConfigError for an unknown motion.
    """
    if unknown := [m for m in motions if m not in ALL]:
        raise ConfigError(f"unknown motions {unknown}; choose from {', '.join(ALL)}")
    jobs = [(tuple(motions), seed, size, i, min(i + 64, num)) for i in range(0, num, 64)]
    clips = _parallel(_render_clips, jobs, num_workers, "world: clips", show)
    return np.concatenate(clips), np.arange(num, dtype=np.int64) % len(motions)


def movement_frames(name: str) -> list[np.ndarray]:
    """Return eight frames, (SIZE, SIZE, 3) uint8, that show one motion from start to end, or one difficulty."""
    if name in ("zoom", "pace"):  # the same moment of eight clips
        clips = [script_clip(np.random.default_rng([VERSION, i]), "kick")[0] for i in range(8)]
        moments = [(s, s.events[0].start + 7 if name == "pace" else 20) for s in clips]
    elif name in ALL:
        script, _ = script_clip(np.random.default_rng([VERSION, 3]), name)
        event = script.events[0]
        moments = [(script, int(t)) for t in np.linspace(event.start, event.end - 1, 8)]
    else:
        script = script_video(0, "train", 7)
        cuts = [s.start + d for s in script.shots[1:] for d in (-1, 0)]
        moments = [(script, t) for t in (cuts[:8] if name == "cut" else range(0, 24, 3))]
    return [next(draw_frames(s, SIZE, t, t + 1)) for s, t in moments]


def contact_sheet(path: Path | str) -> Path:
    """Write a PNG with a row of eight frames for each class, filler, near-twin and difficulty; return its path."""
    about = {**{n: ("class", m.about) for n, m in ACTIONS.items()},
             **{n: ("filler", m.about) for n, m in {**OTHERS, **TWINS}.items()},
             **{n: ("difficulty", text) for n, text in DIFFICULTIES.items()}}
    rows, width, height = -(-len(about) // 2), 8 * (SIZE + 2) + 12, SIZE + 20
    sheet = Image.new("RGB", (2 * width, rows * height), "white")
    draw = ImageDraw.Draw(sheet)
    for number, (name, (kind, text)) in enumerate(about.items()):
        x, y = 4 + number // rows * width, number % rows * height
        draw.text((x, y + 4), f"{name} ({kind}): {text}", "black")
        for column, frame in enumerate(movement_frames(name)):
            sheet.paste(Image.fromarray(frame), (x + column * (SIZE + 2), y + 18))
    with replacing(path) as part:
        sheet.save(part, "PNG")
    return Path(path)
