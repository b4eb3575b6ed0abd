from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from speceyes_example.scripted import ScriptedEngine
from typer.testing import Result

from speceyes_cli.core.run.store import read_run

Invoke = Callable[..., Result]
RUN = "runs/dots-looker-speceyes-min-0.98-"


def only_run(folder: Path) -> Path:
    [run] = folder.iterdir()
    return run


def test_it_answers_and_tells(evaluate: Invoke, tmp_path: Path) -> None:
    done = evaluate()
    assert done.exit_code == 0, done.output
    for figure in ("samples", "accuracy", "α", "β", "answered by the small model", "tokens"):
        assert figure in done.stdout
    assert "of it screen" in done.stdout
    assert "red answers" in done.stdout
    assert "--method baseline makes one" in done.stdout
    assert "12 of 12 samples" in done.stderr
    run = only_run(tmp_path / "runs")
    assert f"runs/{run.name}".startswith(RUN)
    info, records = read_run(run)
    assert len(records) == 12
    assert info.status == "finished"
    assert set(info.engines) == {"small", "large"}
    assert set(info.passed) == {"agent", "dataset", "small", "large", "limit"}
    assert info.options["threshold"] == 0.98
    assert info.config.data_fingerprint == {"near": "near:40:None", "far": "far:20:None"}


def test_json_is_a_list_of_rows(evaluate: Invoke) -> None:
    done = evaluate("--json")
    rows = json.loads(done.stdout)
    assert [row["split"] for row in rows] == ["near", "far", "all"]
    assert rows[-1]["n"] == 12
    assert rows[-1]["accuracy"] == 1.0
    assert rows[-1]["beta"] == pytest.approx(8 / 12)
    assert rows[-1]["alpha"] == 0.5
    assert rows[-1]["accept_rate"] == pytest.approx(4 / 12)
    assert rows[-1]["metrics"] == {"red answers": 4 / 12}


def test_a_baseline_beside_it_gives_the_speedup(evaluate: Invoke) -> None:
    evaluate("--method", "baseline", "--large", "scripted?delay=0.01")
    done = evaluate("--json", "--large", "scripted?delay=0.01")
    assert json.loads(done.stdout)[-1]["speedup"] == pytest.approx(2 / (1 + 4 / 3), rel=0.3)
    assert (
        "Speedup against dots-looker-baseline-" in evaluate("--large", "scripted?delay=0.01").stdout
    )


