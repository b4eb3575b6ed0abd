from __future__ import annotations

from collections.abc import Callable

import pytest
from typer.testing import Result

Invoke = Callable[..., Result]
SWEEP = (
    *("--large", "scripted?delay=0.005", "--split", "near"),
    *("--sweep", "method=speceyes,specreason,baseline,draft"),
)


def lines(done: Result) -> list[list[str]]:
    """The table's rows of cells."""
    rows = [line.split("│") for line in done.stdout.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in row[1:-1]] for row in rows]


def test_one_sweep_gives_the_rows_of_the_paper(evaluate: Invoke, invoke: Invoke) -> None:
    assert evaluate(*SWEEP, "--sweep", "gate=min,mean,log,bottom20").exit_code == 0
    done = invoke("gather", "runs", "--layout", "paper")
    assert done.exit_code == 0
    rows = lines(done)
    assert [row[1] for row in rows] == [
        "draft only",
        "baseline",
        "SpecReason",
        "SpecEyes log",
        "SpecEyes mean",
        "SpecEyes bottom20",
        "SpecEyes min",
    ]
    assert [row[0] for row in rows] == ["–", "looker", "", "", "", "", ""]
    assert rows[1][2] == "100.00  1.00×"
    assert all("×" in row[2] for row in rows[2:])
    assert rows[3][2].endswith("×*")
    assert "* rests on calls replayed" in done.stdout


def test_the_small_model_alone_stands_beside_every_agent(invoke: Invoke) -> None:
    words = ("--dataset", "dots", "--limit", "4", "--small", "scripted?delay=0.001", "--no-cache")
    slow = ("--large", "scripted?delay=0.005", "--split", "near", "--max-errors", "9")
    sweep = ("--sweep", "agent=looker,deepeyes", "--sweep", "method=draft,baseline")
    invoke("eval", *words, *slow, *sweep)
    rows = lines(invoke("gather", "runs", "--layout", "paper"))
    assert [row[:2] for row in rows] == [
        ["deepeyes", "draft only"],
        ["", "baseline"],
        ["looker", "draft only"],
        ["", "baseline"],
    ]
    assert all("×" in row[2] for row in rows)


def test_the_table_of_a_paper_is_latex(evaluate: Invoke, invoke: Invoke) -> None:
    evaluate("--sweep", "method=speceyes,baseline,draft", "--large", "scripted?delay=0.005")
    told = invoke("gather", "runs", "--layout", "paper", "--format", "latex").stdout
    lines = told.splitlines()
    assert lines[0] == r"\begin{tabular}{llrrrrrr}"
    assert lines[1] == r"\toprule"
    assert r"\multicolumn{2}{c}{near} & \multicolumn{2}{c}{far} & \multicolumn{2}{c}{all}" in told
    assert r"\cmidrule(lr){3-4} \cmidrule(lr){5-6} \cmidrule(lr){7-8}" in told
    cells = [line for line in lines if line.count(" & ") == 7]
    assert [line.split(" & ")[1] for line in cells] == [
        "method",
        "draft only",
        "baseline",
        "SpecEyes min",
    ]
    assert cells[2].startswith(r"looker & baseline & 100.00 & 1.00$\times$")
    assert lines[-2] == r"\end{tabular}"
    assert lines[-1].startswith("% Accuracy in percent")


def test_measured_speedups_have_no_star(evaluate: Invoke, invoke: Invoke) -> None:
    evaluate(*SWEEP, "--no-cache")
    done = invoke("gather", "runs", "--layout", "paper")
    assert "*" not in done.stdout


def test_runs_of_one_name_are_told_apart(evaluate: Invoke, invoke: Invoke) -> None:
    evaluate("--sweep", "threshold=0.9,0.98", "--sweep", "top-k=32,64")
    names = [row[1] for row in lines(invoke("gather", "runs", "--layout", "paper"))]
    assert names == [f"SpecEyes min > {t}, K {k}" for t in (0.9, 0.98) for k in (32, 64)]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--layout", "papr"], "no layout 'papr'; did you mean 'paper'?"),
        (["--layout", "paper", "--json"], "--layout paper is a table"),
        (["--layout", "paper", "--sort", "accuracy"], "--layout paper is a table"),
        (["--layout", "paper", "--compare", "paper"], "--layout paper is a table"),
        (["--json", "--format", "csv"], "--json is short for --format json"),
        (["--watch", "--json"], "--watch shows the table"),
        (["--watch", "--baseline", "runs"], "--watch shows the table"),
    ],
)
def test_what_cannot_be_laid_out_is_told(
    evaluate: Invoke, invoke: Invoke, arguments: list[str], told: str
) -> None:
    evaluate()
    done = invoke("gather", "runs", *arguments)
    assert done.exit_code == 2
    assert told in done.stderr
