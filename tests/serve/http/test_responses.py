"""OpenAI's Responses interface, by the real client."""

from __future__ import annotations

import json
from typing import Any, get_args

import httpx2 as httpx
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import ResponseStreamEvent
from openai.types.responses.response_create_params import ResponseCreateParamsBase

from speceyes_cli.serve.http.errors import ApiError
from speceyes_cli.serve.http.responses import IGNORED, READ, REFUSED, read_response_question
from tests.serve.conftest import Serve, data_url
from tests.serve.http.test_requests import JSON
from tests.serve.http.test_streams import needle

KINDS = {
    get_args(one.model_fields["type"].annotation)[0]
    for one in get_args(get_args(ResponseStreamEvent)[0])
}


def asked(text: str, **fields: Any) -> dict[str, Any]:
    content = [
        {"type": "input_image", "image_url": data_url(), "detail": "auto"},
        {"type": "input_text", "text": text},
    ]
    return {"model": "speceyes", "input": [{"role": "user", "content": content}], **fields}


@pytest.mark.parametrize(("number", "route"), [(0, "large"), (1, "small"), (2, "large")])
def test_one_turn_with_a_picture(serve: Serve, number: int, route: str) -> None:
    with serve().client() as client:
        answer = client.responses.create(**asked(f"Colour of dot {number}?"))
    assert answer.output_text == ["red", "green", "blue"][number]
    assert answer.status == "completed"
    assert answer.usage
    assert answer.usage.output_tokens > 0
    assert answer.model_extra["speceyes"]["route"] == route


def test_words_instructions_and_earlier_turns(serve: Serve) -> None:
    with serve(words="small").client() as client:
        plain = client.responses.create(model="speceyes", input="dot 1?")
        told = client.responses.create(
            model="speceyes", input="Which colour?", instructions="It is about dot 1."
        )
        history: Any = [
            {"role": "user", "content": "Look for dot 1."},
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {"type": "function_call", "call_id": "1", "name": "find", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "1", "output": "found"},
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "I found it.", "annotations": []}],
            },
            {"role": "user", "content": [{"type": "input_text", "text": "Which colour?"}]},
        ]
        later = client.responses.create(model="speceyes", input=history, store=False)
    assert plain.output_text == told.output_text == later.output_text == "green"


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_stream_ends_in_the_same_response(serve: Serve, number: int) -> None:
    with serve().client() as client:
        whole = client.responses.create(**asked(f"dot {number}?"))
        with client.responses.create(**asked(f"dot {number}?"), stream=True) as stream:
            events = list(stream)
    assert {event.type for event in events} <= KINDS
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created"
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == whole.output_text
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == whole.output_text
    thoughts = [event for event in events if event.type == "response.reasoning_text.delta"]
    assert bool(thoughts) is (number != 1)


@pytest.mark.parametrize("number", [0, 1])
def test_every_part_of_a_stream_is_opened_before_it_grows_and_then_closed(
    serve: Serve, number: int
) -> None:
    """As openai for JavaScript needs it: it adds a delta to a part that was opened."""
    with serve().client() as client:
        with client.responses.create(**asked(f"dot {number}?"), stream=True) as stream:
            told: Any = list(stream)
    opened: dict[tuple[str, int], str] = {}
    closed: dict[tuple[str, int], str] = {}
    for event in told:
        place = (getattr(event, "item_id", ""), getattr(event, "content_index", -1))
        match event.type:
            case "response.content_part.added":
                opened[place] = event.part.type
            case "response.reasoning_text.delta" | "response.output_text.delta":
                assert event.type == f"response.{opened[place]}.delta"
                assert place not in closed
            case "response.content_part.done":
                closed[place] = event.part.text
    assert set(closed) == set(opened)
    parts = [part for item in told[-1].response.output for part in item.content]
    assert list(closed.values()) == [part.text for part in parts]
    assert [part.type for part in parts] == list(opened.values())


def test_the_clients_own_helper_follows_a_real_agent(serve: Serve) -> None:
    body = needle()["messages"][0]["content"]
    content: Any = [
        {"type": "input_image", "image_url": body[0]["image_url"]["url"], "detail": "auto"},
        {"type": "input_text", "text": body[1]["text"]},
    ]
    with serve("embedded", agent="deepeyes", method="baseline").client() as client:
        shown: Any = [{"role": "user", "content": content}]
        with client.responses.stream(model="speceyes", input=shown) as stream:
            kinds = [event.type for event in stream]
            final = stream.get_final_response()
        cut = client.responses.create(model="speceyes", input=shown, max_output_tokens=5)
    assert kinds.count("response.reasoning_text.delta") > 4
    assert [item.type for item in final.output] == ["reasoning", "message"]
    assert final.output_text
    assert cut.status == "incomplete"
    assert cut.incomplete_details
    assert cut.incomplete_details.reason == "max_output_tokens"


@pytest.mark.parametrize(
    ("fields", "told", "place"),
    [
        ({"tools": [{"type": "web_search"}]}, "'tools' is not supported here", "tools"),
        ({"previous_response_id": "r"}, "not supported here", "previous_response_id"),
        ({"text": {"format": {"type": "json_object"}}}, "not supported here", "text"),
        ({"temprature": 1}, "did you mean 'temperature'?", "temprature"),
        ({"input": 1}, "a text or a list", "input"),
        ({"input": []}, "at least 1 item", "input"),
        ({"input": [{"type": "computer_call"}]}, "'computer_call'", "input"),
        ({"input": [{"role": "oracle", "content": "x"}]}, "no role 'oracle'", "input[0].role"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
            "files are not kept",
            "input",
        ),
    ],
)
def test_what_is_wrong_is_told_by_its_place(
    serve: Serve, fields: dict[str, Any], told: str, place: str
) -> None:
    with serve().client() as client, pytest.raises(openai.BadRequestError) as refused:
        client.post("/responses", body={**asked("dot 1"), **fields}, cast_to=httpx.Response)
    assert told in str(refused.value)
    assert refused.value.param == place


def test_every_field_of_the_newest_client_is_known() -> None:
    sent = {*ResponseCreateParamsBase.__annotations__, "stream"}
    assert sent <= {*READ, *IGNORED, *REFUSED}


@given(
    st.binary()
    | st.dictionaries(st.sampled_from([*READ, *REFUSED, "zzz"]), JSON).map(repr).map(str.encode)
)
def test_any_body_is_read_or_refused(data: bytes) -> None:
    with pytest.raises(ApiError) as refused:
        read_response_question(data)
    assert refused.value.status == 400


@given(st.dictionaries(st.sampled_from([*READ, *IGNORED]), JSON), JSON)
def test_any_field_is_read_or_refused(fields: dict[str, Any], item: Any) -> None:
    for body in ({**asked("Why?"), **fields}, asked("Why?", input=[item])):
        status = 400
        try:
            read_response_question(json.dumps(body).encode())
        except ApiError as error:
            status = error.status
        assert status == 400


def test_the_context_length_is_told(serve: Serve) -> None:
    with serve("embedded", agent="deepeyes").client() as client:
        [model] = client.models.list()
    assert (model.model_extra or {})["max_model_len"] == 4096