def test_the_same_command_goes_on_without_loading_when_all_is_done(
    evaluate: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = evaluate("--json")

    def generate(*_: object) -> None:
        raise AssertionError("a model was asked again")

    monkeypatch.setattr(ScriptedEngine, "generate", generate)
    again = evaluate("--json")
    assert again.exit_code == 0
    assert again.stdout == first.stdout
    assert "Loading" not in again.stderr
    assert read_run(only_run(tmp_path / "runs"))[0].status == "finished"


def test_a_larger_run_is_another_run_and_a_named_folder_refuses_it(
    evaluate: Invoke, tmp_path: Path
) -> None:
    evaluate("--out", "mine")
    done = evaluate("--out", "mine", "--threshold", "0.9")
    assert done.exit_code == 2
    assert "threshold (then 0.98, now 0.9)" in done.stderr
    fresh = evaluate("--out", "mine", "--threshold", "0.9", "--fresh")
    assert fresh.exit_code == 0
    assert read_run(tmp_path / "mine")[0].config.threshold == 0.9


def test_methods_load_only_what_they_need(evaluate: Invoke, tmp_path: Path) -> None:
    for method, roles in (("baseline", {"large"}), ("draft", {"small"}), ("twice", {"small"})):
        done = evaluate("--method", method, "--out", method)
        assert done.exit_code == 0, done.output
        info, records = read_run(tmp_path / method)
        assert set(info.engines) == roles
        assert {record.route for record in records} == roles
        assert ("agent looker" in done.stdout) is ("large" in roles)
    assert read_run(tmp_path / "baseline")[0].config.threshold is None


def test_specreason_keeps_good_steps_and_rewrites_the_others(
    evaluate: Invoke, tmp_path: Path
) -> None:
    assert evaluate("--method", "specreason", "--out", "r").exit_code == 0
    info, records = read_run(tmp_path / "r")
    assert (info.config.threshold, info.config.gate, info.config.top_k) == (7, None, None)
    by = {record.sample_id: record.route for record in records}
    assert by == {f"dot-{n}": "small" if n % 3 == 1 else "large" for n in range(6)}
    assert all(record.verdict and record.verdict.right for record in records)
    assert all(len(record.tools) == 1 for record in records)


def test_the_variations_are_recorded(evaluate: Invoke, tmp_path: Path) -> None:
    chosen = ("--screen", "none", "--fallbacks", "1", "--thinking", "--top-k", "32")
    done = evaluate(*chosen, "--out", "r", "--json")
    assert done.exit_code == 0
    info, records = read_run(tmp_path / "r")
    config = info.config
    assert (config.screen, config.fallbacks, config.thinking) == ("none", 1, True)
    assert (config.draft_tokens, config.top_k) == (1024, 32)
    assert {record.passed_screen for record in records} == {None}
    assert all(record.draft is not None for record in records)
    row = json.loads(done.stdout)[-1]
    assert (row["beta"], row["alpha"]) == (None, pytest.approx(1 / 3))


def test_a_serial_run_is_measured_against_a_serial_baseline(evaluate: Invoke) -> None:
    evaluate("--method", "baseline")
    alone = json.loads(evaluate("--fallbacks", "1", "--json").stdout)
    assert alone[-1]["speedup"] is None
    evaluate("--method", "baseline", "--fallbacks", "1", "--large", "scripted?delay=0.01")
    slow = ("--large", "scripted?delay=0.01", "--fallbacks", "1")
    assert json.loads(evaluate(*slow, "--json").stdout)[-1]["speedup"] is not None


def test_options_that_a_method_does_not_use_do_not_make_another_run(
    evaluate: Invoke, tmp_path: Path
) -> None:
    evaluate("--method", "baseline")
    evaluate("--method", "baseline", "--threshold", "0.5", "--gate", "log")
    assert only_run(tmp_path / "runs")


def test_every_gate_can_decide(evaluate: Invoke, tmp_path: Path) -> None:
    for gate in ("min", "mean", "bottom20", "log", "margin", "entropy", "first"):
        assert evaluate("--gate", gate, "--out", gate).exit_code == 0
        assert read_run(tmp_path / gate)[0].config.gate == gate


@pytest.mark.parametrize(("threshold", "small"), [("0", 8), ("1", 0)])
def test_the_threshold_decides(
    evaluate: Invoke, tmp_path: Path, threshold: str, small: int
) -> None:
    evaluate("--threshold", threshold, "--out", "r")
    assert sum(record.route == "small" for record in read_run(tmp_path / "r")[1]) == small


def test_options_come_from_the_environment(
    evaluate: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPECEYES_THRESHOLD", "0.5")
    monkeypatch.setenv("SPECEYES_OUT", "there")
    monkeypatch.setenv("SPECEYES_MAX_TURNS", "3")
    assert evaluate().exit_code == 0
    info = read_run(tmp_path / "there")[0]
    assert (info.config.threshold, info.config.max_turns) == (0.5, 3)
    assert {"threshold", "out", "max_turns"} <= set(info.passed)


def test_failed_samples_make_it_exit_1_unless_allowed(evaluate: Invoke, tmp_path: Path) -> None:
    failing = ("--large", "scripted?fail=0,3", "--out", "r")
    done = evaluate(*failing)
    assert done.exit_code == 1
    assert sum(record.route == "error" for record in read_run(tmp_path / "r")[1]) == 4
    assert "4 of 12 samples failed; --retry-errors tries them again." in done.stdout
    assert "  near/dot-3 and 1 more: dot 3 is not for me" in done.stdout
    assert evaluate(*failing, "--max-errors", "3").exit_code == 1
    assert evaluate(*failing, "--max-errors", "4").exit_code == 0
    rows = json.loads(evaluate(*failing, "--max-errors", "4", "--json").stdout)
    assert (rows[-1]["accuracy"], rows[-1]["accuracy_all"]) == (1.0, pytest.approx(8 / 12))


def test_the_first_reasons_of_failures_are_told(evaluate: Invoke) -> None:
    done = evaluate("--method", "baseline", "--large", "scripted?fail=0,1,2,3")
    assert "  near/dot-2 and 1 more: dot 2 is not for me" in done.stdout
    assert "dot 3 is not for me" not in done.stdout
    assert "  and 2 more; records.jsonl tells all" in done.stdout


def test_pictures_that_cannot_be_decoded_do_not_stop_the_run(evaluate: Invoke) -> None:
    done = evaluate("--data", "broken", "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)[-1]["n_error"] == 12


def test_errors_can_be_tried_again(evaluate: Invoke, tmp_path: Path) -> None:
    failing = ("--large", "scripted?fail=0", "--out", "r")
    assert evaluate(*failing).exit_code == 1
    assert evaluate(*failing, "--retry-errors").exit_code == 1
    assert len(read_run(tmp_path / "r")[1]) == 12


def test_limit_zero_is_all_and_a_split_can_be_named(evaluate: Invoke, tmp_path: Path) -> None:
    evaluate("--limit", "0", "--out", "all")
    assert len(read_run(tmp_path / "all")[1]) == 60
    evaluate("--split", "far", "--out", "far")
    assert {record.split for record in read_run(tmp_path / "far")[1]} == {"far"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--agent", "deepeye"], "no agent 'deepeye'; did you mean 'deepeyes'? known: "),
        (["--dataset", "dotz"], "no dataset 'dotz'; did you mean 'dots'?"),
        (["--split", "nea"], "no split 'nea' in dots; did you mean 'near'? known: all, far, near"),
        (["--gate", "minn"], "no gate 'minn'; did you mean 'min'?"),
        (["--method", "base"], "no method 'base'; did you mean 'baseline'?"),
        (["--models", "papers", "--small", ""], "No engine takes the model ''; engines: "),
        (["--small", "./none"], "the model './none', and there is no such folder; engines: "),
        (["--threshold", "1.5"], "--threshold is a confidence from 0 to 1, not 1.5."),
        (["--threshold", "-0.1"], "--threshold is a confidence from 0 to 1"),
        (["--threshold", "nan"], "--threshold is a confidence from 0 to 1, not nan."),
        (
            ["--method", "specreason", "--threshold", "10"],
            "--threshold is a step's score, one digit, from 0 to 9, not 10, for the method",
        ),
        (["--method", "specreason", "--threshold", "0.98"], "from 0 to 9, not 0.98, for the"),
        (["--screen", "both"], "--screen both is not known; known: large, none, small."),
        (["--draft-tokens", "0"], "--draft-tokens must be at least 1, not 0."),
        (["--fallbacks", "0"], "--fallbacks must be at least 1, not 0."),
        (["--top-k", "1"], "--top-k must be at least 2, not 1."),
        (["--top-k", "4"], "--top-k 4 is too few for the gate min: separability weighs"),
        (["--top-k", "2000"], "--top-k 2000 exceeds the vocabulary of 1000 tokens."),
        (["--batch-size", "0"], "--batch-size must be at least 1, not 0."),
        (["--limit", "-1"], "--limit must be at least 0, not -1."),
        (["--max-turns", "0"], "--max-turns must be at least 1, not 0."),
        (["--max-errors", "-1"], "--max-errors must be at least 0, not -1."),
        (["--small", "scripted?missing=1"], "has no weights."),
        (["--data", "nowhere"], "dots: there is no folder nowhere"),
        (["--prompts", "nowhere.toml"], "--prompts: there is no file nowhere.toml."),
        (["--out", "/proc/nowhere"], "cannot be written"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence_before_anything_is_loaded(
    evaluate: Invoke,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    told: str,
) -> None:
    def load(*_: object, **__: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(ScriptedEngine, "__init__", load)
    done = evaluate(*arguments)
    assert done.exit_code == 2, done.output
    assert done.stderr.startswith("speceyes: ")
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""
    assert not list(tmp_path.rglob("run.json"))


def test_an_unknown_set_of_models(invoke: Invoke) -> None:
    done = invoke("eval", "--agent", "looker", "--dataset", "dots", "--models", "papr")
    assert done.exit_code == 2
    assert "no set of models 'papr'; did you mean 'paper'?" in done.stderr


def test_the_paper_models_are_the_agents(invoke: Invoke, tmp_path: Path) -> None:
    choice = ("--agent", "looker", "--dataset", "dots", "--models", "paper", "--limit", "1")
    assert invoke("eval", *choice, "--out", "r").exit_code == 0
    config = read_run(tmp_path / "r")[0].config
    assert (config.small, config.large) == ("scripted", "scripted")


def test_an_option_that_does_not_exist(evaluate: Invoke) -> None:
    done = evaluate("--treshold", "0.5")
    assert done.exit_code == 2
    assert "--threshold" in done.stderr


def test_bugs_keep_their_traceback(evaluate: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("speceyes_cli.host.planning.plans.describe_run", bug)
    assert isinstance(evaluate().exception, ZeroDivisionError)


def test_a_model_that_fails_to_load_leaves_no_other_open(
    evaluate: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = []
    monkeypatch.setattr(ScriptedEngine, "close", lambda engine: closed.append(engine.delay))
    done = evaluate("--small", "scripted?delay=0.5", "--large", "scripted?delay=soon")
    assert done.exit_code == 2
    assert "factory of the engine 'scripted' raised ValueError" in done.stderr
    assert closed == [0.5]


def test_both_branches_answer_as_the_gate_would_and_keep_both_verdicts(
    evaluate: Invoke, tmp_path: Path
) -> None:
    done = evaluate("--out", "plain", "--json")
    both = evaluate("--both-branches", "--out", "both", "--json")
    assert both.exit_code == 0, both.output
    same = ("accuracy", "alpha", "beta", "accept_rate")
    rows = zip(json.loads(done.stdout), json.loads(both.stdout), strict=True)
    assert all(one[key] == other[key] for one, other in rows for key in same)
    records = read_run(tmp_path / "both")[1]
    assert [r.text for r in records] == [r.text for r in read_run(tmp_path / "plain")[1]]
    assert {role for r in records for role in r.branches} == {"small", "large"}
    assert all(r.branches[r.route].verdict == r.verdict for r in records)
    assert all({"screen", "draft", "agent"} <= set(r.phase_seconds) for r in records)


def test_a_run_of_both_branches_is_no_speedup(evaluate: Invoke) -> None:
    assert evaluate("--method", "baseline", "--out", "runs/baseline").exit_code == 0
    done = evaluate("--both-branches", "--out", "runs/both")
    assert "no speedup was measured" in done.stdout
    assert "Speedup against" not in done.stdout
    again = evaluate("--both-branches", "--out", "runs/both", "--json")
    assert all(row["speedup"] is None for row in json.loads(again.stdout))


def test_both_branches_of_a_method_that_has_one(evaluate: Invoke) -> None:
    done = evaluate("--method", "baseline", "--both-branches")
    assert done.exit_code == 2
    assert "--both-branches needs a method with two branches" in done.stderr


def test_ids_that_cannot_be_written_are_known_again(evaluate: Invoke, tmp_path: Path) -> None:
    arguments = ("--data", "half", "--out", "run")
    assert evaluate(*arguments).exit_code == 0
    before = (tmp_path / "run" / "records.jsonl").read_text()
    again = evaluate(*arguments)
    assert again.exit_code == 0, again.stderr
    assert (tmp_path / "run" / "records.jsonl").read_text() == before
    assert '"sample_id":"dot-0?"' in before
