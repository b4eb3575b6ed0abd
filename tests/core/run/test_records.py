from __future__ import annotations

import ast
import asyncio
import inspect
import io
import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from rich.console import Console
from speceyes_example.looker import Looker

from speceyes_cli.commands.decision_view import DecisionView
from speceyes_cli.core.chat import Answer, Ask, Message, Picture, Reply
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.gate.scores import min_score
from speceyes_cli.core.gate.token import TokenScore
from speceyes_cli.core.methods.method_options import MethodOptions
from speceyes_cli.core.methods.policies import speceyes
from speceyes_cli.core.run import info as runs
from speceyes_cli.core.run import records
from speceyes_cli.core.run.record_builder import build_record
from speceyes_cli.core.run.records import Record, TokenNote, plain_json
from speceyes_cli.core.samples import Sample, Verdict
from speceyes_cli.core.scheduling.trajectories import Asked, Finished
from speceyes_cli.core.tables import summaries
from speceyes_cli.serve.live import Live, watched

GATE = Gate("min", min_score)


@pytest.fixture
def record(sample: Sample, fallback: Finished) -> Record:
    return build_record(sample, 3, fallback, GATE, Verdict(right=True, provenance="text"))


def test_a_fallback_is_told_whole(record: Record) -> None:
    assert (record.route, record.text, record.confidence) == ("large", "red", 0.7)
    assert record.passed_screen is True
    assert record.position == 3
    assert record.draft is not None
    assert record.draft.text == "blue"
    assert not record.draft.accepted
    assert record.draft.confidence == pytest.approx(1 / (1 + math.exp(-1.2)))
    assert [token.separability for token in record.draft.tokens] == [2.0, 9.0]
    assert record.draft.tokens[0].entropy is None
    assert record.draft.tied_tokens == 1
    assert record.draft.lowest_margin == 0.0
    assert (record.small_tokens, record.large_tokens) == (2, 10)
    assert record.phase_seconds == pytest.approx(
        {"screen": 0.1, "draft": 0.02, "agent": 0.5, "tool": 0.06}
    )
    assert record.seconds == pytest.approx(0.68)
    assert record.elapsed == 2.0
    assert [call.phase for call in record.calls] == ["screen", "draft", "agent", "agent"]


def test_messages_keep_pictures_by_name_and_size(record: Record) -> None:
    assert set(record.messages) == {"screen", "draft", "agent"}
    agent = record.messages["agent"]
    assert [message.role for message in agent] == ["user", "assistant", "user", "assistant"]
    first, crop = agent[0].content[0], agent[2].content[1]
    assert isinstance(first, records.PictureNote)
    assert (first.picture, first.width, first.height) == ("car.jpg", 28, 28)
    assert isinstance(crop, records.PictureNote)
    assert (crop.picture, crop.width, crop.height) == ("crop of car.jpg", 14, 14)
    assert agent[-1].content == ("red",)


def test_tools_and_their_errors_are_kept(record: Record) -> None:
    good, bad = record.tools
    assert (good.name, good.outcome, good.text, good.notes) == (
        "zoom",
        "ok",
        "<crop>",
        ("clamped",),
    )
    assert good.arguments == {"picture": "car.jpg", "box": [0, 0, 1, 1]}
    assert (bad.outcome, bad.text, bad.notes) == ("bad_box", "no box", ("mended",))


def test_an_error_is_a_record_too(sample: Sample, failure: Finished) -> None:
    record = build_record(sample, 0, failure, GATE, None)
    assert (record.route, record.text, record.verdict) == ("error", None, None)
    assert record.error is not None
    assert (record.error.kind, record.error.phase) == ("ValueError", "draft")
    assert record.error.text.startswith("bad")
    assert Record.model_validate_json(record.model_dump_json()) == record


def test_an_accepted_draft(sample: Sample, fallback: Finished) -> None:
    finished = replace(fallback, answer=Answer("blue", "small", 0.99), events=fallback.events[:2])
    record = build_record(sample, 0, finished, GATE, Verdict(right=False, provenance="text"))
    assert record.route == "small"
    assert record.draft is not None
    assert record.draft.accepted


def test_an_agent_that_fails_takes_nothing_from_the_gate(
    sample: Sample, fallback: Finished
) -> None:
    asked, drafted, *_ = fallback.events
    assert isinstance(drafted, Asked)
    failed = replace(fallback, answer=None, error=ValueError("no agent"), failed_in="agent")
    for score, accepted in ((12.0, True), (1.0, False)):
        reply = replace(drafted.reply, statistics=(TokenScore(score, -0.1, 3.0, 0.1),))
        events = (asked, drafted._replace(reply=reply))
        record = build_record(sample, 0, replace(failed, events=events), GATE, None)
        assert record.draft is not None
        assert record.draft.accepted is accepted


