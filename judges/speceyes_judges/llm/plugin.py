"""The judge as a plugin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from speceyes_cli.plugin import JudgeOptions, JudgeSpec, hookimpl

if TYPE_CHECKING:
    from speceyes_judges.llm.judge import LlmJudge


def make_judge(options: JudgeOptions) -> LlmJudge:
    """The judge; nothing is connected yet."""
    from speceyes_judges.llm.judge import LlmJudge  # noqa: PLC0415 - only when it is chosen

    return LlmJudge(options)


@hookimpl
def speceyes_judges() -> Iterable[JudgeSpec]:
    """Yield the judge by rules and a model."""
    yield JudgeSpec("llm", make_judge, "rules first, then a model over an OpenAI-compatible server")
