"""Audits: for a random share of accepted drafts the agent answers too, once the answer is given."""

from __future__ import annotations

import hashlib
import math
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from speceyes_cli.core.agents import Agent, Policy
from speceyes_cli.core.run.records import BranchNote, Record, VerdictNote
from speceyes_cli.core.samples import Sample, Verdict
from speceyes_cli.core.scheduling.trajectories import Asked, Finished, Task

DETAIL = "audit"
"""The key of an audit's note in a record's details."""


class Audit(NamedTuple):
    """How accepted drafts are audited."""

    share: float
    """The probability with which each is, above 0 and at most 1."""
    policy: Callable[[Sample, Agent], Policy]
    """What the agent does alone."""


def is_audited(key: str, share: float) -> bool:
    """Whether the sample of this key, "split/id", falls in the share: the same on every run."""
    drawn = int.from_bytes(hashlib.sha256(f"audit {key}".encode()).digest()[:8])
    return drawn < share * 2**64


class Audits:
    """The audits of one run: those that are due, and those under way.

    An audit is a trajectory of its own, so that neither its time nor its failure is the answer's.
    The record is kept when it ends.
    """

    def __init__(
        self, audit: Audit | None, agent: Agent, score: Callable[[Sample, str], Verdict]
    ) -> None:
        self._audit = audit
        self._agent = agent
        self._score = score
        self._due: deque[Sample] = deque()
        self._records: dict[str, tuple[Sample, Record]] = {}

    @property
    def due(self) -> bool:
        """Whether one is to begin."""
        return bool(self._due)

    def wants(self, record: Record) -> bool:
        """Whether this answer is to be audited."""
        key = f"{record.split}/{record.sample_id}"
        return (
            self._audit is not None
            and record.route == "small"
            and is_audited(key, self._audit.share)
        )

    def add(self, sample: Sample, record: Record) -> None:
        """Have the agent answer this sample too."""
        self._due.append(sample)
        self._records[sample.key] = (sample, record)

    def next_task(self) -> Task:
        """The next that is due."""
        if self._audit is None:
            raise ValueError("no audits were asked for")
        sample = self._due.popleft()
        return Task(sample.key, partial(self._audit.policy, sample, self._agent))

    def record_of(self, finished: Finished) -> Record:
        """The sample's record with both answers; with the error alone where the agent failed."""
        sample, record = self._records.pop(finished.key)
        seconds = math.fsum(
            (event.reply.seconds or 0.0) if isinstance(event, Asked) else event.seconds
            for event in finished.events
        )
        error = None if finished.error is None else type(finished.error).__name__
        branches = record.branches
        if finished.answer is not None and record.text is not None and record.verdict is not None:
            try:
                verdict = self._score(sample, finished.answer.text)
            except Exception as wrong:  # noqa: BLE001 - a dataset's odd rule leaves no verdict
                error = type(wrong).__name__
            else:
                told = VerdictNote(right=verdict.right, provenance=verdict.provenance)
                branches = {
                    "small": BranchNote(text=record.text, verdict=record.verdict),
                    "large": BranchNote(text=finished.answer.text, verdict=told),
                }
        note = {"seconds": seconds, "error": error}
        details = {**record.details, DETAIL: note}
        return record.model_copy(update={"branches": branches, "details": details})
