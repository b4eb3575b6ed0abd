from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from typer.testing import Result

from speceyes_cli.commands.gather.formats import as_csv, escape_latex
from speceyes_cli.core.tables.summaries import SummaryRow

Invoke = Callable[..., Result]


def test_json_holds_every_promised_field(invoke: Invoke, runs: Path) -> None:
    rows = json.loads(invoke("gather", str(runs), "--json").stdout)
    assert [(row["method"], row["split"]) for row in rows] == [
        (method, split) for method in ("baseline", "speceyes") for split in ("near", "far", "all")
    ]
    before, after = rows[2], rows[5]
    assert list(after)[:3] == ["run", "method", "agent"]
    assert before["speedup"] is None
    assert after["speedup"] > 0
    assert after["speedup_low"] <= after["speedup"] <= after["speedup_high"]
    assert 0 <= after["accuracy_low"] <= after["accuracy"] <= after["accuracy_high"] <= 1
    assert before["alpha"] is None
    assert before["beta"] is None
    assert before["accept_rate"] == 0.0


def test_the_baseline_is_found_beside_a_run_named_alone(invoke: Invoke, runs: Path) -> None:
    [run] = runs.glob("*speceyes*")
    rows = json.loads(invoke("gather", str(run), "--format", "json").stdout)
    assert {row["method"] for row in rows} == {"speceyes"}
    assert rows[-1]["speedup"] is not None


def test_the_table(invoke: Invoke, runs: Path) -> None:
    done = invoke("gather", str(runs))
    assert done.exit_code == 0
    assert "100.0 [" in done.stdout
    assert "speedup ×" in done.stdout


def test_markdown_and_csv(invoke: Invoke, runs: Path) -> None:
    lines = invoke("gather", str(runs), "--format", "markdown").stdout.splitlines()
    assert len(lines) == 2 + 6
    assert len({line.count("|") for line in lines}) == 1
    rows = list(csv.DictReader(invoke("gather", str(runs), "--format", "csv").stdout.splitlines()))
    assert len(rows) == 6
    assert rows[0]["speedup"] == ""
    assert float(rows[-1]["accuracy"]) == 1.0


def test_a_name_that_is_a_formula_is_text_in_a_spreadsheet(invoke: Invoke, runs: Path) -> None:
    [run] = runs.glob("*speceyes*")
    run.rename(runs / "=cmd")
    info = runs / "=cmd" / "run.json"
    info.write_text(info.read_text().replace(run.name, "=cmd"))
    told = invoke("gather", str(runs / "=cmd"), "--format", "csv").stdout
    assert "\n'=cmd,speceyes" in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere"], "nowhere does not exist"),
        (["."], "holds no run"),
        ([".", "--format", "jsn"], "no format 'jsn'; did you mean 'json'?"),
    ],
)
def test_bad_input_is_one_sentence(invoke: Invoke, arguments: list[str], told: str) -> None:
    done = invoke("gather", *arguments)
    assert done.exit_code == 2
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_damaged_run_is_named(invoke: Invoke, runs: Path) -> None:
    [run] = runs.glob("*speceyes*")
    (run / "run.json").write_text("{")
    done = invoke("gather", str(runs))
    assert done.exit_code == 0
    assert "left out: " in done.stderr
    assert run.name in done.stderr
    assert invoke("gather", str(run)).exit_code == 2


def test_two_baselines_of_one_configuration_ask_or_are_chosen(invoke: Invoke, runs: Path) -> None:
    [first] = runs.glob("*baseline*")
    shutil.copytree(first, runs / "again")
    done = invoke("gather", str(runs))
    assert done.exit_code == 2
    assert "has several baselines of the same configuration" in done.stderr
    assert "again" in done.stderr
    assert first.name in done.stderr
    assert "--baseline" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    told = invoke("gather", str(runs), "--json", "--baseline", str(runs / "again")).stdout
    rows = json.loads(told)
    assert {row["baseline"] for row in rows} == {first.name, None}
    assert {row["baseline_folder"] for row in rows} == {str(runs / "again"), None}


