"""Every hook of SpecEyes, implemented once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

import typer

from speceyes_cli.plugin import (
    Agent,
    AgentSpec,
    Answer,
    CheckSpec,
    DatasetSpec,
    EngineSpec,
    Finding,
    Gate,
    GateSpec,
    JudgeOptions,
    JudgeSpec,
    MethodOptions,
    MethodSpec,
    PluginOption,
    Policy,
    Record,
    RuleJudge,
    RunInfo,
    Sample,
    TokenScore,
    Verdict,
    confidence_from_separability,
    draft_ask,
    hookimpl,
)
from speceyes_example.caller.agent import CALLER
from speceyes_example.dots import DOTS
from speceyes_example.likely import LIKELY
from speceyes_example.looker import LOOKER
from speceyes_example.recorded.engine import RECORDED
from speceyes_example.scripted import LOGPROBS, SCRIPTED

LETTERS = PluginOption("ignore-case", "capital letters are as good as small ones", False, bool)
TIMES = PluginOption("times", "how often it is asked", 2, int)
JOURNAL = "SPECEYES_EXAMPLE_JOURNAL"
"""Environment variable: a file that gets a line for each finished record."""


@hookimpl
def speceyes_agents() -> Iterable[AgentSpec]:
    """Yield the agents."""
    yield LOOKER
    yield CALLER


@hookimpl
def speceyes_engines() -> Iterable[EngineSpec]:
    """Yield the engines."""
    yield SCRIPTED
    yield RECORDED
    yield LOGPROBS


@hookimpl
def speceyes_datasets() -> Iterable[DatasetSpec]:
    """Yield the dataset."""
    yield DOTS


@hookimpl
def speceyes_checks() -> Iterable[CheckSpec]:
    """Yield the check."""
    yield CheckSpec("greeting", lambda: [Finding("greeting", "ok", "hello")], "says hello")


@hookimpl
def speceyes_judges() -> Iterable[JudgeSpec]:
    """Yield the judge."""
    yield JudgeSpec(
        "exact", make_judge, "right only in the very words", (LETTERS,), asks_server=False
    )


@hookimpl
def speceyes_gates() -> Iterable[GateSpec]:
    """Yield two gates, each naming the statistics it reads."""
    yield GateSpec("first", first_token, "the first token alone", needs=("separability",))
    yield LIKELY


@hookimpl
def speceyes_methods() -> Iterable[MethodSpec]:
    """Yield the method."""
    yield MethodSpec("twice", twice, ("small",), "the small model, asked again", options=(TIMES,))


@hookimpl
def speceyes_commands(app: typer.Typer) -> None:
    """Add a command."""

    @app.command("hello")
    def hello() -> None:
        """Say hello."""
        typer.echo("hello from a plugin")


@hookimpl
def speceyes_record(record: Record, run: RunInfo) -> None:
    """Write a line for each finished record, where the user wants a journal."""
    path = os.environ.get(JOURNAL)
    if path:
        with open(path, "a", encoding="utf-8") as journal:  # noqa: PTH123 - one write, one line
            journal.write(f"{run.name} {record.split}/{record.sample_id}\n")


def make_judge(options: JudgeOptions) -> RuleJudge:
    """A judge, whose option decides verdicts."""

    def exact(sample: Sample, text: str) -> Verdict:
        if options.options.get("ignore-case"):
            return Verdict(text.lower() == (sample.answer or "").lower(), "exact")
        return Verdict(text == sample.answer, "exact")

    return RuleJudge("exact", exact)


def first_token(scores: Sequence[TokenScore]) -> float:
    """A gate."""
    return confidence_from_separability(scores[0].separability)


def twice(
    sample: Sample,
    agent: Agent,  # noqa: ARG001 - one signature
    gate: Gate,
    method_options: MethodOptions,
) -> Policy:
    """A method: the last answer stands, sure if all agree."""
    said = set()
    for _ in range(int(method_options.options.get("times") or 2)):
        reply = yield draft_ask(sample, gate, method_options)
        said.add(reply.text)
    return Answer(reply.text, "small", float(len(said) == 1))