def test_a_run_without_screen_or_draft(sample: Sample, fallback: Finished) -> None:
    record = build_record(sample, 0, replace(fallback, events=fallback.events[2:3]), GATE, None)
    assert record.passed_screen is None
    assert record.draft is None


def test_json_round_trips_and_holds_no_nan(record: Record) -> None:
    text = record.model_dump_json()
    assert Record.model_validate_json(text) == record
    assert json.loads(text, parse_constant=pytest.fail)["meta"] == {
        "size": [40, 30],
        "score": None,
    }


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary()
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=8,
)


@given(values)
def test_anything_becomes_json(value: Any) -> None:
    text = json.dumps(plain_json(value), allow_nan=False, ensure_ascii=False)
    assert json.loads(text.encode()) == plain_json(value)


@given(st.floats(), st.floats(), st.floats(), st.text(st.characters()))
def test_no_float_and_no_text_breaks_a_record(
    separability: float, logprob: float, seconds: float, text: str
) -> None:
    def no_picture() -> Any:
        raise AssertionError("a record needs no picture")

    sample = Sample(text, "test", Picture(text, no_picture), text, (text,), text)
    scores = (TokenScore(separability, logprob, separability, logprob),)
    message = Message("user", (text, sample.picture))
    reply = Reply(text, 1, "stop", scores, seconds)
    asked = Asked(Ask("small", (message,), 20, gate=GATE, phase="draft"), reply)
    answer = Answer(text, "small", separability, {text: logprob})
    finished = Finished("test/s", answer, None, None, (asked,), 1.0)
    record = build_record(sample, 0, finished, GATE, Verdict(right=None, provenance="none"))
    body = record.model_dump_json()
    assert Record.model_validate_json(body) == record
    assert "\n" not in body
    json.loads(body.encode(), parse_constant=pytest.fail)


@pytest.mark.parametrize("module", [records, runs, summaries])
def test_every_field_has_a_docstring(module: Any) -> None:
    tree = ast.parse(inspect.getsource(module))
    bare = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef):
            continue
        model = getattr(module, node.name)
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            continue
        for statement, after in zip(node.body, [*node.body[1:], None], strict=True):
            told = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            if isinstance(statement, ast.AnnAssign) and not told:
                bare.append(f"{node.name}.{statement.target.id}")
    assert not bare


def test_records_hold_no_tensors() -> None:
    note = TokenNote(separability=1.0, logprob=float("-inf"), margin=float("nan"), entropy=0)
    assert (note.logprob, note.margin) == (None, None)


def test_a_key_that_no_file_can_hold_is_made_writable() -> None:
    told = plain_json({"\ud800": 1.0})
    assert json.loads(json.dumps(told, ensure_ascii=False).encode()) == told


@pytest.mark.parametrize(
    ("said", "as_paper", "passes"),
    [
        ("Not needed.", False, False),
        ("Not needed.", True, True),
        ("**No**", False, True),
        ("**No**", True, False),
    ],
)
def test_a_screen_is_recorded_as_the_method_read_it(
    sample: Sample, said: str, as_paper: bool, passes: bool
) -> None:
    options = MethodOptions(as_paper=as_paper)
    policy = speceyes(sample, Looker(), GATE, options)
    asked, reply = next(policy), Reply(said, 3, "stop")
    assert isinstance(asked, Ask)
    following = policy.send(reply)
    assert isinstance(following, Ask)
    assert following.phase == ("draft" if passes else "agent")
    event = Asked(asked, reply)
    finished = Finished(sample.key, Answer("red", "small"), None, None, (event,), 1.0)
    assert build_record(sample, 0, finished, GATE, None).passed_screen is passes

    out = io.StringIO()
    DecisionView(Console(file=out, width=200), GATE, gated=True)(sample.key, event)
    assert ("on to the draft" in out.getvalue()) is passes

    async def streamed() -> Any:
        live = Live()
        steps = watched(speceyes(sample, Looker(), GATE, options), live, GATE)
        next(steps)
        steps.send(reply)
        await live.changed()
        return live.take()[0]

    assert asyncio.run(streamed()).facts == {"step": "screen", "passed": passes}
