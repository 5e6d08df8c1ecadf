"""Choose which frames of a video to read for a sampling rate."""

import numpy as np


def sample_indices(timestamps, sampled_fps: int | float, start: int | float = 0.0,
                   end: int | float | None = None) -> np.ndarray:
    """Return int64 frame indices; sample k is the frame at `start` + k / `sampled_fps` seconds, before `end`.

    Samples are uniform in time, so a variable frame rate needs no special care. Each takes the frame nearest in time,
    except that a frame held for long stays until its successor is due within half a usual frame.

    timestamps: (num_frames,) seconds from the first frame, increasing, as `Reader.timestamps`.
    end: by default the end of the last frame; a little more repeats the last frame.
    Raises ValueError for a range that does not fit the video.
    """
    times = np.asarray(timestamps, dtype=np.float64)
    if times.ndim != 1 or not times.size or (np.diff(times) < 0).any():
        raise ValueError(f"timestamps: expected a flat, increasing list of seconds, got shape {times.shape}")
    if not (np.isfinite(sampled_fps) and sampled_fps > 0):
        raise ValueError(f"sampled_fps={sampled_fps}: expected frames per second above 0")
    gaps = np.diff(times) if times.size > 1 else np.array([1 / sampled_fps])
    step = float(np.median(gaps))
    last = float(times[-1]) + step
    end = last if end is None else end
    if not 0 <= start < min(end, last) or end > last + max(1.0, 0.02 * last, float(gaps.max())):
        raise ValueError(f"start={start}, end={end}: expected 0 <= start < end within the {last:.3f} s of video")
    num = max(1, int(np.ceil((end - start) * sampled_fps - 1e-6)))
    wanted = start + np.arange(num) / sampled_fps
    return np.maximum(np.searchsorted(times, wanted + 0.499 * step, side="right") - 1, 0)
