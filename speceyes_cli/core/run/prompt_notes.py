"""The words of a run's prompts: digests and origins, by which runs are told apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from types import MappingProxyType

from PIL import Image
from pydantic import BaseModel, ConfigDict

from speceyes_cli.core.agents import Agent, ToolCaller
from speceyes_cli.core.chat import Message, Picture
from speceyes_cli.core.methods.prompts import (
    OWN_PROMPTS,
    MethodPrompts,
    draft_messages,
    score_messages,
)
from speceyes_cli.core.run.records import Text
from speceyes_cli.core.samples import Sample

OWN_WORDS = "our own words"
"""The origin of a text that nobody replaced."""
ELSEWHERE = frozenset({"screen_system", "screen", "draft_system", "draft", "score"})
"""Texts that the agent's hash does not depend on."""


class PromptNote(BaseModel):
    """One text of a prompt."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: str
    """SHA-256 of its characters in UTF-8."""
    origin: Text
    """Where it was read: a file, or a place in a clone; or "our own words"."""


def prompt_hashes(
    agent: Agent,
    own: MethodPrompts = OWN_PROMPTS,
    replaced: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """SHA-256 of each phase's wording, found by asking about a blank picture.

    `replaced` are texts that stand in the place of ours: those that no first message of the
    agent's holds are part of its hash too.
    """
    blank = Picture("blank", lambda: Image.new("RGB", (56, 56)))
    probe = Sample("probe", "probe", blank, "?", options=("first", "second"))
    prompts = {
        "screen": agent.screen(probe),
        "draft": draft_messages(probe, own),
        "agent": agent.open(probe),
        "score": score_messages((), "", own.score),
    }
    hashes = {phase: _hash_messages(messages) for phase, messages in prompts.items()}
    if isinstance(agent, ToolCaller) and agent.tools:
        told = json.dumps([tool.as_json() for tool in agent.tools])
        hashes["tools"] = hashlib.sha256(told.encode()).hexdigest()
    later = {key: text for key, text in sorted(replaced.items()) if key not in ELSEWHERE}
    if later:
        told = json.dumps([hashes["agent"], later])
        hashes["agent"] = hashlib.sha256(told.encode()).hexdigest()
    return hashes


def prompt_digest(text: str) -> str:
    """SHA-256 of a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _hash_messages(messages: tuple[Message, ...]) -> str:
    digest = hashlib.sha256()
    for message in messages:
        digest.update(f"\0{message.role}".encode())
        for part in message.content:
            digest.update(f"\1{part}".encode() if isinstance(part, str) else b"\2")
    return digest.hexdigest()
