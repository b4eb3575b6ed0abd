"""A certificate's promise while an endpoint serves: which answers it covers, and is it kept?"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from speceyes_cli.analysis.watching.harm_test import HarmTest, Watched
from speceyes_cli.analysis.watching.kept_audits import KeptAudits
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.judging.answer_rules import score_by_rule
from speceyes_cli.core.run.audits import is_audited
from speceyes_cli.core.samples import Sample
from speceyes_cli.serve.audit_file import AuditFile

log = logging.getLogger(__name__)

Finding = Literal["harmless", "harmful", "missing"]
"""What an audit found: both answers agree, they disagree, or no rule could tell."""
MOST_DUE = 16
"""Audits that may wait; while so many do, answers are left out of the test, whatever they are."""


@dataclass(slots=True, eq=False)
class _Answered:
    """One answered question in the order of answers."""

    key: str
    found: int | None
    """None: its audit has not ended."""


class Promise:
    """Used on the queue's thread; others read figures only."""

    def __init__(
        self,
        gate: Gate,
        loosest: Mapping[tuple[str, int], float],
        watched: Watched | None = None,
        *,
        steps: bool = False,
        file: AuditFile | None = None,
    ) -> None:
        """`loosest` is the loosest certified threshold by gate and K, `gate` the endpoint's own.

        With `steps`, an alarm halves the distance of the threshold to 1, and the test begins anew.
        `file` keeps the test, which goes on from what it holds.
        """
        self._loosest = dict(loosest)
        self._watched = watched
        self._steps = steps
        self._order: deque[_Answered] = deque()
        self._due: deque[tuple[Sample, str]] = deque()
        self._under_way: dict[str, tuple[Sample, str]] = {}
        self._test = None if watched is None else HarmTest(watched)
        self.threshold = gate.threshold
        """The endpoint's own threshold."""
        self.alarms = 0
        """Alarms since the start."""
        self.findings: dict[Finding, int] = {"harmless": 0, "harmful": 0, "missing": 0}
        """Audits by what they found."""
        self._file = file
        if file is not None and watched is not None:
            self._go_on(file.kept, watched)

    @property
    def is_watched(self) -> bool:
        """Whether there are audits."""
        return self._test is not None

    @property
    def evidence(self) -> float:
        """The e-value against the promise now; 1 without audits."""
        return 1.0 if self._test is None else self._test.evidence

    @property
    def alarm_at(self) -> float:
        """The evidence at which an alarm is given; infinite without audits."""
        return math.inf if self._watched is None else self._watched.alarm_at

    @property
    def due(self) -> bool:
        """Whether an audit may begin: one runs at a time."""
        return bool(self._due) and not self._under_way

    def own(self, gate: Gate) -> Gate:
        """The endpoint's own gate as it is now."""
        return replace(gate, threshold=self.threshold)

    def covers(self, gate: Gate, sample: Sample) -> bool:
        """Whether the certificate speaks for an answer that this gate decided."""
        least = self._loosest.get((gate.name, gate.top_k))
        return bool(sample.pictures) and least is not None and gate.threshold >= least

    def note(self, sample: Sample, draft: str | None) -> None:
        """An answer that the certificate covers; `draft` is it where the draft was accepted.

        A random share of accepted drafts is audited.
        """
        if self._watched is None or len(self._due) >= MOST_DUE:
            return
        if draft is not None and is_audited(sample.key, self._watched.share):
            self._order.append(_Answered(sample.key, None))
            self._due.append((sample, draft))
        else:
            self._order.append(_Answered(sample.key, 0))
        self._advance()

    def begin(self) -> Sample:
        """The next question that the agent is to answer too."""
        sample, draft = self._due.popleft()
        self._under_way[sample.key] = (sample, draft)
        return sample

    @property
    def under_way(self) -> tuple[str, ...]:
        """The keys of audits that have begun."""
        return tuple(self._under_way)

    def end(self, key: str, answer: str | None) -> None:
        """An audit has ended with the agent's answer; None: the agent failed."""
        sample, draft = self._under_way.pop(key)
        finding = compare(sample, draft, answer)
        self.findings[finding] += 1
        for answered in self._order:
            if answered.key == key:
                answered.found = int(finding != "harmless")
        self._advance()

    def _advance(self) -> None:
        """Test what is known, in the order of answers, up to the first audit that has not ended."""
        while self._test is not None and self._order and self._order[0].found is not None:
            alarmed = self._test.alarmed
            self._test.add(self._order.popleft().found or 0)
            if self._test.alarmed and not alarmed:
                self._alarm(self._test)
        self._keep()

    def _go_on(self, kept: KeptAudits, watched: Watched) -> None:
        self._test = kept.test(watched)
        self.threshold = max(self.threshold, kept.threshold)
        self.alarms = kept.alarms
        self.findings = {
            "harmless": kept.harmless,
            "harmful": kept.harmful,
            "missing": kept.missing,
        }
        if self._steps and self._test.alarmed:
            self._step(self._test)

    def _keep(self) -> None:
        if self._file is None or self._test is None:
            return
        now = {
            "threshold": self.threshold,
            "samples": self._test.samples,
            "found": self._test.found,
            "highest": self._test.highest,
            "alarm_after": self._test.alarm_after,
            "alarms": self.alarms,
            "harmless": self.findings["harmless"],
            "harmful": self.findings["harmful"],
            "missing": self.findings["missing"],
        }
        self._file.write(self._file.kept.model_copy(update=now))

    def _alarm(self, test: HarmTest) -> None:
        self.alarms += 1
        log.warning(
            "alarm: the audits speak against the certificate's promise (harm at most %g): %d of "
            "%d answers were found harmful or had no verdict; calibrate anew",
            test.watched.max_loss,
            test.found,
            test.samples,
        )
        if self._steps:
            self._step(test)

    def _step(self, test: HarmTest) -> None:
        self.threshold = (1 + self.threshold) / 2
        self._test = HarmTest(test.watched)
        self._order.clear()
        log.warning("the threshold is %g from now on", self.threshold)


def compare(sample: Sample, draft: str, answer: str | None) -> Finding:
    """Do both say the same, by the rule that fits the agent's answer?

    There is no truth while serving, so that any disagreement counts as the draft's error: more than
    the harm, never less.
    """
    if answer is None:
        return "missing"
    right = score_by_rule(replace(sample, answer=answer), draft).right
    if right is None:
        return "missing"
    return "harmless" if right else "harmful"
