from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from speceyes_example.scripted import ScriptedEngine
from typer.testing import Result

from speceyes_cli.core.chat import Ask
from speceyes_cli.core.run.store import read_run

Invoke = Callable[..., Result]
TABLE = (
    *("--sweep", "method=draft,baseline,specreason,speceyes"),
    *("--sweep", "gate=min,mean,first", "--threshold", "0.98"),
)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Ask]:
    """Every ask that reaches a model."""
    seen: list[Ask] = []
    generate = ScriptedEngine.generate

    def count(engine: ScriptedEngine, asks: Sequence[Ask]) -> Any:
        seen.extend(asks)
        return generate(engine, asks)

    monkeypatch.setattr(ScriptedEngine, "generate", count)
    return seen


def decisions(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """What every run in a folder answered and why, timings aside."""
    return {
        run.parent.name: [
            (r.split, r.sample_id, r.route, r.text, r.confidence, r.passed_screen, r.draft)
            for r in read_run(run.parent)[1]
        ]
        for run in folder.glob("*/run.json")
    }


def test_a_second_threshold_costs_no_call(evaluate: Invoke, asked: list[Ask]) -> None:
    evaluate("--sweep", "threshold=0.98")
    made = len(asked)
    done = evaluate("--sweep", "threshold=0.94:0.98:0.01", "--out", "again")
    assert done.exit_code == 0, done.output
    assert len(asked) == made
    assert "calls replayed, 0 made." in done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("3 of 5 · ")]


def test_a_looser_threshold_runs_fewer_agents_and_a_stricter_one_only_those(
    evaluate: Invoke, asked: list[Ask]
) -> None:
    done = evaluate("--split", "near", "--sweep", "threshold=0.1,0.98")
    assert done.exit_code == 0
    agents = [ask.trajectory for ask in asked if ask.phase == "agent"]
    drafts = [ask.trajectory for ask in asked if ask.phase == "draft"]
    assert len(drafts) == len(set(drafts)) == 4
    assert len(agents) == 2 * len(set(agents))  # two turns each, no third for the second point


def test_replaying_is_the_same_as_computing(evaluate: Invoke, tmp_path: Path) -> None:
    for out, how in (("fresh", "--no-cache"), ("first", "--cache"), ("again", "--cache")):
        done = evaluate(*TABLE, "--out", out, how)
        assert done.exit_code == 0, done.output
    fresh, first, again = (decisions(tmp_path / out) for out in ("fresh", "first", "again"))
    assert len(fresh) == 6
    assert fresh == first == again


def test_cached_time_is_marked(evaluate: Invoke, invoke: Invoke, tmp_path: Path) -> None:
    slow = ("--large", "scripted?delay=0.01", "--split", "near")
    done = evaluate("--sweep", "method=baseline,speceyes", *slow)
    assert "* rests on calls replayed" in done.stdout
    rows = json.loads(invoke("gather", "runs", "--json").stdout)
    baseline, speceyes = (
        next(row for row in rows if row["method"] == method and row["split"] == "all")
        for method in ("baseline", "speceyes")
    )
    assert (baseline["cached_share"], baseline["speedup_cached"]) == (0.0, False)
    assert 0 < speceyes["cached_share"] < 1
    assert speceyes["speedup_cached"]
    records = read_run(next((tmp_path / "runs").glob("*speceyes*")))[1]
    cached = [call for record in records for call in record.calls if call.cached]
    assert {call.phase for call in cached} == {"agent"}
    assert sum(r.cached_seconds for r in records) == pytest.approx(
        sum(call.seconds or 0 for call in cached)
    )


def test_measured_time_is_not_marked(evaluate: Invoke) -> None:
    slow = ("--large", "scripted?delay=0.01", "--no-cache", "--sweep", "method=baseline,speceyes")
    done = evaluate(*slow, "--json")
    rows = json.loads(done.stdout)
    assert not any(row["speedup_cached"] or row["cached_share"] for row in rows)
    assert rows[-1]["speedup"] is not None
    assert "Call cache" not in done.stderr


def test_a_run_by_itself_makes_its_calls_unless_asked(evaluate: Invoke, asked: list[Ask]) -> None:
    near = ("--split", "near")
    evaluate(*near, "--sweep", "threshold=0.98", "--out", "s")
    made = len(asked)
    evaluate(*near, "--threshold", "0.97")
    assert len(asked) == 2 * made
    evaluate(*near, "--threshold", "0.96", "--cache")
    assert len(asked) == 2 * made


def test_models_are_loaded_once(evaluate: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[int] = []
    close = ScriptedEngine.close
    monkeypatch.setattr(
        ScriptedEngine, "close", lambda engine: (closed.append(id(engine)), close(engine))
    )
    done = evaluate("--sweep", "method=draft,baseline,speceyes", "--sweep", "top-k=32,64")
    assert done.stderr.count("Loading the small model") == 1
    assert done.stderr.count("Loading the large model") == 1
    assert len(closed) == 2


def test_a_stopped_sweep_goes_on(
    evaluate: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = ("--sweep", "threshold=0.5,0.98", "--no-cache", "--json")
    whole = evaluate(*sweep, "--out", "whole")
    describe = ScriptedEngine.describe
    calls: list[int] = []

    def stop(engine: ScriptedEngine) -> Any:
        calls.append(1)
        if len(calls) > 2:  # two models of the first point, then the second point
            raise KeyboardInterrupt
        return describe(engine)

    monkeypatch.setattr(ScriptedEngine, "describe", stop)
    assert evaluate(*sweep, "--out", "stopped").exit_code == 130
    monkeypatch.setattr(ScriptedEngine, "describe", describe)
    assert evaluate(*sweep, "--out", "stopped").exit_code == 0
    assert decisions(tmp_path / "stopped") == decisions(tmp_path / "whole")
    assert whole.exit_code == 0


def test_a_bad_point_stops_everything_before_it_starts(evaluate: Invoke, tmp_path: Path) -> None:
    done = evaluate("--sweep", "gate=min,minn")
    assert done.exit_code == 2
    assert "no gate 'minn'; did you mean 'min'?" in done.stderr
    assert not list(tmp_path.rglob("*.sqlite"))


def test_a_cache_folder_that_is_a_file_is_told(evaluate: Invoke, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = evaluate("--sweep", "gate=min", "--cache-dir", "file")
    assert done.exit_code == 2
    assert "The call cache file cannot be used" in done.stderr
    assert not list(tmp_path.rglob("run.json"))


def test_a_damaged_cache_changes_nothing(evaluate: Invoke, tmp_path: Path) -> None:
    evaluate("--sweep", "threshold=0.98", "--out", "first")
    for file in (tmp_path / "runs" / ".cache").iterdir():
        file.write_bytes(b"\xff" * 5_000)
    done = evaluate("--sweep", "threshold=0.98", "--out", "again")
    assert done.exit_code == 0
    assert "0 calls replayed" in done.stderr
    assert decisions(tmp_path / "first") == decisions(tmp_path / "again")
