"""Tokens as they are told, against a count by the tokenizer."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import pytest
import speceyes_plugins.embedded
from PIL import Image
from transformers import AutoProcessor

from speceyes_cli.core.chat import Picture
from speceyes_cli.core.methods.prompts import DRAFT_INSTRUCTION
from speceyes_cli.serve.conversations import make_sample
from speceyes_cli.serve.http.requests import read_question
from tests.serve.conftest import Serve, data_url
from tests.serve.http.test_conversations import create, said
from tests.serve.http.test_streams import needle

COLOURS = ("red", "green", "blue", "white")


def processor(role: str) -> Any:
    [folder] = speceyes_plugins.embedded.__path__
    return AutoProcessor.from_pretrained(f"{folder}/weights/{role}")


def count(role: str, messages: list[dict[str, Any]]) -> int:
    """Tokens of a conversation as the checkpoint's own processor writes it."""
    made, pictures, chat = processor(role), [], []
    for message in messages:
        parts = message["content"]
        if isinstance(parts, str):
            parts = [{"type": "text", "text": parts}]
        content = []
        for part in parts:
            if part["type"] == "text":
                content.append(part)
                continue
            data = base64.b64decode(part["image_url"]["url"].partition(",")[2])
            pictures.append(Image.open(io.BytesIO(data)).convert("RGB"))
            content.append({"type": "image"})
        chat.append({"role": message["role"], "content": content})
    text = made.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    return len(made(text=[text], images=pictures or None)["input_ids"][0])


def history() -> list[dict[str, Any]]:
    """Ten turns with four pictures."""
    turns: list[dict[str, Any]] = []
    for number in range(5):
        pictures = [data_url((200, 200), COLOURS[number])] if number < 4 else []
        turns.append(said("user", *pictures, f"Question: What colour is disc {number}?"))
        turns.append({"role": "assistant", "content": "red"})
    return turns


@pytest.mark.parametrize("method", ["draft", "speceyes"])
def test_ten_turns_with_four_pictures_are_counted_to_the_token(serve: Serve, method: str) -> None:
    served = serve("embedded", agent="deepeyes", method=method, screen="none")
    asked = "What colour is the first disc?"
    answer = create(served, *history(), said("user", asked))
    drafted = [*history(), said("user", f"Question: {asked}\n{DRAFT_INSTRUCTION}")]
    wanted = count("small", drafted)
    decision = answer.model_extra["speceyes"]
    assert decision["usage"]["small"]["prompt_tokens"] == wanted
    told = answer.usage
    assert told
    if decision["route"] == "small":
        assert told.prompt_tokens == wanted
    each = decision["usage"]
    assert told.prompt_tokens == sum(each[role]["prompt_tokens"] for role in ("small", "large"))
    assert told.completion_tokens == sum(
        each[role]["completion_tokens"] for role in ("small", "large")
    )
    assert told.total_tokens == told.prompt_tokens + told.completion_tokens


def test_the_agents_reading_of_a_history_is_counted_to_the_token(serve: Serve) -> None:
    served = serve("embedded", agent="deepeyes", method="baseline", max_turns=1)
    asked = [*history(), said("user", "What colour is the first disc?")]
    answer = create(served, *asked)
    turns = read_question(json.dumps({"model": "m", "messages": asked}).encode()).turns
    pictures = {url: Picture(url, Image.Image) for turn in turns for url in turn.addresses}
    opened = served.queue._service.agent.open(make_sample("1", turns, pictures))
    assert sum(isinstance(part, Picture) for one in opened for part in one.content) == 4
    large = answer.model_extra["speceyes"]["usage"]["large"]
    assert large["calls"] == 1
    read = [
        said(one.role, *(getattr(part, "name", part) for part in one.content)) for one in opened
    ]
    assert large["prompt_tokens"] == count("large", read)
    assert answer.usage
    assert answer.usage.prompt_tokens == large["prompt_tokens"]


