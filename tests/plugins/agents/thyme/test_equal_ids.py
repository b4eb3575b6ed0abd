"""Equal ids in several splits, all alive at once: nobody works on another sample's picture."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pytest
from PIL import Image
from speceyes_plugins.agents.thyme.agent import Thyme

from speceyes_cli.core.agents import Agent, Policy
from speceyes_cli.core.chat import Ask, Picture, Reply
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.gate.scores import min_score
from speceyes_cli.core.methods.policies import baseline, specreason
from speceyes_cli.core.samples import Sample
from speceyes_cli.core.scheduling.scheduler import Scheduler, Task
from speceyes_cli.host.specs import AgentOptions

COLOURS = {"random": "red", "popular": "blue", "adversarial": "yellow"}
LOOK = """<code>
```python
from PIL import Image
seen = Image.open("/mnt/data/input.jpg").convert("RGB").getpixel((9, 9))
print("first", seen)
```
</code>"""
TELL = """<code>
```python
print("colour", *seen)
```
</code>"""
GATE = Gate("min", min_score, threshold=7)


class InStep:
    """A model that looks, tells what it saw and answers with it, all trajectories in step."""

    max_batch = 1
    workers = len(COLOURS)
    group = "in step"

    def __init__(self) -> None:
        self._all_here = threading.Barrier(len(COLOURS), timeout=60)

    def generate(self, asks: Sequence[Ask]) -> Sequence[Reply | Exception]:
        self._all_here.wait()
        return [Reply(write(ask), 5, "stop") for ask in asks]

    def forget(self, trajectory: str) -> None:
        """Nothing is kept."""

    def describe(self) -> Mapping[str, Any]:
        return {"model": "in step"}

    def close(self) -> None:
        """Nothing is held."""


def write(ask: Ask) -> str:
    if ask.phase == "score":
        return "9"
    said = "".join(part for m in ask.messages for part in m.content if isinstance(part, str))
    told = re.search(r"colour (\d+ \d+ \d+)", said)
    if told:
        return f"<answer>{told.group(1)}</answer>"
    return TELL if "first (" in said else LOOK


def sample(split: str) -> Sample:
    image = Image.new("RGB", (64, 64), COLOURS[split])
    return Sample("1", split, Picture("1.jpg", lambda: image), "Which colour?")


@pytest.mark.parametrize("method", [baseline, specreason])
def test_each_trajectory_has_its_own_picture_and_variables(method: Any) -> None:
    agent: Agent = Thyme(AgentOptions())
    engine = InStep()
    samples = [sample(split) for split in COLOURS]

    def start(one: Sample) -> Policy:
        return method(one, agent, GATE)

    try:
        scheduler = Scheduler({"small": engine, "large": engine})
        ended = list(scheduler.run(Task(one.key, partial(start, one)) for one in samples))
    finally:
        agent.close()
    assert {end.key: end.answer and end.answer.text for end in ended} == {
        "random/1": "255 0 0",
        "popular/1": "0 0 255",
        "adversarial/1": "255 255 0",
    }
