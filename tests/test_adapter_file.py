"""An adapter in a file of the user's own: its name, its class, and which changes of its code count."""

import pytest
from torch import nn

from losa.adapter_file import load_adapter_class, split_adapter_name, strip_comments
from losa.errors import LosaError
from losa.model.adapters import ADAPTERS, find_adapter


def test_a_file_is_read_anew_each_time(tmp_path):
    file = tmp_path / "mine.py"
    for size in (1, 2):
        file.write_text(f"from torch import nn\n\n\nclass Mine(nn.Module):\n    size = {size}\n")
        assert find_adapter(f"{file}:Mine").size == size
    with pytest.raises(ValueError, match="no nn.Module called Nine; it has Mine$"):
        find_adapter(f"{file}:Nine")
    with pytest.raises(FileNotFoundError, match="there is no .*gone.py; give FILE.py:NAME"):
        find_adapter(f"{tmp_path}/gone.py:Mine")
    for wrong, why in {"class Mine(": "SyntaxError", "import not_there": "No module named 'not_there'"}.items():
        file.write_text(wrong)
        with pytest.raises(ValueError, match=f"mine.py does not run: .*{why}"):
            find_adapter(f"{file}:Mine")


def test_what_is_wrong_with_the_file_is_an_error_that_the_command_shows_as_one_line(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("Mine = 3")
    with pytest.raises(LosaError, match="has no nn.Module called Mine; it has none at all"):
        load_adapter_class(f"{file}:Mine", nn.Module)


def test_names_of_files_and_of_our_own():
    assert split_adapter_name("a folder/mine.py:Mine") == ("a folder/mine.py", "Mine")
    assert split_adapter_name("temporal") == split_adapter_name(None) == ("", "")
    assert find_adapter("temporal") is ADAPTERS["temporal"]


def test_comments_and_layout_do_not_count_and_magics_stay():
    assert strip_comments("a = 1  # one\n\n\nb=2") == strip_comments("a=1\nb = 2 # two") != strip_comments("a = 2")
    assert strip_comments("%matplotlib inline\n") == "%matplotlib inline"
