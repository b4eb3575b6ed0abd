"""Every rule that CONTRIBUTING.md states, held against the code."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
PACKAGES = {
    "speceyes_cli": "speceyes_cli",
    "kernels/speceyes_kernels": "speceyes_kernels",
    "plugins/speceyes_plugins": "speceyes_plugins",
    "datasets/speceyes_datasets": "speceyes_datasets",
    "judges/speceyes_judges": "speceyes_judges",
    "training/speceyes_training": "speceyes_training",
}
CODE = (*PACKAGES, "tests", "benchmarks")

MOST_LINES = 400
LONGER_FILES = {
    "speceyes_cli/core/replies/sentences.py": "the forms in which a sentence names its answer",
    "tests/core/scheduling/test_scheduler.py": "one fake clock and engine serve all its cases",
    "tests/host/test_wrong_plugins.py": "one table of everything that can be wrong",
}
"""Files that may be longer, and why."""
MOST_FUNCTION_LINES = 60
LONGER_FUNCTIONS = {
    "speceyes_cli/serve/http/metrics.py:__init__": "a list of metrics, one after another",
}
"""Functions that may be longer, and why."""
NOT_FROZEN = {
    "speceyes_cli/core/scheduling/trajectories.py:Trajectory": "the scheduler's own bookkeeping",
    "speceyes_cli/core/scheduling/trajectories.py:Job": "a worker writes its outcome into it",
    "speceyes_cli/core/scheduling/engine_groups.py:EngineGroup": "counts its idle workers",
    "speceyes_cli/core/call_cache/store.py:CacheCounts": "counts hits and misses",
}
"""Dataclasses that are not frozen, and why they are no values between layers."""


class Function(NamedTuple):
    path: str
    node: ast.FunctionDef | ast.AsyncFunctionDef


def sources(*folders: str) -> Iterator[tuple[str, str]]:
    """Every Python file of the folders that git would keep: (path, text)."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "__pycache__" not in path.parts:
                yield path.relative_to(ROOT).as_posix(), path.read_text()


def functions(*folders: str) -> Iterator[Function]:
    for path, text in sources(*folders):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield Function(path, node)


def test_no_file_is_too_long() -> None:
    long = {path for path, text in sources(*CODE) if len(text.splitlines()) > MOST_LINES}
    assert long <= set(LONGER_FILES)


def test_no_function_is_too_long() -> None:
    long = {
        f"{path}:{node.name}"
        for path, node in functions(*CODE)
        if (node.end_lineno or 0) - node.lineno + 1 > MOST_FUNCTION_LINES
    }
    assert long <= set(LONGER_FUNCTIONS)


def test_ruff_limits_parameters() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    assert settings["pylint"]["max-args"] == 8
    assert "PLR0913" not in settings["ignore"]


def test_what_is_public_has_a_docstring() -> None:
    bare = []
    for path, text in sources(*PACKAGES):
        tree = ast.parse(text)
        if text.strip() and ast.get_docstring(tree) is None:
            bare.append(path)
        bare += [f"{path}:{name}" for name, node in public(tree) if ast.get_docstring(node) is None]
    assert bare == []


def public(tree: ast.Module | ast.ClassDef, within: str = "") -> Iterator[tuple[str, ast.AST]]:
    """Public classes and functions, and the public methods of public classes."""
    for node in tree.body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if node.name.startswith("_") or any("overload" in ast.unparse(d) for d in decorators(node)):
            continue
        yield f"{within}{node.name}", node
        if isinstance(node, ast.ClassDef):
            yield from public(node, f"{node.name}.")


def decorators(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.expr]:
    return node.decorator_list


def test_values_between_layers_are_frozen() -> None:
    loose = {
        f"{path}:{node.name}"
        for path, text in sources("speceyes_cli/core", "speceyes_cli/host")
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
        for decorator in node.decorator_list
        if "dataclass" in ast.unparse(decorator) and "frozen=True" not in ast.unparse(decorator)
    }
    assert loose <= set(NOT_FROZEN)


@pytest.mark.parametrize(
    "folder",
    [
        *("core/gate", "core/run", "core/judging"),
        *("plugins/agents/deepeyes", "plugins/agents/clones"),
    ],
)
def test_parsers_the_gate_and_the_store_have_property_tests(folder: str) -> None:
    files = (ROOT / "tests" / folder).glob("test_*.py")
    assert any("hypothesis" in path.read_text() for path in files)


