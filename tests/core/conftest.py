"""A run, its records and its folder, made without a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from speceyes_cli.core.chat import (
    Answer,
    Ask,
    Message,
    Observation,
    Picture,
    Reply,
    Run,
    Size,
    ToolError,
)
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.gate.scores import min_score
from speceyes_cli.core.gate.token import TokenScore
from speceyes_cli.core.run.info import RunConfig, RunInfo, describe_run
from speceyes_cli.core.run.record_builder import build_record
from speceyes_cli.core.run.records import Record
from speceyes_cli.core.samples import Sample, Verdict
from speceyes_cli.core.scheduling.trajectories import Asked, Finished, Ran
from tests.run_config import CONFIG

PICTURE = Picture("car.jpg", lambda: Image.new("RGB", (40, 30), "red"))
CROP = Picture("crop of car.jpg", lambda: Image.new("RGB", (10, 10), "red"))
SAMPLE = Sample(
    id="s1",
    split="test",
    picture=PICTURE,
    question="What colour is the car?",
    options=("red", "blue"),
    answer="red",
    cluster="car",
    category="colour",
    meta={"size": (40, 30), "score": float("nan")},
)
GATE = Gate("min", min_score)


@pytest.fixture
def sample() -> Sample:
    return SAMPLE


@pytest.fixture
def fallback() -> Finished:
    """A sample that was screened, drafted, turned away, zoomed into and answered."""
    question = Message("user", (PICTURE, "What colour?"))
    zoomed = (
        question,
        Message("assistant", ("<zoom>",)),
        Message("user", ("<crop>", CROP)),
    )
    saw = (Size(28, 28),)
    scores = (TokenScore(2.0, -0.7, 0.0, float("nan")), TokenScore(9.0, -0.01, 5.0, 0.1))
    run = Run(lambda: Observation(("<crop>", CROP)), {"picture": PICTURE, "box": [0, 0, 1, 1]})
    return Finished(
        key="test/s1",
        answer=Answer("red", "large", 0.7, {"turns": 2, "odd": float("inf")}),
        error=None,
        failed_in=None,
        events=(
            Asked(
                Ask("large", (question,), 10, phase="screen"),
                Reply("No.", 2, "stop", seconds=0.1, frames=saw),
            ),
            Asked(
                Ask("small", (question,), 20, gate=GATE, phase="draft"),
                Reply("blue", 2, "stop", scores, seconds=0.02, frames=saw),
            ),
            Asked(
                Ask("large", (question,), 99, phase="agent"),
                Reply("<zoom>", 5, "stop", seconds=0.3, frames=saw),
            ),
            Ran(replace(run, name="zoom"), Observation(("<crop>", CROP), ("clamped",)), 0.05),
            Asked(
                Ask("large", zoomed, 99, phase="agent"),
                Reply("red", 3, "stop", seconds=0.2, frames=(Size(28, 28), Size(14, 14))),
            ),
            Ran(replace(run, name="zoom", notes=("mended",)), ToolError("bad_box", "no box"), 0.01),
        ),
        elapsed=2.0,
    )


@pytest.fixture
def failure() -> Finished:
    return Finished("test/s1", None, ValueError("bad\ud800 picture"), "draft", (), 1.0)


@pytest.fixture
def config() -> RunConfig:
    return CONFIG


@pytest.fixture
def info(config: RunConfig) -> RunInfo:
    return describe_run(config, {"threshold": 0.98, "out": Path("x")}, ("threshold",))


MakeRecord = Callable[..., Record]


@pytest.fixture
def make_record(fallback: Finished, failure: Finished) -> MakeRecord:
    """make_record(id, split, position, ok=…, **fields): a record like the fallback's."""

    def make(
        sample_id: str, split: str = "test", position: int = 0, *, ok: bool = True, **fields: object
    ) -> Record:
        sample = replace(SAMPLE, id=sample_id, split=split)
        verdict = Verdict(right=True, provenance="text") if ok else None
        finished = fallback if ok else failure
        record = build_record(sample, position, finished, GATE, verdict)
        return record.model_copy(update=fields)

    return make
