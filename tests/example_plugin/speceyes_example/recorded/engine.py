"""An engine over recorded answers: `recorded:FILE`, a JSON object of OpenAI choices by phase.

Each phase has a list of choices, one for each time that a trajectory asks in it. It shows what an
engine over a server needs: token scores from log-probabilities, and the size of each picture as the
model sees it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from speceyes_plugins.engines.resize_rule import ResizeRule
from speceyes_plugins.engines.token_scores import read_tokens, score_tokens

from speceyes_cli.plugin import (
    Ask,
    EngineOptions,
    EngineSpec,
    Reply,
    Size,
    UsageError,
    chat_pictures,
)

RULE = ResizeRule(factor=28, min_pixels=56 * 56, max_pixels=28 * 28 * 1280)


class RecordedEngine:
    """Gives each phase's recorded choices in turn."""

    max_batch = 1
    workers = 1
    group = "recorded"

    def __init__(self, path: Path) -> None:
        self._choices: Mapping[str, Sequence[Mapping[str, Any]]] = json.loads(path.read_text())

    def generate(self, asks: Sequence[Ask]) -> Sequence[Reply | Exception]:
        """One reply to each ask."""
        return [self._reply(ask) for ask in asks]

    def _reply(self, ask: Ask) -> Reply:
        turn = sum(message.role == "assistant" for message in ask.messages)
        choice = self._choices[ask.phase][turn]
        tokens = read_tokens(choice, None) if ask.gate is not None else []
        scores = score_tokens(tokens, ask.gate.top_k) if ask.gate is not None else ()
        text = choice["message"]["content"]
        frames = tuple(RULE.frame(Size(*p.open().size)) for p in chat_pictures(ask.messages))
        pieces = tuple(token.text.decode() for token in tokens)
        return Reply(text, len(text.split()), "stop", scores, frames=frames, pieces=pieces)

    def forget(self, trajectory: str) -> None:
        """Nothing is kept."""

    def describe(self) -> Mapping[str, Any]:
        """What `run.json` keeps."""
        return {"model": "recorded"}

    def close(self) -> None:
        """Nothing is held."""


def path_of(model: str) -> Path:
    """The file behind a model's name."""
    return Path(model.removeprefix("recorded:"))


def check(options: EngineOptions) -> None:
    """The file must be there."""
    if not path_of(options.model).is_file():
        raise UsageError(f"{options.model}: there is no file {path_of(options.model)}.")


RECORDED = EngineSpec(
    name="recorded",
    takes=lambda model: model.startswith("recorded:"),
    check=check,
    factory=lambda options: RecordedEngine(path_of(options.model)),
    summary="what a server once answered",
)
