"""The public face: what `import losa` offers, what it costs, and that editors are told the same."""

import ast
import subprocess
import sys

import pytest

import losa
from helpers.paths import ROOT


def test_every_public_name_comes_from_its_room():
    for name, place in losa.PLACES.items():
        assert getattr(losa, name).__module__ == f"losa.{place}", name
    assert set(losa.__all__) <= set(dir(losa)) and losa.__all__ == sorted(losa.PLACES)


def test_editors_are_told_the_same_as_the_program():
    tree = ast.parse((ROOT / "losa" / "__init__.py").read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    told = {alias.name: node.module.removeprefix("losa.") for node in block.body for alias in node.names
            if alias.asname == alias.name}  # `import x as x` is what type checkers take for public
    assert told == losa.PLACES


def test_an_unknown_name_is_an_attribute_error_that_lists_the_known_ones():
    with pytest.raises(AttributeError, match="'losa' has no attribute 'trian'; public are .*train"):
        losa.trian  # noqa: B018


def test_importing_loads_nothing_heavy():
    code = "import sys, losa; losa.Config; assert not {'torch', 'numpy', 'pandas', 'av'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