def test_words_alone_are_counted_to_the_token(serve: Serve) -> None:
    messages = [
        said("user", "Question: one?"),
        {"role": "assistant", "content": "red"},
        said("user", "two"),
    ]
    answer = create(serve("embedded", agent="deepeyes"), *messages, max_tokens=4)
    assert answer.usage
    assert answer.usage.prompt_tokens == count("large", messages)
    assert 0 < answer.usage.completion_tokens <= 4


def test_an_agents_later_turns_come_from_what_was_read(serve: Serve) -> None:
    served = serve("embedded", agent="deepeyes", method="baseline")
    answer = create(served, *needle()["messages"])
    large = answer.model_extra["speceyes"]["usage"]["large"]
    assert large["calls"] > 1
    assert 0 < large["cached_tokens"] < large["prompt_tokens"]
    assert answer.usage
    assert answer.usage.prompt_tokens_details
    assert answer.usage.prompt_tokens_details.cached_tokens == large["cached_tokens"]


def test_what_was_saved_is_an_estimate_from_the_agents_own_answers(serve: Serve) -> None:
    served = serve("scripted?delay=0.01")
    first = create(served, said("user", data_url(), "dot 1?")).model_extra["speceyes"]
    assert first["saved"] is None
    fallen = create(served, said("user", data_url(), "dot 2?")).model_extra["speceyes"]["saved"]
    assert fallen["estimate"] is True
    assert fallen["seconds"] < 0
    saved = create(served, said("user", data_url(), "dot 1?")).model_extra["speceyes"]["saved"]
    assert saved["from_answers"] == 1
    assert saved["large_tokens"] > 0


def test_the_tokens_of_an_accepted_draft_have_log_probabilities(serve: Serve) -> None:
    served = serve()
    for number, there in ((1, True), (2, False)):
        asked = said("user", data_url(), f"dot {number}?")
        for stream in (False, True):
            body = {"model": "speceyes", "messages": [asked], "logprobs": True, "top_logprobs": 2}
            with served.client() as client:
                answer: Any = client.chat.completions.create(**body, stream=stream)
                choices = [one.choices[0] for one in (answer if stream else [answer])]
            found = [one.logprobs for one in choices if one.logprobs]
            assert bool(found) is there
            if there:
                [token, *_] = found[0].content
                assert token.logprob == pytest.approx(-0.001)
                assert token.top_logprobs[0].logprob == token.logprob
    assert create(served, said("user", data_url(), "dot 1?")).choices[0].logprobs is None


@pytest.mark.parametrize("agent", ["deepeyes", "thyme"])
def test_an_answer_that_its_limit_cut_says_so(serve: Serve, agent: str) -> None:
    """Agents read an answer whose closing tag is missing: it may look whole, and is not."""
    served = serve("embedded", agent=agent, method="baseline")
    [asked] = needle()["messages"]
    whole = create(served, asked)
    assert whole.choices[0].finish_reason == "stop"
    text, tokens = whole.choices[0].message.content, whole.usage.completion_tokens
    cut = 0
    for most in range(tokens - 4, tokens):
        choice = create(served, asked, max_tokens=most).choices[0]
        if choice.message.content != text:
            assert choice.finish_reason == "length", (most, choice.message.content)
            cut += 1
    assert cut
    assert create(served, asked, max_tokens=tokens + 1).choices[0].finish_reason == "stop"


def test_a_loop_that_max_tokens_ends_keeps_its_draft_and_turns(serve: Serve) -> None:
    served = serve("embedded", agent="deepeyes", screen="none")
    [asked] = needle()["messages"]
    told = create(served, asked, max_tokens=9, extra_body={"speceyes": {"threshold": 1}})
    decision = told.model_extra["speceyes"]
    assert told.choices[0].finish_reason == "length"
    assert decision["route"] == "large"
    assert decision["confidence"] is not None
    assert decision["turns"] == 1
