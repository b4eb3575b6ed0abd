from __future__ import annotations

import json
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from speceyes_example.judge_server import FAULTS, JudgeServer, any_fault
from speceyes_judges.llm import endpoint
from typer.testing import Result

from speceyes_cli.core.errors import ServerLostError

Invoke = Callable[..., Result]
MakeRun = Callable[..., Path]
QUICK = ("--timeout", "0.3")


def exported(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "verdicts.jsonl").read_text().splitlines()]


def stored(run: Path) -> int:
    with sqlite3.connect(run / "run.sqlite") as connection:
        return int(connection.execute("SELECT count(*) FROM verdicts").fetchone()[0])


def test_undecided_answers_are_judged_by_the_model_the_server_lists(
    invoke: Invoke, make_run: MakeRun
) -> None:
    run = make_run(8)
    with JudgeServer().running() as server:
        done = invoke("judge", str(run), "--api-url", server.url)
    assert done.exit_code == 0, done.output
    notes = exported(run)
    assert [note["right"] for note in notes] == [True, False] * 4
    assert {(n["provenance"], n["model"], n["judge"]) for n in notes} == {("llm", "judge-1", "llm")}
    assert {len(n["prompt"]) for n in notes} == {64}
    assert {request["temperature"] for request in server.requests} == {0}
    [row] = [r for r in json.loads(invoke("gather", "run", "--json").stdout) if r["split"] == "all"]
    assert row["accuracy"] == 0.5


@pytest.mark.parametrize("refuses", [(), ("top_k",), ("repetition_penalty", "top_k")])
def test_a_checkpoints_own_penalty_is_undone_where_the_server_lets_it(
    invoke: Invoke, make_run: MakeRun, refuses: tuple[str, ...]
) -> None:
    run = make_run(4)
    with JudgeServer(refuses=refuses).running() as server:
        done = invoke("judge", str(run), "--api-url", server.url)
    assert done.exit_code == 0, done.output
    assert [note["right"] for note in exported(run)] == [True, False] * 2
    wanted = {"repetition_penalty": 1.0, "top_k": 0}
    kept = {name: value for name, value in wanted.items() if name not in refuses}
    told = [{name: one[name] for name in wanted if name in one} for one in server.requests]
    assert told[0] == wanted
    assert told[-1] == kept
    assert sum(one != kept for one in told) == bool(refuses)


def test_what_a_rule_decides_is_not_asked(invoke: Invoke) -> None:
    invoke(
        *("eval", "--agent", "looker", "--dataset", "dots", "--limit", "3", "--out", "run"),
        *("--small", "scripted", "--large", "scripted"),
    )
    done = invoke("judge", "run", "--api-url", "http://127.0.0.1:9/v1", "--json")
    assert done.exit_code == 0, done.output
    [told] = json.loads(done.stdout)
    assert (told["rule"], told["right"], told["llm"]) == (6, 6, 0)


def test_a_second_run_is_answered_from_the_cache(invoke: Invoke, make_run: MakeRun) -> None:
    make_run(6, "one"), make_run(6, "two")
    with JudgeServer().running() as server:
        first = invoke("judge", "one", "--api-url", server.url)
        before = len(server.requests)
        second = invoke("judge", "two", "--api-url", server.url, "--json")
        after = [request["messages"][-1]["content"] for request in server.requests[before:]]
    assert first.exit_code == second.exit_code == 0
    assert after == [server.requests[0]["messages"][-1]["content"]]  # the probe alone
    [told] = json.loads(second.stdout)
    assert (told["cache"], told["llm"], told["right"]) == (6, 0, 3)


def test_the_cache_knows_models_apart(invoke: Invoke, make_run: MakeRun) -> None:
    make_run(4)
    with JudgeServer(models=("a", "b")).running() as server:
        common = ("judge", "run", "--api-url", server.url, "--fresh", "--json", "--judge-model")
        told = [json.loads(invoke(*common, model).stdout)[0] for model in ("a", "b", "a")]
    assert [one["llm"] for one in told] == [4, 4, 0]
    assert told[2]["cache"] == 4


def test_judging_twice_asks_nothing_and_changes_nothing(invoke: Invoke, make_run: MakeRun) -> None:
    run = make_run(4)
    with JudgeServer().running() as server:
        invoke("judge", "run", "--api-url", server.url)
        before, asked = (run / "verdicts.jsonl").read_text(), len(server.requests)
        assert invoke("judge", "run", "--api-url", server.url).exit_code == 0
        assert len(server.requests) == asked
    assert (run / "verdicts.jsonl").read_text() == before


