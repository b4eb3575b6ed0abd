"""Chat templates as they are published with models: the copies that the package trl holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import environment
import pytest
from speceyes_plugins.engines.chat_rendering import ChatRenderer
from speceyes_training import architecture

from speceyes_cli.core.agents import Agent
from speceyes_cli.host.manager import build_host
from speceyes_cli.host.planning.options import RunOptions
from speceyes_cli.host.planning.plans import make_agent
from speceyes_cli.host.planning.rehearsal import conversation

pytestmark = pytest.mark.real_servers
PUBLISHED = ("qwen3_vl", "qwen3_5_think", "qwen3_5_nothink", "qwen3_6", "qwen3_8")
SHOWN = "<|vision_start|><|image_pad|><|vision_end|>"


@pytest.fixture(scope="module")
def templates() -> Path:
    return environment.published_templates()


@pytest.fixture(scope="module")
def processor() -> Any:
    tokenizer = architecture.train_tokenizer(["Which colour is it? Look closer. <think> " * 20])
    return architecture.build_processor(tokenizer)


@pytest.fixture(scope="module", params=["deepeyes", "thyme", "qwen"])
def agent(request: pytest.FixtureRequest) -> Agent:
    own = ("sandbox=unsafe-subprocess",) if request.param == "thyme" else ()
    return make_agent(RunOptions(agent=request.param, agent_option=own), build_host())


@pytest.mark.parametrize("name", PUBLISHED)
def test_agents_reach_models_whole(
    templates: Path, processor: Any, agent: Agent, name: str
) -> None:
    processor.chat_template = (templates / f"{name}.jinja").read_text(encoding="utf-8")
    chat = ChatRenderer(processor, name)
    first, second = conversation(agent)
    assert [chat.rehearse(ask) for ask in (first, second)] == [None, None]
    if second.continue_turn:
        written = [part if isinstance(part, str) else SHOWN for part in second.messages[-1].content]
        assert chat.render(second) == chat.render(first) + "".join(written)
        ids = processor.tokenizer(chat.render(second))["input_ids"]
        begun = processor.tokenizer(chat.render(first))["input_ids"]
        assert ids[: len(begun)] == begun
    at_once = chat.render(replace(first, phase="draft"))
    assert at_once.endswith(("assistant\n", "<think>\n\n</think>\n\n"))
