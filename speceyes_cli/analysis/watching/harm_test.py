"""A test of "harm is at most ε" that may be looked at after every sample: an e-process.

Of the accepted drafts a random share is audited: the agent answers too, and the two are compared.
If, given all that came before, an answered sample is harmful with probability at most ε, it is
audited *and* found harmful with probability at most m = share · ε. Against an alternative of rate
q > m the likelihood ratio of two coins, q/m for harm found and (1 - q)/(1 - m) for none, has
expectation at most 1 under that promise; so has the mean over several alternatives. Their product
over samples is a nonnegative supermartingale that begins at 1, so by Ville's inequality it ever
reaches 1/δ with probability at most δ (Ramdas, Grünwald, Vovk and Shafer 2023, "Game-theoretic
statistics and safe anytime-valid inference"). No model of the samples is needed beyond the promise
itself: the rate may change from one to the next.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from speceyes_cli.core.errors import UsageError

ALTERNATIVES = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
"""How many times the promised rate the bets are on, in equal parts; any choice is valid."""
HIGHEST = 0.999
"""No bet is on a rate above this."""


@dataclass(frozen=True, slots=True)
class Watched:
    """The promise that is watched."""

    max_loss: float
    """ε: the bound on P(accepted, the agent right, the draft wrong)."""
    risk: float
    """δ: the probability of an alarm, at any look, while the promise holds."""
    share: float
    """The probability with which an accepted draft is audited."""
    largest: int = 1
    """Most samples of one cluster; clusters, not samples, are independent."""

    def __post_init__(self) -> None:
        """Raise `UsageError` for a number outside its range."""
        for name, value in (("--max-loss", self.max_loss), ("--false-alarm", self.risk)):
            if not 0 < value < 1:
                raise UsageError(f"{name} is a probability between 0 and 1, not {value:g}.")
        check_share(self.share)

    @property
    def rate(self) -> float:
        """m: the rate of harm found that the promise allows."""
        return self.share * self.max_loss

    @property
    def alarm_at(self) -> float:
        """1/δ: an alarm is given where the evidence reaches it."""
        return 1 / self.risk

    def bets(self) -> list[float]:
        """For each alternative q the stake λ = (q - m) / (m (1 - m)) on a harm found."""
        rates = (min(times * self.rate, HIGHEST) for times in ALTERNATIVES)
        return [max(0.0, q - self.rate) / (self.rate * (1 - self.rate)) for q in rates]


def check_share(share: float) -> None:
    """Raise `UsageError` for an audit share of 0, above 1 or no number."""
    if not 0 < share <= 1:
        raise UsageError(f"--audit is a share above 0 and at most 1, such as 0.02, not {share:g}.")


@dataclass(slots=True)
class HarmTest:
    """The evidence against the promise, sample after sample."""

    watched: Watched
    samples: int = 0
    """Answered samples so far."""
    found: int = 0
    """Audits that found harm, or had no verdict, so far."""
    highest: float = 1.0
    """The most evidence at any look; an e-value, and 1 over it an anytime-valid p-value."""
    alarm_after: int | None = None
    """Samples at the first alarm; None: there was none."""
    _logs: list[float] = field(init=False)

    def __post_init__(self) -> None:
        self._logs = [0.0] * len(ALTERNATIVES)

    @classmethod
    def resumed(
        cls, watched: Watched, samples: int, found: int, highest: float, alarm_after: int | None
    ) -> HarmTest:
        """A test as it stood after so many independent samples, `found` of them harmful."""
        test = cls(watched, samples, found, highest, alarm_after)
        test._logs = _log_growth(watched, samples, found)
        return test

    @property
    def evidence(self) -> float:
        """The e-value now: how many times a bet against the promise has grown."""
        return joined_evidence([self])

    @property
    def alarmed(self) -> bool:
        """Whether the evidence has reached 1/δ at any look; an alarm is not taken back."""
        return self.alarm_after is not None

    def add(self, found: int, samples: int = 1) -> None:
        """One cluster of answered samples, `found` of them audited and harmful or without verdict.

        A cluster weighs by its size over the largest, so that the share of harmful *samples* is
        tested. Raises `ValueError` for sizes that cannot be.
        """
        if not 0 <= found <= samples <= self.watched.largest or samples < 1:
            raise ValueError(f"{found} of {samples} samples, at most {self.watched.largest}")
        excess = (found - self.watched.rate * samples) / self.watched.largest
        self._logs = [
            log + math.log1p(bet * excess)
            for log, bet in zip(self._logs, self.watched.bets(), strict=True)
        ]
        self.samples += samples
        self.found += found
        evidence = self.evidence
        self.highest = max(self.highest, evidence)
        if self.alarm_after is None and evidence >= self.watched.alarm_at:
            self.alarm_after = self.samples


def _log_growth(watched: Watched, samples: Any, found: Any) -> list[Any]:
    """For each alternative the log of what its bets have come to after independent samples.

    `found` of them were harmful; numbers, or arrays of one shape.
    """
    return [
        found * math.log1p(bet * (1 - watched.rate))
        + (samples - found) * math.log1p(-bet * watched.rate)
        for bet in watched.bets()
    ]


def joined_evidence(tests: Sequence[HarmTest]) -> float:
    """The e-value of all tests together, whose answers are parts of one stream.

    For each alternative the bets of all tests are multiplied, whatever the order of their answers;
    the mean over the alternatives is an e-value, as that of one test is.
    """
    logs = [math.fsum(each) for each in zip(*(test._logs for test in tests), strict=True)]  # noqa: SLF001 - of this module
    top = max(logs)
    mean = math.fsum(math.exp(log - top) for log in logs) / len(logs)
    return math.exp(min(top + math.log(mean), 700.0))


def log_evidence(watched: Watched, samples: Any, found: Any) -> Any:
    """`HarmTest.evidence` in logs after so many independent samples, arrays of one shape."""
    import numpy as np  # noqa: PLC0415 - slow to import

    samples, found = np.asarray(samples, dtype=float), np.asarray(found, dtype=float)
    total = np.full(np.broadcast_shapes(samples.shape, found.shape), -np.inf)
    for growth in _log_growth(watched, samples, found):
        total = np.logaddexp(total, growth)
    return total - math.log(len(ALTERNATIVES))
