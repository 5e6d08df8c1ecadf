"""Write labels or predictions in the format of another tool, so that people can correct them there."""

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path

from losa.errors import AnnotationError
from losa.files import write_text
from losa.formats.boris import write_boris
from losa.formats.cues import write_subtitles
from losa.formats.elan import write_elan
from losa.formats.fiftyone import write_fiftyone
from losa.formats.label_studio import write_label_studio
from losa.formats.via import write_via
from losa.formats.write_labels import write_activitynet, write_csv
from losa.label_files.rows import Labelled

WRITERS: dict[str, Callable[[Sequence[Labelled]], dict[str, str]]] = {
    "activitynet": write_activitynet, "boris": write_boris, "csv": write_csv, "elan": write_elan,
    "fiftyone": write_fiftyone, "label-studio": write_label_studio, "srt": write_subtitles, "via": write_via,
}  # fmt: skip


def export(videos: Sequence[Labelled], to: str, out: Path) -> list[Path]:
    """Write the videos' labels in the format `to`, a name of WRITERS, into the folder `out`; return the files.

    Raises AnnotationError for an unknown format, and where a format needs what is not known, such as frame rates.
    """
    if to not in WRITERS:
        near = get_close_matches(to, WRITERS, 1)
        raise AnnotationError(f"--to {to}: no such format" + (f"; did you mean {near[0]}?" if near else ";")
                              + f" there are {', '.join(WRITERS)}")
    if out.exists() and not out.is_dir():
        raise AnnotationError(f"{out}: is a file; --out takes a folder, as most formats are a file for each video")
    texts = WRITERS[to](videos)
    if not out.exists() and out.suffix and any(name.endswith(out.suffix) for name in texts):
        raise AnnotationError(f"{out}: looks like a file; --out takes a folder, as most formats are a file for each "
                              f"video. Give {out.parent}, and {out.parent / next(iter(texts))} is written")
    paths = []
    for name, text in texts.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        paths.append(write_text(path, text))
    return paths
