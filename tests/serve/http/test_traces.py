"""Streams that tell every step, with all that the gate and the tools saw."""

from __future__ import annotations

import asyncio
import base64
import io
import re
from typing import Any

import httpx2 as httpx
import pytest
from PIL import Image

from speceyes_cli.core.chat import Picture, Reply
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.gate.scores import min_score
from speceyes_cli.core.gate.token import TokenScore
from speceyes_cli.core.methods.method_options import MethodOptions
from speceyes_cli.core.methods.policies import write_draft
from speceyes_cli.core.samples import Sample
from speceyes_cli.serve.http.answers import ReplyForm
from speceyes_cli.serve.http.errors import ApiError
from speceyes_cli.serve.http.passing import relayed
from speceyes_cli.serve.http.streams import late
from speceyes_cli.serve.live import Chunk, Live, Step, watched
from tests.serve.conftest import Serve, ask, data_url
from tests.serve.http.test_streams import delta_text, events, needle

TRACE = {"speceyes": {"trace": True}}
SURE = TokenScore(separability=12.0, logprob=-0.001, margin=9.0, entropy=0.01)
PICTURE = Picture("p", lambda: Image.new("RGB", (8, 8)))


def steps(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one["speceyes"] for one in told if "step" in one.get("speceyes", {})]


def test_an_accepted_draft_is_told_with_its_tokens(serve: Serve) -> None:
    told = events(serve(), {**ask("dot 1"), **TRACE})
    screen, draft = steps(told)
    assert screen == {"step": "screen", "passed": True, "text": "No."}
    assert draft["accepted"] is True
    assert (draft["gate"], draft["threshold"], draft["finish"]) == ("min", 0.98, "stop")
    assert [token["separability"] for token in draft["tokens"]] == [12.0, 12.0]
    assert set(draft["tokens"][0]) == {
        *("text", "separability", "logprob", "margin", "entropy", "fault"),
    }
    assert delta_text(told, "content") == "green"
    assert told[-1]["speceyes"]["route"] == "small"


def test_a_fallback_is_told_turn_by_turn_with_boxes_and_what_the_tool_showed(serve: Serve) -> None:
    told = events(serve(), {**ask("dot 2"), **TRACE})
    found = steps(told)
    assert [step["step"] for step in found] == ["screen", "draft", "turn", "tool", "turn"]
    assert [step["turn"] for step in found if step["step"] == "turn"] == [1, 2]
    [tool] = [step for step in found if step["step"] == "tool"]
    assert tool["box"] == {"picture": 0, "left": 0.25, "top": 0.25, "right": 0.75, "bottom": 0.75}
    assert tool["arguments"] == {"picture": "picture", "box": "16 16 48 48", "margin": 0}
    assert tool["text"] == "[crop]"
    [url] = tool["images"]
    image = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
    assert image.size == (32, 32)
    assert delta_text(told, "reasoning_content") == "LOOK 16 16 48 48"
    assert delta_text(told, "content") == "blue"


def test_the_box_is_the_one_that_was_cut_out(serve: Serve) -> None:
    served = serve("embedded", agent="deepeyes", method="baseline")
    body = needle()
    url = body["messages"][0]["content"][0]["image_url"]["url"]
    picture = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
    tools = [s for s in steps(events(served, {**body, **TRACE})) if s["step"] == "tool"]
    assert tools
    for tool in tools:
        [name] = tool["pictures"]
        region = [int(number) for number in re.findall(r"\d+", name)][1:]
        sides = [
            tool["box"][side] * extent
            for side, extent in zip(
                ("left", "top", "right", "bottom"), picture.size * 2, strict=True
            )
        ]
        assert all(abs(whole - side) < 1 + 1e-6 for whole, side in zip(region, sides, strict=True))


def test_a_box_names_the_picture_of_the_conversation(serve: Serve) -> None:
    served = serve()
    pictures = (data_url((64, 64), "red"), data_url((128, 64), "blue"))
    [tool] = [s for s in steps(events(served, {**ask("dot 2", *pictures), **TRACE})) if "tool" in s]
    assert tool["box"]["picture"] == 0


