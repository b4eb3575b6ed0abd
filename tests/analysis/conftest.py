"""Runs made of plain numbers, without a model."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from speceyes_cli.core.gate.decision import confidence_from_separability
from speceyes_cli.core.run.info import describe_run
from speceyes_cli.core.run.records import (
    BranchNote,
    CallNote,
    DraftNote,
    ErrorNote,
    Record,
    TokenNote,
    VerdictNote,
)
from speceyes_cli.core.tables.summaries import LoadedRun
from tests.run_config import CONFIG


@dataclass(frozen=True)
class Spec:
    """One sample of a made-up both-branches run; `score` is the confidence under the gate min."""

    score: float | None = 0.99
    draft_right: bool = True
    agent_right: bool = True
    passed: bool = True
    cluster: str | None = None
    split: str = "test"
    finish: str = "stop"
    seconds: tuple[float, float, float] = (0.1, 0.02, 1.0)
    failed: bool = False
    rivals: tuple[float, ...] = ()
    one_branch: bool = False
    truth: bool = True
    """Whether the right answer is known."""


def record_of(number: int, spec: Spec, threshold: float) -> Record:
    """The record that such a sample leaves."""
    # The separability whose confidence is the score: S = logit(score) / 0.6.
    gap = None if spec.score is None else math.log(spec.score / (1 - spec.score)) / 0.6
    confidence = None if gap is None else confidence_from_separability(gap)
    token = TokenNote(separability=gap, logprob=-0.1, margin=1.0, entropy=0.1, rivals=spec.rivals)
    accepted = (
        spec.passed
        and confidence is not None
        and confidence > threshold
        and spec.finish == "stop"
        and not spec.failed
    )
    right = spec.draft_right if accepted else spec.agent_right
    screen, draft, agent = spec.seconds
    branches = {
        "small": BranchNote(text="red", verdict=_verdict(spec, spec.draft_right)),
        "large": BranchNote(text="red", verdict=_verdict(spec, spec.agent_right)),
    }
    phases = {"screen": screen, "draft": draft, "agent": agent}
    return Record(
        sample_id=f"s{number}",
        split=spec.split,
        position=number,
        question="What colour?",
        options=("red", "blue"),
        answer="red" if spec.truth else None,
        category=None,
        cluster=spec.cluster,
        meta={},
        route="error" if spec.failed else "small" if accepted else "large",
        text=None if spec.failed else "red",
        confidence=confidence,
        passed_screen=spec.passed,
        draft=DraftNote(
            text="red",
            accepted=accepted,
            confidence=confidence,
            tokens=(token,),
            tied_tokens=0,
            lowest_margin=1.0,
            lowest_probability=0.9,
        ),
        details={},
        verdict=None if spec.failed else _verdict(spec, right),
        branches={} if spec.failed or spec.one_branch else branches,
        error=ErrorNote(kind="ValueError", text="no", phase="agent") if spec.failed else None,
        calls=(
            CallNote(
                role="small", phase="draft", text="red", tokens=1, finish=spec.finish, seconds=draft
            ),
        ),
        tools=(),
        messages={},
        small_tokens=1,
        large_tokens=5,
        phase_seconds=phases,
        seconds=math.fsum(phases.values()),
        elapsed=2.0,
    )


def _verdict(spec: Spec, right: bool) -> VerdictNote:
    return VerdictNote(right=right if spec.truth else None, provenance="text")


def run_of(specs: Sequence[Spec], folder: Path = Path("runs"), **changes: object) -> LoadedRun:
    """A run of made-up samples; `changes` are to its configuration."""
    config = CONFIG.model_copy(update=changes)
    info = describe_run(config, {}, ())
    threshold = 1.0 if config.threshold is None else config.threshold
    records = [record_of(i, spec, threshold) for i, spec in enumerate(specs)]
    return LoadedRun.of(folder / info.name, info, records)


MakeRun = Callable[..., LoadedRun]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """make_run(specs, threshold=0.98, dataset="dots"): a run of made-up samples."""
    return partial(run_of, folder=tmp_path)
