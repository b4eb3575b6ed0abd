"""Upstream's figures on generated folders, against a literal re-computation from the files."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from speceyes_cli.app import build_app
from speceyes_cli.host.manager import Host

LARGE, SMALL = "DeepEyes-7B", "Qwen3-VL-2B-Instruct"
SPLITS = [
    ("vstar", "direct_attributes", "vstar", "direct_attributes"),
    ("hr", "hr_bench_4k", "hrbench", "hrbench_4k"),
    ("pope", "random", "pope", "random"),
]
Gather = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def gather(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gather:
    """The JSON rows of paths below the test's folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> list[dict[str, Any]]:
        done = CliRunner().invoke(build_app(host), ["gather", *arguments, "--json"], obj=host)
        assert done.exit_code == 0, done.output
        rows: list[dict[str, Any]] = json.loads(done.stdout)
        return rows

    return run


Rows = list[dict[str, Any]]


class Folder:
    """A result folder as upstream writes it."""

    def __init__(self, root: Path, name: str = "eval_results_deepeyes", seed: int = 0) -> None:
        self.raw = root / name
        self.judged = root / name.replace("eval_results", "judge_results")
        self.raw.mkdir(parents=True)
        self.judged.mkdir(parents=True, exist_ok=True)
        self.chance = random.Random(seed)
        self.seconds: dict[str, float] = {}

    def add(self, name: str, rows: Rows, seconds: float, *, judge: bool = True) -> None:
        (self.raw / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        self.seconds[f"{name}.jsonl"] = seconds
        (self.raw / "latency_summary.json").write_text(json.dumps(self.seconds, indent=4))
        if judge:
            text = json.dumps(self.summary(rows, seconds), indent=4)
            (self.judged / f"{name}_acc.jsonl").write_text(text)

    def rows(self, count: int, *, screened: bool = True, small: float = 0.5) -> Rows:
        rows = []
        for number in range(count):
            failed = self.chance.random() < 0.1
            says_no = screened and self.chance.random() < 0.7
            by_small = says_no and not failed and self.chance.random() < small
            row = {
                "status": "error" if failed else "success",
                "error": "boom" if failed else "",
                "small_answer": "",
                "confidence_score": 0.99 if says_no else -1,
                "use_model": "small" if by_small else "large",
                "generated_length": self.chance.randint(1, 300),
                "judge_tc": "no" if says_no else "yes",
                "print_messages": [],
                "result": {"image": f"{number}.jpg", "pred_ans": "=1+1"},
                "_right": self.chance.random() < 0.8,
            }
            rows.append(row)
        return rows

    def summary(self, rows: Rows, seconds: float) -> dict[str, Any]:
        ok = [row for row in rows if row["status"] != "error"]
        small = [row for row in ok if row["use_model"] == "small"]
        large = [row for row in ok if row["use_model"] == "large"]

        def mean(values: list[float]) -> float:
            return sum(values) / len(values) if values else math.nan

        def percent(some: list[dict[str, Any]]) -> float:
            return 100 * mean([row["_right"] for row in some])

        lengths = [[row["generated_length"] for row in some] for some in (small, large)]
        return {
            "all_acc": percent(ok),
            "small_acc": percent(small),
            "large_acc": percent(large),
            "small_tokens": round(mean(lengths[0]), 1),
            "large_tokens": round(mean(lengths[1]), 1),
            "tokens_per_second": round(sum(map(sum, lengths)) / seconds, 1),
            "all_cnt": len(ok),
            "small_cnt": len(small),
            "small_ratio": 100 * len(small) / len(ok) if ok else 0.0,
            "large_cnt": len(large),
            "yes_cnt": sum(row.get("judge_tc") == "yes" for row in ok),
            "no_cnt": sum(row.get("judge_tc") == "no" for row in ok),
            "error_preds": [],
            "confidence_scores": [math.nan],
        }


def names(benchmark: str, split: str) -> tuple[str, str]:
    """The run's name and its baseline's."""
    start = f"{benchmark}_{split}_{LARGE}"
    return f"{start}_{SMALL}_8_min_0.98", f"{start}_baseline_8_None_None"


def recomputed(folder: Folder, name: str, baseline: str) -> dict[str, Any]:
    """What upstream's files say, its shares being percent and its token counts means of answers."""
    lines = (folder.raw / f"{name}.jsonl").read_text().splitlines()
    answered = [row for row in map(json.loads, lines) if row["status"] != "error"]
    judged = json.loads((folder.judged / f"{name}_acc.jsonl").read_text())
    latency = json.loads((folder.raw / "latency_summary.json").read_text())
    average = latency[f"{name}.jsonl"] / len(lines)
    before = latency[f"{baseline}.jsonl"] / len(
        (folder.raw / f"{baseline}.jsonl").read_text().splitlines()
    )
    beta = judged["no_cnt"] / (judged["yes_cnt"] + judged["no_cnt"])
    return {
        "n": len(lines),
        "accuracy": judged["all_acc"] / 100,
        "latency_mean_s": average,
        "speedup": before / average,
        "beta": beta,
        "alpha": judged["small_ratio"] / 100 / beta,
        "accept_rate": judged["small_ratio"] / 100,
        **{
            f"{model}_tokens": sum(
                row["generated_length"] for row in answered if row["use_model"] == model
            )
            for model in ("small", "large")
        },
        "tokens_per_second": judged["tokens_per_second"],
    }


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("benchmark", "split", "dataset", "ours"), SPLITS)
def test_every_figure_is_upstreams(
    gather: Gather, tmp_path: Path, seed: int, benchmark: str, split: str, dataset: str, ours: str
) -> None:
    folder = Folder(tmp_path, seed=seed)
    name, baseline = names(benchmark, split)
    folder.add(name, folder.rows(40), 123.4567)
    folder.add(baseline, folder.rows(37, screened=False), 345.6789)
    found = {row["method"]: row for row in gather("eval_results_deepeyes")}
    expected = recomputed(folder, name, baseline)
    row = found["speceyes"]
    assert {key: row[key] for key in expected} == expected
    assert (row["dataset"], row["split"], row["source"]) == (dataset, ours, "upstream")
    assert (row["gate"], row["threshold"], row["top_k"], row["batch_size"]) == ("min", 0.98, 64, 8)
    assert row["baseline"] == baseline
    assert found["baseline"]["speedup"] is None
    assert found["baseline"]["alpha"] is None


