"""`speceyes judge` as a user meets it when something is wrong."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hostile_server import HostileServer, echo
from PIL import Image
from speceyes_example.judge_server import JudgeServer
from typer.testing import Result

from speceyes_cli.core.run.store import open_store, read_run

Invoke = Callable[..., Result]


@pytest.fixture
def run(invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of two answers that no rule can judge."""
    monkeypatch.setenv("SPECEYES_JUDGE_CACHE", str(tmp_path / "cache.sqlite"))
    Image.new("RGB", (32, 32)).save(tmp_path / "dot.png")
    rows = [f'{{"image": "dot.png", "question": "dot {n}?", "answer": "r"}}\n' for n in (0, 1)]
    (tmp_path / "questions.jsonl").write_text("".join(rows))
    done = invoke(
        *("eval", "--method", "draft", "--agent", "looker", "--small", "scripted"),
        *("--dataset", "jsonl", "--data", "questions.jsonl", "--out", "run"),
    )
    assert done.exit_code == 0, done.output
    return tmp_path / "run"


def test_figures_of_a_dataset_follow_the_judge(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPECEYES_JUDGE_CACHE", str(tmp_path / "cache.sqlite"))
    picture = io.BytesIO()
    Image.new("RGB", (32, 32)).save(picture, "PNG")
    rows = {
        "id": ["0", "1"],
        "question_id": ["0", "1"],
        "question": ["Is there a dot 0 in the image?", "Is there a dot 1 in the image?"],
        "answer": ["yes", "yes"],
        "image_source": ["a", "b"],
        "image": [{"bytes": picture.getvalue(), "path": None}] * 2,
        "category": ["random", "random"],
    }
    pq.write_table(pa.table(rows), tmp_path / "random-00000-of-00001.parquet")
    done = invoke(
        *("eval", "--method", "draft", "--agent", "looker", "--small", "scripted"),
        *("--dataset", "pope", "--split", "random", "--data", ".", "--out", "run"),
    )
    assert done.exit_code == 0, done.output
    before = json.loads(invoke("gather", "run", "--json").stdout)[-1]
    assert (before["accuracy"], before["metrics"]["f1"]) == (0.0, 0.0)
    with JudgeServer(answer=lambda _case: "1").running() as server:
        assert invoke("judge", "run", "--api-url", server.url).exit_code == 0
    after = json.loads(invoke("gather", "run", "--json").stdout)[-1]
    assert (after["accuracy"], after["metrics"]["accuracy"], after["metrics"]["f1"]) == (1, 1, 1)


def test_questions_without_a_known_answer_are_in_no_accuracy(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPECEYES_JUDGE_CACHE", str(tmp_path / "cache.sqlite"))
    Image.new("RGB", (32, 32)).save(tmp_path / "dot.png")
    asked = [{"image": "dot.png", "question": f"dot {n}?"} for n in range(3)]
    known = [*asked, {**asked[0], "answer": "red", "id": "a"}]

    def run(rows: list[dict[str, str]], name: str, small: str = "scripted") -> dict[str, float]:
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        words = ("--dataset", "jsonl", "--data", f"{name}.jsonl", "--out", name)
        models = ("--agent", "looker", "--small", small, "--max-errors", "9")
        done = invoke("eval", "--method", "draft", *models, *words)
        assert done.exit_code == 0, done.output
        assert "speceyes judge" not in done.stdout
        judged = invoke("judge", name, "--judge", "rules", "--json")
        assert judged.exit_code == 0, judged.output
        assert json.loads(judged.stdout)[0]["answers"] == len([r for r in rows if "answer" in r])
        return json.loads(invoke("gather", name, "--json").stdout)[-1]

    for small in ("scripted", "scripted?fail=1"):
        row = run(asked, f"none-{small[8:]}", small)
        assert (row["accuracy"], row["accuracy_all"], row["n_undecided"]) == (None, None, 0)
    row = run(known, "one")
    assert (row["n"], row["accuracy"], row["accuracy_all"], row["n_unjudged"]) == (4, 1.0, 1.0, 0)


def refused(done: Result, told: str) -> None:
    assert done.exit_code == 2, done.output
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def contents(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.iterdir()}


def test_no_server_is_told_with_the_way_to_start_one(invoke: Invoke, run: Path) -> None:
    before = contents(run)
    done = invoke("judge", "run", "--api-url", "http://127.0.0.1:9/v1")
    refused(done, "No judge answers at http://127.0.0.1:9/v1: start one, such as `vllm serve ")
    assert "--port 9`" in done.stderr
    assert "--judge rules" in done.stderr
    assert "2 of 2 answers are left for a model" in done.stderr
    assert contents(run).keys() == before.keys()
    assert contents(run)["run.json"] == before["run.json"]
    assert read_run(run)[1][0].verdict is not None


def test_a_run_with_undecided_answers_says_what_the_judge_would_do(
    invoke: Invoke, run: Path
) -> None:
    done = invoke("gather", "run")
    assert "2 answers could not be decided by rule and count as wrong" in done.stdout
    again = invoke(
        *("eval", "--method", "draft", "--agent", "looker", "--small", "scripted"),
        *("--dataset", "jsonl", "--data", "questions.jsonl", "--out", str(run)),
    )
    assert f"`speceyes judge {run}` asks a model about them." in again.stdout


def test_the_table_at_80_columns_breaks_no_name(
    invoke: Invoke, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "dots-looker-speceyes-min-0.98-00c0ffee"
    shutil.copytree(run, tmp_path / "runs" / name)
    info = tmp_path / "runs" / name / "run.json"
    info.write_text(info.read_text().replace('"name": "run"', f'"name": "{name}"'))
    monkeypatch.setenv("COLUMNS", "80")
    done = invoke("judge", "runs", "--judge", "rules")
    assert name in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    [header] = [line for line in done.stdout.splitlines() if line.startswith("#")]
    assert header.split() == ["#", "answers", "right", "wrong", "undecided", "right", "%"]


@pytest.mark.parametrize(
    ("server", "told"),
    [
        (JudgeServer(models=()), "lists no model"),
        (JudgeServer(models=("a", "b")), "has several models: a, b; choose one with --judge-model"),
        (JudgeServer(listing=b"<html>hello</html>"), "answers with a web page"),
        (JudgeServer(answer=lambda _case: "Sure, it is right."), "answers 'Sure, it is right.'"),
        (JudgeServer(answer=lambda _case: None), "answers '' where one digit was asked for"),
    ],
    ids=["no model", "several", "web page", "prose", "nothing"],
)
def test_a_server_that_cannot_judge(
    invoke: Invoke, run: Path, server: JudgeServer, told: str
) -> None:
    with server.running():
        refused(invoke("judge", "run", "--api-url", server.url), told)
    assert not (run / "verdicts.jsonl").exists()


def test_a_model_the_server_has_not(invoke: Invoke, run: Path) -> None:
    assert run.is_dir()
    with JudgeServer(models=("m",)).running() as server:
        done = invoke("judge", "run", "--api-url", server.url, "--judge-model", "n")
    refused(done, "There is no model 'n' at")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere"], "nowhere does not exist"),
        (["."], "holds no run"),
    ],
)
def test_a_path_that_is_no_run(invoke: Invoke, arguments: list[str], told: str) -> None:
    refused(invoke("judge", *arguments), told)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--judge", "nobody"], "no judge 'nobody'"),
        (["--api-url", "localhost:23333"], "--api-url is an address such as"),
        (["--concurrency", "0"], "--concurrency must be at least 1"),
        (["--timeout", "0"], "--timeout must be more than 0"),
        (["--audit", "-1"], "--audit must be at least 0"),
        (
            ["--judge", "rules"],
            "--api-url is for a judge that asks a model; rules asks none.",
        ),
        (
            ["--judge-cache", "questions.jsonl"],
            "The cache of verdicts questions.jsonl cannot be used",
        ),
    ],
)
def test_bad_options(invoke: Invoke, run: Path, options: list[str], told: str) -> None:
    with JudgeServer().running() as server:
        refused(invoke("judge", str(run), "--api-url", server.url, *options), told)