def test_every_benchmark_that_a_page_names_is_there() -> None:
    pages = [ROOT / "README.md", CONTRIBUTING, *sorted((ROOT / "docs").rglob("*.md"))]
    text = "\n".join(path.read_text() for path in pages)
    named = set(re.findall(r"benchmarks/(\w+)\.py", text))
    assert len(named) > 5
    assert named <= {path.stem for path in (ROOT / "benchmarks").glob("*.py")}


def test_the_table_of_folders_is_true() -> None:
    rows = re.findall(r"^\| `([\w/]+)`", CONTRIBUTING.read_text(), re.MULTILINE)
    children = {
        f"speceyes_cli/{path.name}"
        for path in (ROOT / "speceyes_cli").iterdir()
        if path.is_dir() and path.name != "__pycache__"
    }
    others = set(PACKAGES) - {"speceyes_cli"}
    assert set(rows) == children | others | {"speceyes_cli/plugin"}


def test_the_commands_of_the_page_are_those_of_ci() -> None:
    page, script = CONTRIBUTING.read_text(), (ROOT / ".ci" / "run").read_text()
    for verb in ("ruff check", "ruff format --check", "lint-imports", "mypy", "pytest"):
        assert verb in page
        assert verb in script


def test_built_ins_use_the_plugin_api_alone() -> None:
    """As third parties must, and also within functions, which import-linter sees too."""
    for path, text in sources(*PACKAGES):
        if path.startswith(("plugins/", "datasets/", "judges/")):
            for module in imported(text):
                if module.startswith("speceyes_cli"):
                    assert module == "speceyes_cli.plugin", path


def imported(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)


FORBIDDEN = {
    "commands use the host and the analysis, both use core": (
        "speceyes_cli/analysis/ties.py",
        "import speceyes_cli.host.manager",
    ),
    "core knows no torch and no Typer": (
        "speceyes_cli/core/text.py",
        "import torch",
    ),
    "the program never imports a plugin by name": (
        "speceyes_cli/host/metrics.py",
        "import speceyes_plugins.agents.tags",
    ),
    "plugins see the plugin API only": (
        "plugins/speceyes_plugins/agents/tags.py",
        "import speceyes_cli.core.text",
    ),
    "what runs beside model-written code imports nothing of the program": (
        "plugins/speceyes_plugins/sandbox/worker/block.py",
        "import speceyes_cli.plugin",
    ),
    "kernels stand alone": (
        "kernels/speceyes_kernels/record.py",
        "import speceyes_cli.plugin",
    ),
    "kernels need torch and triton only": (
        "kernels/speceyes_kernels/groups.py",
        "import transformers",
    ),
    "datasets and judges need no kernels": (
        "datasets/speceyes_datasets/pope.py",
        "import speceyes_kernels.groups",
    ),
}
"""For each contract a file of the tree and an import that it must not have."""


def contracts() -> list[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return [contract["name"] for contract in settings["tool"]["importlinter"]["contracts"]]


def test_each_import_rule_refuses_a_forbidden_import(tmp_path: Path) -> None:
    """In a copy of the tree, so that a contract that forbids nothing is found."""
    assert set(FORBIDDEN) == set(contracts())
    without = shutil.ignore_patterns("__pycache__", "weights", "*.safetensors")
    for folder in {Path(package).parts[0] for package in PACKAGES}:
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=without)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for path, statement in FORBIDDEN.values():
        with (tmp_path / path).open("a") as file:
            file.write(f"\n{statement}\n")
    folders = [tmp_path, *(tmp_path / Path(package).parent for package in PACKAGES)]
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as m; m()"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders)), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    for name, (path, statement) in FORBIDDEN.items():
        assert f"{name} BROKEN" in done.stdout
        report = done.stdout.partition(f"\n{name}\n")[2]
        module = statement.split()[1]
        first = report.split("\n\n")[1] if "\n\n" in report else report
        assert module.split(".")[0] in report, (path, first)


@pytest.mark.parametrize("package", sorted(set(PACKAGES.values())))
def test_every_package_is_under_the_import_rules(package: str) -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    assert package in settings["root_packages"]
    assert settings["include_external_packages"]


def test_every_room_of_the_program_is_closed_to_plugins() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    [contract] = [c for c in settings["contracts"] if c["name"].startswith("plugins see")]
    rooms = {
        f"speceyes_cli.{path.stem}"
        for path in (ROOT / "speceyes_cli").iterdir()
        if path.stem not in ("plugin", "__init__", "__main__", "__pycache__", "py")
        and (path.is_dir() or path.suffix == ".py")
    }
    assert set(contract["forbidden_modules"]) == rooms