def test_rules_first_then_a_model(invoke: Invoke, make_run: MakeRun) -> None:
    run = make_run(4)
    [ruled] = json.loads(invoke("judge", "run", "--judge", "rules", "--json").stdout)
    assert ruled["undecided"] == 4
    with JudgeServer().running() as server:
        [told] = json.loads(invoke("judge", "run", "--api-url", server.url, "--json").stdout)
    assert (told["llm"], told["undecided"]) == (4, 0)
    assert stored(run) == 4
    assert invoke("judge", "run", "--judge", "rules").exit_code == 0
    assert {note["provenance"] for note in exported(run)} == {"llm"}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_tried_again(invoke: Invoke, make_run: MakeRun, fault: str) -> None:
    run = make_run(3)

    def once(case: dict[str, Any], times: int) -> str | None:
        return fault if times == 0 and case["question"].startswith("What colour is dot") else None

    with JudgeServer(fault=once).running() as server:
        done = invoke("judge", "run", "--api-url", server.url, *QUICK)
    assert done.exit_code == 0, done.output
    assert [note["right"] for note in exported(run)] == [True, False, True]
    assert {times for content, times in server.asked.items() if "dot" in content} == {2}


def test_a_mix_of_faults_ends_with_every_sample_judged_or_an_error(
    invoke: Invoke, make_run: MakeRun
) -> None:
    run = make_run(40)
    doomed = {f"What colour is dot {number}?" for number in (7, 20)}
    mixed = any_fault(1, 0.3)

    def fault(case: dict[str, Any], times: int) -> str | None:
        if case["question"].startswith("What colour is grass"):
            return None
        return "500" if case["question"] in doomed else mixed(case, times)

    with JudgeServer(fault=fault).running() as server:
        done = invoke("judge", "run", "--api-url", server.url, *QUICK, "--json")
        assert done.exit_code == 1, done.output
        [told] = json.loads(done.stdout)
        notes = exported(run)
        keys = [(note["split"], note["sample_id"]) for note in notes]
        assert len(keys) == len(set(keys)) == stored(run) == 40
        errors = [note for note in notes if note["provenance"] == "error"]
        assert {note["right"] for note in errors} == {None}
        assert sum("HTTP 500" in note["reply"] for note in errors) >= 2
        assert told["error"] == len(errors) >= 2
        server.fault = lambda _case, _times: None
        asked = len(server.requests)
        invoke("judge", "run", "--api-url", server.url)
        assert len(server.requests) == asked  # errors wait for --retry-errors
        again = invoke("judge", "run", "--api-url", server.url, "--retry-errors", "--json")
    assert again.exit_code == 0
    assert [note["right"] for note in exported(run)] == [True, False] * 20
    assert stored(run) == 40


def test_a_failed_judge_makes_no_answer_wrong(invoke: Invoke, make_run: MakeRun) -> None:
    make_run(4)

    def fault(case: dict[str, Any], _times: int) -> str | None:
        return "500" if "dot 1" in case["question"] else None

    with JudgeServer(fault=fault).running() as server:
        assert invoke("judge", "run", "--api-url", server.url).exit_code == 1
    [row] = [r for r in json.loads(invoke("gather", "run", "--json").stdout) if r["split"] == "all"]
    assert (row["accuracy"], row["accuracy_all"]) == (2 / 3, 2 / 4)


def test_a_judge_that_is_gone_ends_it_with_what_is_judged_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endpoint, "RETRIES", 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and not listening
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        judge = endpoint.JudgeEndpoint(nobody, "", 2, 5.0)
        try:
            with pytest.raises(ServerLostError, match="the verdicts so far are kept"):
                list(judge.ask_all("m", {str(n): [] for n in range(1000)}))
        finally:
            judge.close()


def test_concurrency_is_what_was_asked_for(invoke: Invoke, make_run: MakeRun) -> None:
    make_run(24)
    with JudgeServer(delay=0.02).running() as server:
        invoke("judge", "run", "--api-url", server.url, "--concurrency", "5")
    assert server.most_at_once == 5


def test_prose_later_on_is_undecided_and_kept(invoke: Invoke, make_run: MakeRun) -> None:
    run = make_run(2)

    def wordy(case: dict[str, Any]) -> str | None:
        return {"green": "1", "re": "Sure! 1", "gr": None}.get(case["right answer"], "10")

    with JudgeServer(answer=wordy).running() as server:
        [told] = json.loads(invoke("judge", "run", "--api-url", server.url, "--json").stdout)
    assert told["undecided"] == 2
    assert {(n["right"], n["reply"]) for n in exported(run)} == {(None, "Sure! 1"), (None, "10")}


def test_an_audit_asks_again_in_other_words_and_tells_who_disagrees(
    invoke: Invoke, make_run: MakeRun
) -> None:
    make_run(10)
    with JudgeServer().running() as server:
        invoke("judge", "run", "--api-url", server.url)
        before = len(server.requests)
        server.answer = lambda _case: "1"
        done = invoke("judge", "run", "--api-url", server.url, "--audit", "6", "--json")
        [told] = json.loads(done.stdout)
        shown = invoke("judge", "run", "--api-url", server.url, "--audit", "10").stdout
    wordings = [request["messages"][0]["content"] for request in server.requests]
    assert set(wordings[before + 1 : before + 7]).isdisjoint(wordings[:before])
    assert told["audit"]["asked"] == 6
    wrong_ones = told["audit"]["disagreements"]
    assert {(found["first"]["right"], found["second"]["right"]) for found in wrong_ones} == {
        (False, True)
    }
    assert told["audit"]["disagreement"] == len(wrong_ones) / 6
    assert "Audit of run: 5 of 10 second opinions differ (50.0%)." in shown