def test_who_does_not_ask_is_told_no_more_than_before(serve: Serve) -> None:
    served = serve()
    assert steps(events(served, ask("dot 1"))) == []
    found = steps(events(served, ask("dot 2")))
    assert [set(step) for step in found] == [
        {"step", "passed"},
        {"step", "text", "confidence", "accepted"},
        {"step", "tool", "outcome", "pictures"},
    ]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("chat/completions", ask()),
        ("responses", {"model": "speceyes", "input": "dot 1", "stream": True}),
    ],
)
def test_only_a_stream_of_chat_completions_can_be_traced(
    serve: Serve, path: str, body: dict[str, Any]
) -> None:
    answer = httpx.post(f"{serve().url}/v1/{path}", json={**body, **TRACE}, timeout=60)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "speceyes.trace"


def test_what_is_wrong_before_the_first_step_has_its_status(serve: Serve) -> None:
    served = serve("scripted?fail=1")
    for body, status in (
        (ask("dot 1"), 500),
        (ask("dot 1", "data:image/png;base64,AAAA"), 400),
    ):
        sent = {**body, **TRACE, "stream": True}
        answer = httpx.post(f"{served.url}/v1/chat/completions", json=sent, timeout=60)
        assert answer.status_code == status


def test_a_race_tells_its_draft(serve: Serve) -> None:
    told = events(serve(race=True), {**ask("dot 1"), **TRACE})
    assert [step["step"] for step in steps(told)] == ["screen", "draft"]
    assert delta_text(told, "content") == "green"


def test_a_draft_is_told_as_the_policy_reads_it() -> None:
    """Without a thought that was not asked for, and then never accepted."""
    gate = Gate("min", min_score, threshold=0.5)

    async def told() -> list[Step]:
        live = Live()
        policy = watched(
            write_draft(Sample("1", "s", PICTURE, "?"), gate, MethodOptions()), live, gate
        )
        next(policy)
        with pytest.raises(StopIteration):
            policy.send(Reply("<think>hm</think>red", 4, "stop", (SURE,) * 4))
        await live.changed()
        return [event for event in live.take() if isinstance(event, Step)]

    [draft] = asyncio.run(told())
    assert draft.facts["text"] == "red"
    assert draft.facts["accepted"] is False


@pytest.mark.parametrize("relay", [False, True], ids=["answered", "passed on"])
def test_what_comes_while_a_stream_is_being_sent_is_not_lost(relay: bool) -> None:
    """The last steps, and the end of the work, while a slow client takes an earlier event."""

    async def sent() -> list[str]:
        live, work = Live(), asyncio.get_running_loop().create_future()
        body = {"choices": []}
        one = Chunk(body)
        live.tell(one)
        form = ReplyForm({"id": "1"}, Gate("min", min_score), logprobs=False, usage=False)
        stream = relayed(work, live) if relay else late(form, work, live)
        await live.changed()
        found = [await anext(stream) for _ in range(1 if relay else 2)]
        live.tell(one)
        await live.changed()
        work.set_exception(ApiError(500, "that was all"))
        return [*found, *[text async for text in stream]]

    told = asyncio.run(sent())
    assert told.count('data: {"choices": []}\n\n') == 2
    assert "that was all" in told[-1]


@pytest.mark.parametrize("relay", [False, True], ids=["answered", "passed on"])
def test_a_stream_that_fails_in_a_way_nobody_expected_ends_in_a_sentence(
    relay: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def sent() -> list[str]:
        live, work = Live(), asyncio.get_running_loop().create_future()
        work.set_exception(KeyError("a defect"))
        form = ReplyForm({"id": "1"}, Gate("min", min_score), logprobs=False, usage=False)
        stream = relayed(work, live) if relay else late(form, work, live)
        return [text async for text in stream]

    [told] = asyncio.run(sent())
    assert "The server made an error; see its log." in told
    assert "a defect" not in told
    assert "a defect" in caplog.text
