"""What a judge is to the program: claims go in, verdicts come out in batches."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from speceyes_cli.core.samples import Sample, Verdict

if TYPE_CHECKING:
    from speceyes_cli.core.judging.verdicts import JudgedNote

Rule = Callable[[Sample, str], Verdict]


class ClaimKey(NamedTuple):
    """What a verdict is about."""

    split: str
    sample_id: str
    said: str
    """The answer, word for word."""


class Claim(NamedTuple):
    """An answer to be judged."""

    sample: Sample
    """Its question, options and known answer; the picture is not at hand."""
    said: str
    """The answer, word for word."""

    @property
    def key(self) -> ClaimKey:
        """What its verdict is kept under."""
        return ClaimKey(self.sample.split, self.sample.id, self.said)


class Judged(NamedTuple):
    """A claim and its verdict."""

    claim: Claim
    note: JudgedNote


Batches = Generator[Sequence[Judged], None, None]
"""Verdicts as they come; close it to stop."""


class Identity(NamedTuple):
    """What all verdicts of a run that a model gave must share."""

    model: str
    prompt: str
    """A digest of the judge's prompt."""


class Judge(Protocol):
    """A way to tell right answers from wrong ones."""

    @property
    def name(self) -> str:
        """What its verdicts are signed with."""

    def prepare(self, claims: Sequence[Claim]) -> Identity | None:
        """Make sure that these can be judged; `UsageError` when they cannot.

        Gives the model that will be asked, or None where none is needed.
        """

    def judge(self, claims: Sequence[Claim]) -> Batches:
        """Verdicts as they come, in any order, each claim once; a failure is a verdict too."""

    def close(self) -> None:
        """Let go of connections and files."""


@runtime_checkable
class Auditor(Protocol):
    """What a judge also has when it can be asked a second time in other words."""

    def audit(self, claims: Sequence[Claim]) -> Batches:
        """A second opinion on each claim, from neither rule nor cache."""


@dataclass(frozen=True)
class RuleJudge:
    """A judge that is one function of the sample and the answer."""

    name: str
    rule: Rule

    def prepare(self, claims: Sequence[Claim]) -> None:
        """Nothing is needed."""

    def judge(self, claims: Sequence[Claim]) -> Batches:
        """All of them at once."""
        yield [Judged(claim, by_rule(self.rule, claim, self.name)) for claim in claims]

    def close(self) -> None:
        """Nothing is held."""


def by_rule(rule: Rule, claim: Claim, judge: str) -> JudgedNote:
    """The rule's verdict on a claim."""
    from speceyes_cli.core.judging.verdicts import JudgedNote  # noqa: PLC0415 - takes a while

    verdict = rule(claim.sample, claim.said)
    return JudgedNote(right=verdict.right, provenance=verdict.provenance, judge=judge)