def test_a_share_below_one_percent_is_percent_too(gather: Gather, tmp_path: Path) -> None:
    """One right answer in 115: 0.8696, which is no 86.96%."""
    folder = Folder(tmp_path)
    name, _ = names("vstar", "direct_attributes")
    rows = folder.rows(115, small=0.0)
    for number, row in enumerate(rows):
        row |= {"status": "success", "_right": number == 0}
    rows[0] |= {"use_model": "small", "judge_tc": "no"}
    folder.add(name, rows, 10.0)
    assert '"all_acc": 0.8695' in (folder.judged / f"{name}_acc.jsonl").read_text()
    [row] = gather("eval_results_deepeyes")
    assert row["accuracy"] == pytest.approx(1 / 115)
    assert row["accept_rate"] == pytest.approx(1 / 115)
    assert row["alpha"] == pytest.approx(1 / 115 / row["beta"])


@pytest.mark.parametrize("path", ["mine", "judge_mine", "."])
def test_a_folder_of_another_name_is_judged_beside_it(
    gather: Gather, tmp_path: Path, path: str
) -> None:
    folder = Folder(tmp_path, "mine")
    name, _ = names("pope", "random")
    folder.judged = tmp_path / "judge_mine"
    folder.judged.mkdir()
    folder.add(name, folder.rows(20), 10.0)
    [row] = gather(path)
    assert row["accuracy"] is not None
    assert row["latency_mean_s"] == 0.5