def test_a_draft_beside_two_agents_is_measured_against_the_one_that_is_named(
    invoke: Invoke, evaluate: Invoke, runs: Path
) -> None:
    assert evaluate("--method", "draft").exit_code == 0
    [first], other = runs.glob("*baseline*"), runs / "other"
    shutil.copytree(first, other)
    info = json.loads((other / "run.json").read_text())
    info["config"]["agent"] = "another"
    (other / "run.json").write_text(json.dumps(info))

    def draft(*more: str) -> dict[str, object]:
        rows = json.loads(invoke("gather", str(runs), "--json", *more).stdout)
        return {row["method"]: row for row in rows}["draft"]

    unsure, sure = draft(), draft("--baseline", str(other))
    assert unsure["baseline"] is None
    [told] = unsure["notes"]
    assert "baselines of another and " in told
    assert sure["baseline"] == first.name
    assert sure["notes"] == []


def test_a_baseline_of_another_configuration_is_refused(invoke: Invoke, runs: Path) -> None:
    [run] = runs.glob("*speceyes*")
    done = invoke("gather", str(runs), "--baseline", str(run))
    assert done.exit_code == 2
    assert "is no baseline of any run gathered" in done.stderr
    assert "nowhere does not exist" in invoke("gather", ".", "--baseline", "nowhere").stderr


def test_the_figures_against_the_baseline(invoke: Invoke, runs: Path) -> None:
    row = json.loads(invoke("gather", str(runs), "--json").stdout)[-1]
    assert (row["both_right"], row["both_wrong"], row["gain"], row["harm"]) == (4, 0, 0, 0)
    assert row["mcnemar_p"] == 1.0
    assert row["verdicts"] == {"rule": 1.0}
    assert row["tokens_per_second"] > 0
    assert (row["gate"], row["threshold"], row["top_k"]) == ("min", 0.98, 64)
    assert row["accuracy_all_low"] == row["accuracy_low"]


def test_sort_and_group(invoke: Invoke, runs: Path) -> None:
    def rows(*arguments: str) -> list[tuple[str, str]]:
        told = json.loads(invoke("gather", str(runs), "--json", *arguments).stdout)
        return [(row["method"], row["split"]) for row in told]

    assert [split for _, split in rows("--sort", "-n")] == ["all", "all", *["near", "far"] * 2]
    assert [method for method, _ in rows("--sort", "-speedup")][-3:] == ["baseline"] * 3
    assert [split for _, split in rows("--group-by", "split")] == [
        *["near"] * 2,
        *["far"] * 2,
        *["all"] * 2,
    ]
    done = invoke("gather", str(runs), "--sort", "spedup")
    assert done.exit_code == 2
    assert "did you mean 'speedup'?" in done.stderr


def test_latex_is_escaped(invoke: Invoke, runs: Path) -> None:
    [run] = runs.glob("*speceyes*")
    info = run / "run.json"
    info.write_text(info.read_text().replace(f'"name": "{run.name}"', '"name": "[a_b%#{x}"'))
    told = invoke("gather", str(runs), "--format", "latex").stdout
    assert r"{}[a\_b\%\#\{x\}" in told
    assert told.count(r" \\") == 7
    assert told.startswith(r"\begin{tabular}{ll")
    assert "α" not in told
    assert {line.count(" & ") for line in told.splitlines() if " & " in line} == {
        told.splitlines()[2].count(" & ")
    }


@given(st.text())
@example("[")
@example("\\[")
def test_no_text_stays_a_formula_or_a_command(text: str) -> None:
    written = as_csv([row_named(text)], [], paper=False)
    [_, cells] = csv.reader(io.StringIO(written))
    assert cells[0].lstrip(" ")[:1] not in ("=", "+", "-", "@", "\t", "\r", "\n")
    known = r"\{\}(?=[\[*])|\\(?:[&%$#_{}]|text\w+\{\}|dots\{\})|\$\\?\w+\$|\$-\$"
    bare = re.sub(known, "", escape_latex(text))
    assert not set(bare) & set("\\&%$#_{}~^")


def row_named(name: str) -> SummaryRow:
    required = {
        field: None
        for field, about in SummaryRow.model_fields.items()
        if about.is_required() and field not in ("run", "method", "agent", "dataset", "split")
    }
    words = {"method": "m", "agent": "a", "dataset": "d", "split": "s", "phase_mean_s": {}}
    numbers = {"n": 0, "n_error": 0, "n_undecided": 0}
    return SummaryRow.model_validate({**required, **words, **numbers, "run": name})