def test_a_rule_cannot_be_asked_twice(invoke: Invoke, run: Path) -> None:
    refused(invoke("judge", str(run), "--judge", "rules", "--audit", "1"), "rules cannot")


def test_a_run_half_written(invoke: Invoke, run: Path) -> None:
    (run / "run.sqlite").unlink()
    refused(invoke("judge", "run"), "has no run.sqlite")
    (run / "run.json").write_text("{")
    refused(invoke("judge", "run"), "is damaged or from another version")


def test_a_run_in_use(invoke: Invoke, run: Path) -> None:
    info, _ = read_run(run)
    with open_store(run, info, "resume"):
        refused(invoke("judge", "run"), "in use by another run")


def test_verdicts_of_two_models_are_not_mixed(invoke: Invoke, run: Path) -> None:
    with JudgeServer(models=("one",), answer=lambda _case: "1").running() as server:
        assert invoke("judge", "run", "--api-url", server.url).exit_code == 0
        before = (run / "verdicts.jsonl").read_text()
        shutil.copytree(run, run.with_name("copy"))
        server.models = ("two",)
        assert invoke("judge", "copy", "--api-url", server.url).exit_code == 0  # nothing is pending
        server.fault = lambda case, _times: "500" if "1" in case["question"] else None
        assert invoke("judge", "run", "--fresh", "--api-url", server.url).exit_code == 1
        server.models = ("three",)
        done = invoke("judge", "run", "--retry-errors", "--api-url", server.url)
    refused(done, "was judged with another model (two, prompt ")
    assert before.count('"one"') == 2


