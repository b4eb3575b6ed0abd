"""`analyze confidence` on the files that upstream's judge writes of the small model alone."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from tests.analysis.conftest import Spec
from tests.commands.analyze.conftest import WriteRun

Invoke = Callable[..., Result]
GATES = ("log", "min", "mean", "bottom20")


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    """Two splits of one small model; in a folder of another name, so judged beside it."""
    chance = random.Random(0)
    for folder in ("small", "judge_small"):
        (tmp_path / folder).mkdir()
    for split, count in (("direct_attributes", 80), ("relative_position", 60)):
        infos: dict[str, dict[str, list[float]]] = {g: {"wrong": [], "right": []} for g in GATES}
        for place in range(count):
            right = place % 4 > 0
            for gate in GATES:
                kind = "right" if right else "wrong"
                infos[gate][kind].append(0.5 + 0.4 * chance.random() + 0.08 * right)
        infos["min"]["wrong"].append(math.nan)
        name = f"vstar_{split}_Qwen3-VL-2B-Instruct_32"
        (tmp_path / "small" / f"{name}.jsonl").write_text(
            '{"status": "success", "confidence_score_infos": {}}\n' * count
        )
        told = {"all_acc": 75.0, "all_cnt": count, "small_acc": math.nan, "conf_infos": infos}
        (tmp_path / "judge_small" / f"{name}_acc.jsonl").write_text(json.dumps(told, indent=4))
    return tmp_path / "small"


@pytest.mark.parametrize("path", ["small", "judge_small"])
def test_every_gate_by_split_with_deciles(invoke: Invoke, exports: Path, path: str) -> None:
    assert exports.is_dir()
    done = invoke("analyze", "confidence", path)
    assert done.exit_code == 0, done.output
    for text in ("small/Qwen3-VL-2B-Instruct_32 · 140 drafts, 75.0% right", "decile"):
        assert text in done.stdout
    for split in ("direct_attributes · 80 drafts", "relative_position · 60 drafts"):
        assert split in done.stdout
    [told] = json.loads(invoke("analyze", "confidence", path, "--json").stdout)
    assert [row["gate"] for row in told["gates"]] == list(GATES)
    assert all(row["n"] == 140 and len(row["calibration"]) == 10 for row in told["gates"])
    assert all(row["auroc"] > 0.55 for row in told["gates"])
    assert set(told["splits"]) == {"direct_attributes", "relative_position"}
    assert (Path(told["figures"][0])).exists()


def change(exports: Path, make: Callable[[dict[str, dict[str, list[float]]]], object]) -> None:
    """Change the scores of every judged file."""
    for file in (exports.parent / "judge_small").iterdir():
        told = json.loads(file.read_text())
        told["conf_infos"] = make(told["conf_infos"])
        file.write_text(json.dumps(told))


def test_a_gate_with_one_score_is_left_out(invoke: Invoke, exports: Path) -> None:
    same = {"wrong": [0.5] * 20, "right": [0.5] * 60}
    change(exports, lambda infos: {**infos, "mean": same})
    done = invoke("analyze", "confidence", "small", "--json")
    assert done.exit_code == 0, done.output
    [told] = json.loads(done.stdout)
    assert [row["gate"] for row in told["gates"]] == ["log", "min", "bottom20"]
    change(exports, lambda _: {"mean": same})
    done = invoke("analyze", "confidence", "small")
    assert done.exit_code == 2
    assert "drafts of small/Qwen3-VL-2B-Instruct_32 have the same mean score, 0.5" in done.stderr


def test_scores_that_are_none_are_left_out(invoke: Invoke, exports: Path) -> None:
    change(
        exports, lambda infos: {g: {**i, "wrong": [*i["wrong"], 10**400]} for g, i in infos.items()}
    )
    [told] = json.loads(invoke("analyze", "confidence", "small", "--json").stdout)
    assert all(row["n"] == 140 for row in told["gates"])


def test_splits_without_a_gate_in_common(invoke: Invoke, exports: Path) -> None:
    gates = iter(GATES)

    def one(infos: dict[str, dict[str, list[float]]]) -> object:
        gate = next(gates)
        return {gate: infos[gate]}

    change(exports, one)
    done = invoke("analyze", "confidence", "small")
    assert done.exit_code == 2
    assert "have no gate in common" in done.stderr


def test_runs_and_exports_are_not_mixed(invoke: Invoke, exports: Path, write_run: WriteRun) -> None:
    write_run("runs/a", [Spec(0.9), Spec(0.5, draft_right=False)])
    done = invoke("analyze", "confidence", str(exports), "runs")
    assert done.exit_code == 2
    assert "holds runs and other paths upstream's exports" in done.stderr


def test_a_damaged_export_is_named(invoke: Invoke, exports: Path) -> None:
    [first, *_] = sorted((exports.parent / "judge_small").iterdir())
    first.write_text("{")
    done = invoke("analyze", "confidence", "small")
    assert done.exit_code == 2
    assert first.name in done.stderr
