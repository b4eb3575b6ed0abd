"""An agent's later turns read from the prefix cache what its earlier ones have read."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from PIL import Image
from speceyes_plugins.engines.vllm.engine import VLLMEngine
from speceyes_plugins.engines.vllm.loading import load
from speceyes_plugins.engines.vllm.models import OPTIONS
from speceyes_plugins.engines.vllm.requests import Request, StepThread

from speceyes_cli.core.chat import Ask, Message, Picture
from speceyes_cli.plugin import EngineOptions

BLOCK = 32


@pytest.fixture(scope="module")
def engine() -> Iterator[VLLMEngine]:
    values = {one.name: one.default for one in OPTIONS}
    made = load(EngineOptions("vllm:embedded", "large", concurrency=8, options=values))
    yield made
    made.close()


def picture(colour: str) -> Picture:
    return Picture(colour, lambda: Image.new("RGB", (640, 640), colour))


@pytest.mark.parametrize("inside", [False, True])
def test_later_turns_come_from_the_cache(
    engine: VLLMEngine, inside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered: list[Request] = []
    answer = StepThread.answer

    def keep(self: StepThread, request: Request) -> Request:
        answered.append(answer(self, request))
        return answered[-1]

    monkeypatch.setattr(StepThread, "answer", keep)
    colour = "red" if inside else "blue"
    words = "Where is the disc, and what is beside it? " * 12
    messages = (Message("user", (picture(colour), words)),)
    for turn in range(3):
        ask = Ask("large", messages, 24, continue_turn=inside and turn > 0)
        [reply] = engine.generate([ask])
        assert not isinstance(reply, Exception), reply
        crop = picture("green")
        if inside:  # results stand within the assistant's own turn
            before = messages[-1].content if turn else ()
            messages = (messages[0], Message("assistant", (*before, reply.text, crop, "Now: ")))
        else:
            messages += (Message("assistant", (reply.text,)), Message("user", (crop, "Go on.")))
    for earlier, later in itertools.pairwise(answered):
        read = len(earlier.output.prompt_token_ids)
        assert later.output.num_cached_tokens >= read // BLOCK * BLOCK
        assert later.output.num_cached_tokens >= 0.9 * (read - BLOCK)