def test_the_papers_figures_beside_ours(invoke: Invoke, tmp_path: Path) -> None:
    folder = tmp_path / "eval_results"
    folder.mkdir()
    name = "vstar_relative_position_DeepEyes-7B_Qwen3-VL-2B-Instruct_8_min_0.98"
    (folder / f"{name}.jsonl").write_text('{"status": "success", "judge_tc": "no"}\n' * 4)
    judged = tmp_path / "judge_results"
    judged.mkdir()
    (judged / f"{name}_acc.jsonl").write_text('{"all_acc": 75.0, "all_cnt": 4}')
    done = invoke("gather", "eval_results", "--compare", "paper", "--json")
    [row] = json.loads(done.stdout)
    assert row["paper"]["accuracy"] == pytest.approx(0.8947)
    assert row["paper"]["accuracy_difference"] == pytest.approx(0.75 - 0.8947)
    assert row["paper"]["speedup"] == 1.90
    shown = invoke("gather", "eval_results", "--compare", "paper", "--format", "markdown").stdout
    assert "| 89.47 | -14.47 pp | 1.90 |" in shown
    assert invoke("gather", "eval_results", "--compare", "rumour").exit_code == 2


@pytest.mark.parametrize(
    ("split", "stem", "accuracy", "speedup"),
    [
        ("vstar_direct_attributes", "DeepEyes-7B_S_8_min_0.97", 0.8696, 1.81),
        ("vstar_direct_attributes", "DeepEyes-7B_S_8_min_0.98_K=96", 0.8696, 1.81),
        ("vstar_direct_attributes", "DeepEyes-7B_S_8_min_0.5", None, None),
        ("pope_popular", "DeepEyes-7B_S_16_min_0.98", 0.87, 2.18),
        ("pope_popular", "DeepEyes-7B_S_6_min_0.98", 0.87, None),
        ("vstar_direct_attributes", "DeepEyes-7B_S_6_min_0.97", 0.8696, None),
        ("hr_hr_bench_8k", "Thyme-RL_S_8_log_0.98", 0.7084, 1.06),
        ("hr_hr_bench_8k", "Thyme-RL_baseline_1_None_None", 0.7243, None),
        ("pope_random", "Thyme-RL_S_7.0", 0.9027, 0.46),
        ("pope_random", "S", 0.8647, 4.07),
        ("pope_random", "Other-7B_S_8_min_0.98", None, None),
    ],
)
def test_the_paper_is_matched_by_configuration(
    invoke: Invoke,
    tmp_path: Path,
    split: str,
    stem: str,
    accuracy: float | None,
    speedup: float | None,
) -> None:
    (tmp_path / f"{split}_{stem}.jsonl").write_text('{"status": "success"}\n')
    [row] = json.loads(invoke("gather", ".", "--compare", "paper", "--json").stdout)
    assert row["paper"]["speedup"] == speedup
    assert row["paper"]["accuracy"] == (accuracy and pytest.approx(accuracy))


def test_watching_shows_a_run_that_comes_and_ends_on_ctrl_c(
    runs: Path, example_site: Path, tmp_path: Path
) -> None:
    [run] = runs.glob("*speceyes*")
    run.rename(tmp_path / "later")
    screen, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "speceyes_cli", "gather", "--watch", str(runs)],
        env={**os.environ, "PYTHONPATH": str(example_site), "COLUMNS": "250", "TERM": "xterm"},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    try:
        read_until(screen, "1 runs, 0 going")
        (tmp_path / "later").rename(runs / "later")
        read_until(screen, "2 runs, 0 going")
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):
            while os.read(screen, 4096):
                pass
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(screen)


def read_until(screen: int, wanted: str) -> None:
    seen = ""
    while wanted not in seen:
        seen += os.read(screen, 4096).decode("utf-8", "replace")


def test_watching_needs_a_terminal(invoke: Invoke, runs: Path) -> None:
    done = invoke("gather", "--watch", str(runs))
    assert done.exit_code == 2
    assert "--watch needs a terminal" in done.stderr
