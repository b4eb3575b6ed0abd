"""The examples in the Python API's docstrings, run on the embedded pair."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import speceyes_cli

NAMES = sorted(set(speceyes_cli.__all__) - {"SpecEyesError", "Sample", "ResultTable", "Decision"})
"""What is called; the others are what calls give, and are shown in the calls' examples."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notebook")


@pytest.mark.parametrize("name", [*(n for n in NAMES if n != "FinishedRun")])
def test_each_example_is_true(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    value = getattr(speceyes_cli, name)
    module = importlib.import_module(value.__module__)
    found = doctest.DocTestFinder(recurse=False).find(value, name, module)
    assert sum(len(example.examples) for example in found) > 0
    for example in found:
        result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example)
        assert (result.attempted > 0, result.failed) == (True, 0)
