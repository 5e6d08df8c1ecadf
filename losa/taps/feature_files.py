"""Read one file of features, in the containers people use: .npy, .npz, .pt and .pth, .safetensors, .csv.

Nothing here runs code that a file brings along: pickled objects are refused, with the line that converts them.
"""

import zipfile
from functools import lru_cache
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from losa.errors import FeatureError

READABLE = (".npy", ".npz", ".pt", ".pth", ".safetensors", ".csv")
CONVERT = "import numpy as np; np.save('{stem}.npy', np.asarray({load}, np.float32))"
Shapes = dict[str, tuple[str, tuple[int, ...]]]  # name of an array ("": the only one): its dtype and shape


def read_shape(path: Path, key: str | None = None) -> tuple[int, ...]:
    """Return the shape of a file's features, of .npy, .npz and .safetensors without reading their content.

    key: name of the array, where a file holds several; names inside others are joined by a full stop.
    Raises FeatureError where the file is damaged, holds pickled objects or no array of floats in two dimensions or
    more, or several and no key says which.
    """
    dtype, shape = choose_array(path, key)[1]
    if "float" not in dtype or len(shape) < 2 or 0 in shape:
        raise FeatureError(f"{path} holds {dtype} {shape}; expected floats (T, C), (C, T) or (K + 1, T, C)")
    return shape


def load_rows(path: str, key: str | None = None) -> np.ndarray:
    """Return the array of one file, as it lies there; .npy is memory-mapped. bfloat16 comes as float32."""
    return _map_rows(path) if Path(path).suffix.lower() == ".npy" else _read_rows(path, key)


def choose_array(path: Path, key: str | None) -> tuple[str, tuple[str, tuple[int, ...]]]:
    """Return name, dtype and shape of the file's one array, or of the one that `key` names. FeatureError as above."""
    held = list_arrays(path)
    if "" in held:
        if key is not None:
            raise FeatureError(f"feature_key={key!r}, but {path} holds one array without a name; leave feature_key out")
        return "", held[""]
    named = ", ".join(f"{name!r} {dtype} {shape}" for name, (dtype, shape) in held.items()) or "nothing"
    if any(dtype == "object" for name, (dtype, _) in held.items() if name == key or key is None and len(held) == 1):
        raise FeatureError(_explain(path, ValueError("Object arrays")))
    if key is not None and key not in held:
        raise FeatureError(f"feature_key={key!r}, but {path} holds {named}; write one of these names")
    if key is not None:
        return key, held[key]
    possible = [name for name, (dtype, shape) in held.items() if "float" in dtype and len(shape) > 1]
    if len(possible) > 1:
        raise FeatureError(f"{path} holds several arrays: {named}; say which are the features, "
                           f"e.g. -s feature_key={possible[0]}")
    if not possible:
        raise FeatureError(f"{path} holds {named}; expected floats (T, C), (C, T) or (K + 1, T, C)")
    return possible[0], held[possible[0]]


def list_arrays(path: Path) -> Shapes:
    """Return dtype and shape of every array in a file. FeatureError where it cannot be read."""
    kind = path.suffix.lower()
    try:
        if kind == ".npz":
            return _list_npz(path)
        if kind == ".safetensors":
            with safe_open(path, "np") as file:
                names = list(file.keys())
                return {name: _describe_slice(file.get_slice(name)) for name in names}
        if kind == ".csv":
            return {"": ("float32", _measure_csv(path))}
        if kind in (".pt", ".pth"):
            return {name: (str(x.dtype).removeprefix("torch."), tuple(x.shape))
                    for name, x in _tensors(_load_torch(path)).items()}
        stored = np.load(path, mmap_mode="r", allow_pickle=False)
        return {"": (str(stored.dtype), stored.shape)}
    except (OSError, ValueError, EOFError, AttributeError, RuntimeError, KeyError, UnpicklingError,
            zipfile.BadZipFile, SafetensorError) as error:
        raise FeatureError(_explain(path, error)) from None


