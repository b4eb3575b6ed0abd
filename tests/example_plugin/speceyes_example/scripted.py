"""An engine whose replies follow from the question: for tests, and for trying agents by hand.

The name says how it behaves: `scripted`, or with any of these, `scripted?delay=0.01&fail=3,5`:

    delay   seconds that a call takes
    fail    numbers of the dots whose asks fail
    crash   numbers of the dots whose presence makes the whole call raise
    halt    numbers of the dots whose presence stops everything
    err     numbers of the dots whose drafts are wrong
    vocab   size of the vocabulary (1000)
    code    seconds that the code takes which the agent's loop writes, for Thyme; without it, looks

Of three dots the first needs a tool, the second gets a sure draft, the third an unsure one. Only
steps about the second score well.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs

from speceyes_cli.plugin import (
    Ask,
    EngineOptions,
    EngineSpec,
    Picture,
    PluginOption,
    Reply,
    RunStopError,
    Size,
    TokenScore,
    UsageError,
)
from speceyes_example.dots import COLOURS

SURE = TokenScore(separability=12.0, logprob=-0.001, margin=9.0, entropy=0.01)
UNSURE = TokenScore(separability=2.0, logprob=-0.9, margin=0.1, entropy=2.0)


@dataclass
class ScriptedEngine:
    """Answers by rule; `forgotten` and `batches` tell a test what the scheduler did."""

    max_batch: int = 4
    workers: int = 1
    group: str = "scripted"
    delay: float = 0.0
    fail: frozenset[int] = frozenset()
    crash: frozenset[int] = frozenset()
    halt: frozenset[int] = frozenset()
    err: frozenset[int] = frozenset()
    code: float | None = None
    logprobs_only: bool = False
    loud: bool = False
    batches: list[tuple[str, ...]] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    closed: bool = False

    def generate(self, asks: Sequence[Ask]) -> Sequence[Reply | Exception]:
        """One reply to each ask; it looks at every picture, as a model would."""
        time.sleep(self.delay)
        self.batches.append(tuple(ask.trajectory for ask in asks))
        if any(number_of(ask) in self.crash for ask in asks):
            raise RuntimeError("the call crashed")
        if any(number_of(ask) in self.halt for ask in asks):
            raise RunStopError("The model is lost.")
        return [self._reply(ask) for ask in asks]

    def _reply(self, ask: Ask) -> Reply | Exception:
        number = number_of(ask)
        if number in self.fail:
            return ValueError(f"dot {number} is not for me")
        try:
            frames = tuple(size_of(part) for part in parts(ask) if isinstance(part, Picture))
        except Exception as error:  # noqa: BLE001 - handed back in the ask's place
            return error
        coded = self.code is not None and ask.phase == "agent"
        text = code_reply(ask, number, self.code) if coded else reply_to(ask, number)
        if self.loud:
            text = text.upper()
        if ask.phase == "draft" and number in self.err:
            text = COLOURS[(number + 1) % len(COLOURS)]
        scores: tuple[TokenScore, ...] = ()
        if ask.gate is not None:
            known = (SURE, SURE if number % 3 == 1 else UNSURE)
            scores = tuple(self._told(score, ask.gate.kept) for score in known)
        return Reply(text, len(text.split()), "stop", scores, seconds=self.delay, frames=frames)

    def _told(self, score: TokenScore, kept: int) -> TokenScore:
        if self.logprobs_only:
            return TokenScore(math.nan, score.logprob, math.nan, math.nan)
        return score._replace(rivals=tuple(score.margin + i / 10 for i in range(kept - 1)))

    def forget(self, trajectory: str) -> None:
        """Note it."""
        self.forgotten.append(trajectory)

    def describe(self) -> Mapping[str, Any]:
        """What `run.json` keeps."""
        return {"model": "scripted", "revision": "1"}

    def close(self) -> None:
        """Note it."""
        self.closed = True


def reply_to(ask: Ask, number: int) -> str:
    """The script."""
    colour = COLOURS[number % len(COLOURS)]
    if ask.phase == "screen":
        return "Yes." if number % 3 == 0 else "No."
    if ask.phase == "draft":
        return colour
    if ask.phase == "score":
        return "9" if number % 3 == 1 else "2"
    looked = any(isinstance(part, str) and "[crop]" in part for part in parts(ask))
    return f"ANSWER {colour}" if looked else "LOOK 16 16 48 48"


def code_reply(ask: Ask, number: int, seconds: float | None) -> str:
    """A block of code, then the answer."""
    if ask.continue_turn:
        return f"<answer>{COLOURS[number % len(COLOURS)]}</answer>"
    code = f"import time\ntime.sleep({seconds})\nprint('seen')"
    return f"<think>Look.</think><code>```python\n{code}\n```</code>"


def parts(ask: Ask) -> list[str | Picture]:
    """Everything in the ask's messages."""
    return [part for message in ask.messages for part in message.content]


def number_of(ask: Ask) -> int:
    """The number of the dot asked about; 0 when the question is another one."""
    text = " ".join(part for part in parts(ask) if isinstance(part, str))
    found = re.search(r"dot (\d+)", text)
    return int(found.group(1)) if found else 0


def size_of(picture: Picture) -> Size:
    """Opens the picture."""
    return Size(*picture.open().size)


def check(options: EngineOptions) -> None:
    """What can be wrong with a scripted model."""
    settings = parse_qs(options.model.partition("?")[2])
    if "missing" in settings:
        raise UsageError(f"{options.model} has no weights.")
    vocabulary = int(settings.get("vocab", ["1000"])[0])
    if options.top_k > vocabulary:
        raise UsageError(f"--top-k {options.top_k} exceeds the vocabulary of {vocabulary} tokens.")


def load(options: EngineOptions) -> ScriptedEngine:
    """The engine its name describes."""
    settings = parse_qs(options.model.partition("?")[2])
    slow = float(options.options.get("slow") or 0)
    return ScriptedEngine(
        max_batch=options.batch_size,
        delay=float(settings.get("delay", ["0"])[0]) + slow,
        fail=_numbers(settings.get("fail", [])),
        crash=_numbers(settings.get("crash", [])),
        halt=_numbers(settings.get("halt", [])),
        err=_numbers(settings.get("err", [])),
        code=float(settings["code"][0]) if "code" in settings else None,
        loud=options.options.get("tone") == "loud",
    )


def _numbers(values: list[str]) -> frozenset[int]:
    return frozenset(int(number) for value in values for number in value.split(","))


SCRIPTED = EngineSpec(
    name="scripted",
    takes=lambda model: model.partition("?")[0] == "scripted",
    check=check,
    factory=load,
    summary="replies by rule, no model",
    options=(
        PluginOption("slow", "seconds that a call takes longer", 0.0, float, decides="time"),
        PluginOption("tone", "how it speaks", "plain", choices=("plain", "loud")),
    ),
)

LOGPROBS = EngineSpec(
    name="logprobs",
    takes=lambda model: model == "logprobs",
    check=check,
    factory=lambda options: replace(load(options), logprobs_only=True),
    summary="the same, of each token the top probability alone",
    gives=("logprob",),
)
