from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

import speceyes_cli
from speceyes_cli import (
    SpecEyesError,
    calibrate,
    evaluate,
    gather,
    infer,
    read_run,
    replay,
    samples,
)
from speceyes_cli.app import build_app
from speceyes_cli.core.pictures.loading import picture_from
from speceyes_cli.core.samples import Sample
from speceyes_cli.host.manager import Host

SCRIPTED = {"agent": "looker", "small": "scripted", "large": "scripted"}
FEW = {**SCRIPTED, "split": "near", "limit": 3}
ASKED = {"picture": b"", "question": "Which?", "options": ["red", "blue"]}
PAGE = Path(__file__).parents[2] / "docs" / "python.md"


def test_a_run_is_what_the_command_makes(host: Host) -> None:
    run = evaluate("dots", out="mine", **FEW)
    arguments = "eval --dataset dots --split near --limit 3 --agent looker --out theirs"
    models = ["--small", "scripted", "--large", "scripted"]
    done = CliRunner().invoke(build_app(host), [*arguments.split(), *models], obj=host)
    assert done.exit_code == 0, done.output
    other = read_run("theirs")
    timed = {"seconds", "phase_seconds", "elapsed", "calls", "tools"}
    told = [record.model_dump(exclude=timed) for record in run]
    assert told == [record.model_dump(exclude=timed) for record in other]
    assert run.info.config == other.info.config
    assert [record.route for record in run] == ["large", "small", "large"]


def test_samples_of_ones_own_are_answered_and_judged() -> None:
    Image.new("RGB", (64, 64)).save("one.png")
    rows = [
        {"picture": "one.png", "question": f"What colour is dot {n}?", "answer": answer, "id": n}
        for n, answer in enumerate(["red", "green", "red"])
    ]
    run = evaluate(rows, out="r", **SCRIPTED)
    assert [record.sample_id for record in run] == ["0", "1", "2"]
    assert [record.text for record in run] == ["red", "green", "blue"]
    assert run.rows[-1].n == 3
    assert evaluate(rows, out="r", **SCRIPTED).records == run.records, "nothing is answered twice"
    listed = evaluate(samples("dots", split="near", limit=2), out="s", **SCRIPTED)
    assert [record.split for record in listed] == ["near", "near"]
    assert listed.rows[-1].accuracy == 1.0


@pytest.mark.parametrize("answer", ["blue", "B", "(b)", " Blue "])
def test_the_right_option_is_named_by_text_or_letter(answer: str) -> None:
    Image.new("RGB", (64, 64)).save("one.png")
    row = {"picture": "one.png", "question": "Which?", "options": ["red", "blue"]}
    run = evaluate([{**row, "answer": answer}], out="r", method="draft", **SCRIPTED)
    assert run[0].answer == "blue"
    assert (run[0].options, run.info.config.option_order) == (("red", "blue"), "dataset")
    given = Sample("s", "all", picture_from("one.png", "one"), "?", ("red", "blue"), answer)
    assert evaluate([given], out="s", method="draft", **SCRIPTED)[0].answer == "blue"


def test_numbers_are_texts() -> None:
    Image.new("RGB", (64, 64)).save("one.png")
    row = {"picture": "one.png", "question": "How many?", "cluster": 7, "category": None}
    rows = [{**row, "options": [3, 4], "answer": 3}, {**row, "options": None, "answer": 12}]
    run = evaluate(rows, out="r", method="draft", **SCRIPTED)
    told = [(record.options, record.answer, record.cluster) for record in run]
    assert told == [(("3", "4"), "3", "7"), ((), "12", "7")]


def test_drafts_hold_every_gate_s_score() -> None:
    run = infer("dots", out="r", **FEW)
    lines = [json.loads(line) for line in (run.folder / "drafts.jsonl").read_text().splitlines()]
    assert len(lines) == 3
    assert {"min", "mean", "log", "first"} <= set(lines[0]["scores"])
    assert run.info.config.method == "draft"


def test_records_become_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    table = evaluate("dots", out="r", **{**FEW, "small": "scripted?fail=1"}).to_arrow()
    assert table.column("route").to_pylist() == ["large", "error", "large"]
    assert table.column("right").to_pylist() == [True, None, True]
    assert table.column("error_kind").to_pylist() == [None, "ValueError", None]
    assert json.loads(table.column("meta").to_pylist()[2]) == {"number": 2}
    imports = builtins.__import__

    def without_pandas(name: str, *rest: Any, **named: Any) -> Any:
        if name.partition(".")[0] == "pandas":
            raise ModuleNotFoundError(name)
        return imports(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without_pandas)
    with pytest.raises(SpecEyesError, match="needs pandas, which is not installed"):
        read_run("r").to_pandas()


def test_runs_are_gathered_against_their_baseline() -> None:
    evaluate("dots", out="runs/base", method="baseline", **FEW)
    evaluate("dots", out="runs/fast", **FEW)
    rows = gather("runs")
    assert {row.method for row in rows} == {"baseline", "speceyes"}
    assert rows.to_arrow().num_rows == len(rows) == 4
    assert len(rows[:2]) == 2
    page = rows._repr_html_()
    assert page.count("<tr>") == 5
    assert "accuracy" in page


def test_both_branches_are_replayed_and_certified() -> None:
    both = {**SCRIPTED, "small": "scripted?err=2,5,8", "both_branches": True}
    run = evaluate("dots", out="both", **both)
    strict, loose = replay("both", thresholds=[0.98, 0.1])
    assert (strict.harm, loose.harm > 0) == (0.0, True)
    assert strict.coverage < loose.coverage
    certificate = calibrate("both", max_loss=0.05, risk=0.2, out="certificate.json")
    assert 0.1 < certificate.threshold < 1
    again = evaluate(
        "dots",
        out="r",
        certificate="certificate.json",
        limit=3,
        **SCRIPTED | {"small": "scripted?err=2,5,8"},
    )
    assert again.info.config.threshold == certificate.threshold
    assert len(run) == 60


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: evaluate("dots", limt=3), "There is no setting 'limt'; did you mean 'limit'?"),
        (lambda: evaluate("dost"), "did you mean 'dots'?"),
        (lambda: evaluate([]), "There are no samples to be answered."),
        (lambda: evaluate(["dot"]), "Sample 0 is no Sample"),
        (lambda: evaluate([{"picture": "p", "question": "?", "anwser": "a"}]), "Sample 0 has 'anw"),
        (lambda: evaluate([{**ASKED, "answer": "green"}]), "the answer 'green' is none of its opt"),
        (lambda: evaluate([{**ASKED, "answer": "D"}]), "the answer 'D' is none of its options"),
        (lambda: evaluate([{**ASKED, "answer": True}]), "answer is neither a text nor a number"),
        (lambda: evaluate([{**ASKED, "options": "red"}]), "its options are no list of texts"),
        (lambda: evaluate([{**ASKED, "options": [None]}]), "an option is neither a text nor a n"),
        (lambda: evaluate([ASKED], option_order="shuffle:1"), "leave option_order out"),
        (lambda: read_run("nowhere"), "nowhere"),
        (lambda: gather("nowhere"), "nowhere does not exist"),
        (lambda: replay("nowhere"), "nowhere"),
        (lambda: calibrate("nowhere", risk=0), "--risk is a probability"),
    ],
)
def test_a_user_s_mistake_is_one_sentence(call: Any, said: str) -> None:
    with pytest.raises(SpecEyesError) as caught:
        call()
    assert said in str(caught.value)


def test_the_page_tells_of_every_name() -> None:
    page = PAGE.read_text()
    assert [name for name in speceyes_cli.__all__ if name not in page] == []
