"""Files of features in every container hold the same numbers, and what is none is refused with what to do."""

import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from losa.errors import FeatureError
from losa.taps.feature_files import READABLE, load_rows, read_shape

ROWS = np.random.default_rng(0).standard_normal((9, 4)).astype(np.float32)


def save(path, rows=ROWS, name="feats"):
    """Write rows in the container that the path's ending names."""
    kind = path.suffix
    if kind == ".npy":
        np.save(path, rows)
    elif kind == ".npz":
        np.savez(path, **{name: rows})
    elif kind == ".csv":
        path.write_text("f0,f1,f2,f3\n" + "\n".join(",".join(map(str, row)) for row in rows.tolist()) + "\n")
    elif kind == ".safetensors":
        save_file({name: torch.from_numpy(rows)}, path)
    else:
        torch.save(torch.from_numpy(rows), path)
    return path


@pytest.mark.parametrize("kind", READABLE)
def test_every_container_gives_the_same_rows(tmp_path, kind):
    path = save(tmp_path / f"a{kind}")
    assert read_shape(path) == (9, 4)
    np.testing.assert_allclose(load_rows(str(path)), ROWS, rtol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("kind", [".pt", ".safetensors"])
def test_tensors_of_other_precision_come_with_their_values(tmp_path, kind, dtype):
    tensor, path = torch.arange(12.0).view(4, 3).to(dtype), tmp_path / f"a{kind}"
    if kind == ".pt":
        torch.save({"x": {"y": tensor.requires_grad_()}, "fps": 30.0, "seconds": torch.arange(4)}, path)
    else:
        save_file({"x.y": tensor, "seconds": torch.arange(4)}, path)
    assert read_shape(path) == read_shape(path, "x.y") == (4, 3)
    assert np.array_equal(load_rows(str(path), "x.y").astype(np.float32), np.arange(12.0).reshape(4, 3))


def test_the_old_format_of_torch_and_a_table_without_titles(tmp_path):
    torch.save(torch.from_numpy(ROWS), tmp_path / "a.pth", _use_new_zipfile_serialization=False)
    np.savetxt(tmp_path / "a.csv", ROWS, delimiter=",")
    for name in ("a.pth", "a.csv"):
        assert read_shape(tmp_path / name) == (9, 4)
        np.testing.assert_allclose(load_rows(str(tmp_path / name)), ROWS, rtol=1e-6)


@pytest.mark.parametrize("kind", [".npz", ".pt", ".safetensors"])
def test_of_several_arrays_the_key_chooses(tmp_path, kind):
    path, arrays = tmp_path / f"a{kind}", {"rgb": ROWS, "flow": ROWS * 2, "frames": np.arange(9)}
    if kind == ".npz":
        np.savez_compressed(path, **arrays)
    else:
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        (torch.save if kind == ".pt" else save_file)(tensors, path)
    assert read_shape(path, "flow") == (9, 4) and np.array_equal(load_rows(str(path), "flow"), ROWS * 2)
    with pytest.raises(FeatureError, match=r"a.* holds several arrays: .*'rgb' float32 \(9, 4\).*-s feature_key="):
        read_shape(path)
    with pytest.raises(FeatureError, match="feature_key='video', but .* holds .*'flow'.*write one of these names"):
        read_shape(path, "video")
    with pytest.raises(FeatureError, match="expected floats"):
        read_shape(path, "frames")


def test_a_key_for_an_array_without_a_name_is_refused(tmp_path):
    with pytest.raises(FeatureError, match="holds one array without a name; leave feature_key out"):
        read_shape(save(tmp_path / "a.npy"), "feats")


class Bomb:
    def __reduce__(self):
        return sys.exit, ("code of a file ran",)


@pytest.mark.parametrize("kind", [".npy", ".npz", ".pt", ".pth"])
def test_pickled_objects_are_not_run_and_the_conversion_is_named(tmp_path, kind):
    path, held = tmp_path / f"video_7{kind}", np.array([Bomb()], dtype=object)
    if kind == ".npy":
        np.save(path, held, allow_pickle=True)
    elif kind == ".npz":
        np.savez(path, feats=held)
    else:
        torch.save(Bomb(), path)
    why = r"holds pickled Python objects.*python -c \".*np.save\('video_7.npy', .*load"
    with pytest.raises(FeatureError, match=why):
        read_shape(path)


@pytest.mark.parametrize("kind, content", [(kind, content) for kind in READABLE for content in (b"", b"text", "cut")
                                           if (kind, content) != (".csv", "cut")], ids=str)
def test_damaged_files_are_named(tmp_path, kind, content):
    path = save(tmp_path / f"a{kind}")
    path.write_bytes(path.read_bytes()[:-10] if content == "cut" else content)
    with pytest.raises(FeatureError, match=f"a{kind} (is no|holds)") as caught:
        read_shape(path)
        load_rows(str(path))
    assert "\n" not in str(caught.value)


def test_a_table_with_a_short_last_row_is_damaged(tmp_path):
    (tmp_path / "a.csv").write_text("1,2,3\n4,5,6\n7,8")
    with pytest.raises(FeatureError, match="the first row has 3 numbers, the last 2"):
        read_shape(tmp_path / "a.csv")