def _explain(path: Path, error: Exception) -> str:
    """Return why a file cannot be read and what to do: convert what is pickled, make anew what is damaged."""
    why, kind = " ".join(str(error).split())[:200], path.suffix.lower()
    loads = {".npy": "np.load('{name}', allow_pickle=True).tolist()", ".pt": "torch.load('{name}', weights_only=False)",
             ".npz": "np.load('{name}', allow_pickle=True)['NAME'].tolist()"}
    objects = "Object arrays" in why or "Python objects" in why or "Weights only" in why
    if objects or "allow_pickle" in why and _begins(path, b"\x80"):
        load = loads[".pt" if kind == ".pth" else kind].format(name=path.name)
        line = ("import torch; " if "torch" in load else "") + CONVERT.format(stem=path.stem, load=load)
        return (f"{path} holds pickled Python objects, which may run code and are not read; if you trust the file, "
                f"write its features as an array, of a dict with ['NAME'] behind: python -c \"{line}\"")
    what = "file of comma-separated numbers" if kind == ".csv" else f"{kind} array"
    return f"{path} is no {what} or is cut short ({why}); get or make it again"


def _begins(path: Path, magic: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


# --- containers -----------------------------------------------------------------------------------------------------


def _list_npz(path: Path) -> Shapes:
    found = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with archive.open(name) as file:
                found[name.removesuffix(".npy")] = _read_header(file)
    return found


def _read_header(file: Any) -> tuple[str, tuple[int, ...]]:
    """Return dtype and shape from the beginning of an .npy file. ValueError for pickled objects."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return str(dtype), shape


def _describe_slice(part: Any) -> tuple[str, tuple[int, ...]]:
    kind = part.get_dtype()
    return ("bfloat16" if kind == "BF16" else f"float{kind[1:]}" if kind[0] == "F" else kind), tuple(part.get_shape())


def _load_torch(path: Path) -> Any:
    """Return what torch saved, tensors only; memory-mapped unless it is in the old format."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # bytes that are no pickle break it in any way
        raise ValueError(str(error)) from None


def _tensors(loaded: Any, name: str = "") -> dict[str, torch.Tensor]:
    """Return the tensors in what torch saved by their names; a name inside another is joined by a full stop."""
    if isinstance(loaded, torch.Tensor):
        return {name: loaded.detach()}
    if isinstance(loaded, dict):
        return {key: tensor for part, value in loaded.items()
                for key, tensor in _tensors(value, f"{name}.{part}" if name else str(part)).items()}
    return {}


def _measure_csv(path: Path) -> tuple[int, int]:
    """Return rows and columns of a table of numbers. ValueError where its first or last row is none."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    lines = lines[_count_titles(lines):]
    if not lines:
        return 0, 0
    widths = [len([float(cell) for cell in line.split(",")]) for line in (lines[0], lines[-1])]
    if widths[0] != widths[1]:
        raise ValueError(f"the first row has {widths[0]} numbers, the last {widths[1]}")
    return len(lines), widths[0]


def _count_titles(lines: list[str]) -> int:
    """Return 1 where the first line names columns, else 0."""
    try:
        [float(cell) for line in lines[:1] for cell in line.split(",")]
    except ValueError:
        return 1
    return 0


@lru_cache(maxsize=64)
def _map_rows(path: str) -> np.ndarray:
    """Few are kept, since each holds a file open."""
    return np.load(path, mmap_mode="r", allow_pickle=False)


@lru_cache(maxsize=8)
def _read_rows(path: str, key: str | None) -> np.ndarray:
    """Fewer are kept, since they lie in memory."""
    kind, name = Path(path).suffix.lower(), choose_array(Path(path), key)[0]
    try:
        if kind == ".npz":
            with np.load(path, allow_pickle=False) as file:
                return file[name]
        if kind == ".csv":
            lines = Path(path).read_text(encoding="utf-8").splitlines()
            return np.loadtxt(lines, np.float32, delimiter=",", skiprows=_count_titles(lines), ndmin=2)
        if kind == ".safetensors":
            with safe_open(path, "pt") as file:
                return _to_numpy(file.get_tensor(name))
        return _to_numpy(_tensors(_load_torch(Path(path)))[name])
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zipfile.error) as error:
        raise FeatureError(_explain(Path(path), error)) from None


def _to_numpy(tensor: torch.Tensor) -> np.ndarray:
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).contiguous().numpy()