def test_a_summary_that_counts_more_answers_than_there_are_is_read(
    gather: Gather, tmp_path: Path
) -> None:
    folder = Folder(tmp_path)
    name, _ = names("pope", "random")
    folder.add(name, folder.rows(20), 10.0)
    place = folder.judged / f"{name}_acc.jsonl"
    place.write_text(json.dumps(json.loads(place.read_text()) | {"all_cnt": 2000}))
    [row] = gather("eval_results_deepeyes")
    assert row["n"] == 20
    assert row["n_error"] >= 0


def test_tokens_are_totals_also_where_only_the_judge_tells(gather: Gather, tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    name, _ = names("pope", "random")
    folder.add(name, folder.rows(50), 10.0)
    [row] = gather(".")
    (folder.raw / f"{name}.jsonl").unlink()
    [alone] = gather(".")
    for model in ("small_tokens", "large_tokens"):
        assert alone[model] == pytest.approx(row[model], abs=0.05 * 50)


def test_all_splits_of_an_experiment_come_together(gather: Gather, tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    seconds = {"popular": (100.0, 300.0), "random": (50.0, 90.0)}
    for split, (mine, before) in seconds.items():
        name, baseline = names("pope", split)
        folder.add(name, folder.rows(30), mine)
        folder.add(baseline, folder.rows(30, screened=False), before)
    rows = gather("eval_results_deepeyes")
    [row] = [r for r in rows if r["method"] == "speceyes" and r["split"] == "all"]
    parts = [r for r in rows if r["method"] == "speceyes" and r["split"] != "all"]
    assert row["n"] == 60
    assert row["speedup"] == pytest.approx(390 / 150)
    answered = [part["n"] - part["n_error"] for part in parts]
    right = sum(p["accuracy"] * count for p, count in zip(parts, answered, strict=True))
    assert row["accuracy"] == pytest.approx(right / sum(answered))
    assert row["alpha"] == pytest.approx(row["accept_rate"] / row["beta"])


def test_nan_is_nothing(gather: Gather, tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    name, _ = names("vstar", "relative_position")
    folder.add(name, folder.rows(9, small=0.0), 10.0)
    text = (folder.judged / f"{name}_acc.jsonl").read_text()
    assert "NaN" in text
    (folder.judged / f"{name}_acc.jsonl").write_text(
        text.replace('"all_acc": ', '"all_acc": NaN, "x": ')
    )
    [row] = gather("eval_results_deepeyes")
    assert row["accuracy"] is None
    assert row["accept_rate"] == 0
    assert row["latency_mean_s"] == 10.0 / 9


def test_what_is_missing_is_told(gather: Gather, tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    name, _ = names("pope", "random")
    rows = folder.rows(20)
    folder.add(name, rows, 10.0, judge=False)
    folder.add(names("pope", "popular")[0], [], 3.0, judge=False)
    found = {row["split"]: row for row in gather("eval_results_deepeyes")}
    row, empty = found["random"], found["popular"]
    assert (row["accuracy"], row["speedup"]) == (None, None)
    assert "not judged, so no accuracy" in row["notes"]
    assert any("no baseline" in note for note in row["notes"])
    ok = [r for r in rows if r["status"] == "success"]  # counted where the judge has not
    no = sum(r["judge_tc"] == "no" for r in ok) / len(ok)
    small = sum(r["use_model"] == "small" for r in ok) / len(ok)
    assert (row["beta"], row["accept_rate"], row["alpha"]) == (no, small, small / no)
    assert (empty["n"], empty["accuracy"], empty["latency_mean_s"]) == (0, None, None)
    assert "the file is empty" in empty["notes"]


def test_specreason_is_measured_against_its_sibling_and_has_no_alpha(
    gather: Gather, tmp_path: Path
) -> None:
    eyes = Folder(tmp_path, "eval_results_deepeyes/SpecEyes")
    reason = Folder(tmp_path, "eval_results_deepeyes/SpecReason")
    _, baseline = names("vstar", "direct_attributes")
    eyes.add(baseline, eyes.rows(10, screened=False), 50.0)
    rows = [{k: v for k, v in row.items() if k != "judge_tc"} for row in reason.rows(10)]
    reason.add(f"vstar_direct_attributes_{LARGE}_{SMALL}_7.0", rows, 100.0)
    found = gather("eval_results_deepeyes/SpecReason")
    [row] = found
    assert (row["method"], row["threshold"], row["speedup"]) == ("specreason", 7.0, 0.5)
    assert (row["alpha"], row["beta"]) == (None, None)


def test_an_export_of_the_small_model_alone(gather: Gather, tmp_path: Path) -> None:
    folder = Folder(tmp_path, "eval_results_qwen3vl-2b-Instruct")
    rows = folder.rows(12)
    for row in rows:
        del row["confidence_score"], row["judge_tc"]
        row["confidence_score_infos"] = {"log": 0.9, "min": 0.8, "mean": 0.9, "bottom20": 0.8}
    folder.add(f"vstar_direct_attributes_{SMALL}", rows, 6.0)
    [row] = gather("eval_results_qwen3vl-2b-Instruct")
    assert (row["method"], row["n"], row["latency_mean_s"]) == ("draft", 12, 0.5)
    assert row["accept_rate"] == 1
    assert row["accuracy"] is not None
    assert (row["alpha"], row["beta"]) == (None, None)


def test_a_folder_of_judges_summaries_leads_to_the_answers(gather: Gather, tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    name, _ = names("pope", "random")
    folder.add(name, folder.rows(20), 10.0)
    [row] = gather("judge_results_deepeyes")
    assert row["latency_mean_s"] == 0.5
    (folder.raw / f"{name}.jsonl").unlink()
    [alone] = gather("judge_results_deepeyes")
    assert (alone["latency_mean_s"], alone["accuracy"]) == (None, row["accuracy"])
    assert alone["alpha"] == row["alpha"]


def test_of_several_baselines_that_of_equal_batch_is_taken_else_it_asks(
    gather: Gather, host: Host, tmp_path: Path
) -> None:
    folder = Folder(tmp_path)
    name, baseline = names("pope", "random")
    other = baseline.replace("_8_", "_1_")
    folder.add(name, folder.rows(10), 10.0)
    folder.add(other, folder.rows(10, screened=False), 30.0)
    folder.add(baseline, folder.rows(10, screened=False), 20.0)
    assert {r["method"]: r for r in gather(".")}["speceyes"]["speedup"] == 2.0
    (folder.raw / f"{baseline}.jsonl").rename(folder.raw / f"{other.replace('_1_', '_2_')}.jsonl")
    done = CliRunner().invoke(build_app(host), ["gather", "."], obj=host)
    assert done.exit_code == 2
    assert "several baselines" in done.stderr
    assert f"{other}.jsonl" in done.stderr
    assert "--baseline" in done.stderr
    chosen = str(folder.raw / f"{other}.jsonl")
    rows = gather(".", "--baseline", chosen)
    assert {r["method"]: r for r in rows if r["batch_size"] == 8}["speceyes"]["speedup"] == 3.0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"status": "success"}\n{"stat', "line 2: not JSON"),
        ("[1]\n", "line 1: not a JSON object"),
        ("\xff", "line 1: not JSON"),
    ],
)
def test_a_damaged_file_is_named(host: Host, tmp_path: Path, text: str, told: str) -> None:
    place = tmp_path / f"{names('pope', 'random')[0]}.jsonl"
    place.write_text(text)
    done = CliRunner().invoke(build_app(host), ["gather", str(tmp_path)], obj=host)
    assert done.exit_code == 2
    assert place.name in done.stderr
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
