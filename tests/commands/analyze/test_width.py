"""Every command that prints tables, on a terminal of 80 columns."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from typer.testing import Result

from speceyes_cli.commands.fitting_table import FittingTable
from tests.analysis.conftest import Spec
from tests.commands.analyze.conftest import WriteRun

Invoke = Callable[..., Result]
WIDTH = 80
NAME = "dots-looker-speceyes-min-0.98-00c0ffee"
"""As a run is named that is named by nobody."""
LEVELS = ("--max-loss", "0.05", "--risk", "0.2")


def drafts(count: int = 400) -> list[Spec]:
    """Of two splits; the surer a draft, the oftener it is right."""
    return [
        Spec(
            score := 0.6 + 0.399 * number / count,
            draft_right=(number * 7919 % count) / count < score,
            agent_right=number % 50 != 0,
            split=("test", "other")[number % 2],
            rivals=tuple(1.0 + place for place in range(63)),
        )
        for number in range(count)
    ]


@pytest.fixture
def runs(write_run: WriteRun, tmp_path: Path) -> Path:
    splits = ("test", "other")
    for at, threshold in enumerate((0.9, 0.98)):
        write_run(f"runs/{NAME}-{at}", drafts(), threshold=threshold, splits=splits)
    write_run(f"runs/{NAME}-both", drafts(), both_branches=True, splits=splits)
    return tmp_path / "runs"


@pytest.fixture
def narrow(invoke: Invoke, runs: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., set[str]]:
    """narrow("analyze", …): the words that the command prints, at 80 columns."""
    monkeypatch.setenv("COLUMNS", str(WIDTH))

    def run(*arguments: str) -> set[str]:
        done = invoke(*arguments)
        assert done.exit_code in (0, 1), done.output  # 1: the doctor found something
        assert done.exception is None or isinstance(done.exception, SystemExit)
        tables = [line for line in done.stdout.splitlines() if not line.endswith(".")]
        assert max(map(cell_len, tables)) <= WIDTH  # sentences are wrapped by the terminal
        assert "…" not in done.stdout
        return {word.strip(",.;:†│┃") for word in done.stdout.split()}

    assert runs.is_dir()
    return run


BOTH = f"runs/{NAME}-both"
GATES = {"min", "mean", "bottom20", "threshold"}


@pytest.mark.parametrize(
    ("line", "names"),
    [
        (
            ("plugins",),
            {"pixel-reasoner", "transformers", "mmerealworld", "speceyes-example", "specreason"},
        ),
        (("doctor",), {"speceyes", "endpoints", "transformers", "sandbox", "landlock"}),
        (
            ("analyze", "ablation", "runs", "--compare", "paper"),
            {"test", "other", "vstar/direct_attributes", "vstar/relative_position", "100.0]"},
        ),
        (("analyze", "confidence", BOTH), {f"{NAME}-both", *GATES, "AUROC", "modes", "(100.0%)"}),
        (("analyze", "replay", BOTH, "--gate", "all"), {f"{NAME}-both", *GATES, "speedup"}),
        (
            ("analyze", "calibrate", BOTH, "--gate", "all", *LEVELS, "--out", "c.json"),
            {f"{NAME}-both", *GATES, "coverage", "seconds"},
        ),
        (("analyze", "power", BOTH), {f"{NAME}-both", "samples", "coverage"}),
        (("gather", "runs", "--layout", "paper"), {"looker", "SpecEyes", "test", "other"}),
        (("data", "check", "dots"), {"near", "far", "samples", "findings"}),
    ],
    ids=lambda given: " ".join(given[:2]) if isinstance(given, tuple) else "",
)
def test_no_name_is_broken(
    narrow: Callable[..., set[str]], line: tuple[str, ...], names: set[str]
) -> None:
    assert names - narrow(*line) == set()


def test_nor_that_of_a_learned_gate(narrow: Callable[..., set[str]], tmp_path: Path) -> None:
    narrow("analyze", "learn", BOTH, *LEVELS, "--out", "gate.json")
    name = f"learned-{json.loads((tmp_path / 'gate.json').read_text())['digest'][:8]}"
    told = narrow("analyze", "confidence", BOTH, "--gate", "gate.json")
    assert {name, f"{NAME}-both", "difference", *GATES} - told == set()


def test_nor_in_what_compares_runs_with_a_certificate(narrow: Callable[..., set[str]]) -> None:
    narrow("analyze", "calibrate", BOTH, *LEVELS, "--out", "c.json")
    told = narrow("analyze", "drift", f"runs/{NAME}-1", "--certificate", "c.json")
    assert {f"{NAME}-1", f"{NAME}-both", "drafts", "accepted"} - told == set()


def test_nor_in_the_closing_table_of_a_run(narrow: Callable[..., set[str]]) -> None:
    told = narrow(
        *("eval", "--dataset", "needle", "--method", "draft", "--agent", "looker", "--limit", "2"),
        *("--small", "scripted", "--out", "runs/needle"),
    )
    assert {"direct_attributes", "relative_position", "answered", "percentile"} - told == set()


@given(
    st.lists(st.lists(st.text("ab .\u5b57", max_size=12), min_size=4, max_size=4), max_size=4),
    st.integers(1, 2),
    st.integers(80, 120),
)
def test_every_cell_is_whole_at_any_width(rows: list[list[str]], keys: int, width: int) -> None:
    columns = ("name", "a figure", "another one", "p")
    table = FittingTable("", columns, keys=keys)
    for row in rows:
        table.add_row(*row)
    console = Console(width=width, file=io.StringIO())
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    printed = console.file.getvalue()
    assert max(map(cell_len, printed.splitlines())) <= width
    for cell in (cell for row in rows for cell in row):
        assert cell.strip() in printed