def test_fresh_drops_nothing_when_the_server_is_gone(invoke: Invoke, run: Path) -> None:
    with JudgeServer().running() as server:
        invoke("judge", "run", "--api-url", server.url)
    before = (run / "verdicts.jsonl").read_text()
    assert invoke("judge", "run", "--api-url", server.url, "--fresh").exit_code == 2
    assert (run / "verdicts.jsonl").read_text() == before
    _, records = read_run(run)
    assert {r.verdict.provenance for r in records if r.verdict is not None} == {"llm"}


def test_a_run_begun_anew_forgets_its_verdicts(invoke: Invoke, run: Path) -> None:
    with JudgeServer().running() as server:
        invoke("judge", "run", "--api-url", server.url)
    info, _ = read_run(run)
    open_store(run, info, "fresh").close()
    assert not (run / "verdicts.jsonl").exists()
    assert read_run(run)[1] == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--api-key", "schlüssel"), "The key in --api-key or SPECEYES_JUDGE_API_KEY holds"),
        (("--api-url", "http://me:pw@127.0.0.1:9/v1"), "--api-url holds a user or password"),
        (("--api-url", "http://[::1"), "--api-url is an address such as"),
        (("--api-url", "http://host:x/v1"), "--api-url is an address such as"),
    ],
)
def test_keys_and_addresses_that_cannot_be(
    invoke: Invoke, run: Path, options: tuple[str, str], told: str
) -> None:
    assert run.is_dir()
    done = invoke("judge", "run", *options)
    refused(done, told)
    assert "pw" not in done.stderr


def test_the_servers_key_is_not_sent_to_the_judge(
    invoke: Invoke, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run.is_dir()
    monkeypatch.setenv("SPECEYES_SERVE_API_KEY", "sk-of-the-server")
    with HostileServer(echo).running() as server:
        done = invoke("judge", "run", "--api-url", server.url)
    assert done.exit_code == 2
    assert server.connections
    assert not any(b"sk-of-the-server" in head for head in server.heads)
    monkeypatch.setenv("SPECEYES_API_KEY", "sk-of-either")
    refused(invoke("judge", "run"), "set SPECEYES_JUDGE_API_KEY and unset it.")
