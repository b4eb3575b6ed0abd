"""Is a certificate's promise kept on a run whose accepted drafts were audited?"""

from __future__ import annotations

from collections import Counter
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from speceyes_cli.analysis.certificate import Certificate
from speceyes_cli.analysis.learned.parts import group_names, key_of
from speceyes_cli.analysis.table import ScoredSample, ScoreTable
from speceyes_cli.analysis.watching.harm_test import HarmTest, Watched
from speceyes_cli.core.errors import DataError, UsageError
from speceyes_cli.core.run.audits import is_audited
from speceyes_cli.core.run.info import RunConfig

Finding = Literal["harmless", "harmful", "missing"]
"""What one audit found; "missing": nobody can say whether the draft did harm."""


class Watch(BaseModel):
    """The promise on one run, looked at after every sample."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    run: str
    """The run that is watched."""
    gate: str
    """The score that decided."""
    threshold: float
    """The run's threshold."""
    max_loss: float
    """The promised bound ε on P(accepted, the agent right, the draft wrong)."""
    false_alarm: float
    """The chance of an alarm, at any look, while the promise holds."""
    share: float
    """The share of accepted drafts that was to be audited."""
    samples: int
    """Answered samples."""
    clusters: int
    """Independent units among them."""
    accepted: int
    """Samples whose draft stood."""
    audited: int
    """Accepted drafts that fell in the share."""
    harmful: int
    """Audits in which the agent was right and the draft wrong."""
    missing: int
    """Audits without a verdict; they count as harmful."""
    harm: float
    """Estimate of the harm: (harmful + missing) / share / samples."""
    evidence: float
    """The e-value after the last sample."""
    highest: float
    """The most evidence at any look."""
    alarm_after: int | None
    """Answered samples at the alarm; None: there was none."""

    @property
    def alarmed(self) -> bool:
        """Whether there was an alarm at any look."""
        return self.alarm_after is not None


class _Audited(NamedTuple):
    """The audits of one run, by sample."""

    findings: list[Finding | None]
    """None: the sample was not audited."""

    def count(self, finding: Finding) -> int:
        return self.findings.count(finding)


def watch(certificate: Certificate, table: ScoreTable, false_alarm: float | None = None) -> Watch:
    """Test the certificate's promise on the run, in the run's order, a cluster at a time.

    `false_alarm` is the certificate's risk by default. Raises `DataError` for a run without audits
    and `UsageError` for one with a gate or threshold that the certificate does not cover.
    """
    share = share_of(table.config, table.run)
    require_covered(certificate, table.config)
    findings = _findings(table, share)
    groups = group_names(table.samples)
    sizes = Counter(groups)
    watched = Watched(
        certificate.max_loss,
        certificate.risk if false_alarm is None else false_alarm,
        share,
        max(sizes.values()),
    )
    test = HarmTest(watched)
    left, found = Counter(sizes), Counter[str]()
    for group, finding in zip(groups, findings.findings, strict=True):
        left[group] -= 1
        found[group] += finding in ("harmful", "missing")
        if not left[group]:  # the cluster is whole
            test.add(found[group], sizes[group])
    return Watch(
        run=table.run,
        gate=table.config.gate or "",
        threshold=table.config.threshold or 0.0,
        max_loss=watched.max_loss,
        false_alarm=watched.risk,
        share=share,
        samples=len(table.samples),
        clusters=len(sizes),
        accepted=sum(sample.route == "small" for sample in table.samples),
        audited=sum(finding is not None for finding in findings.findings),
        harmful=findings.count("harmful"),
        missing=findings.count("missing"),
        harm=test.found / share / test.samples,
        evidence=test.evidence,
        highest=test.highest,
        alarm_after=test.alarm_after,
    )


def share_of(config: RunConfig, run: str) -> float:
    """The share of accepted drafts that were audited; all of a both-branches run's."""
    if config.both_branches:
        return 1.0
    if config.audit is None:
        raise DataError(
            f"{run} audited nothing, so nothing tells of harm; `speceyes eval --audit 0.1` has the "
            "agent answer a tenth of the accepted drafts too."
        )
    return config.audit


def loosest_thresholds(certificate: Certificate) -> dict[tuple[str, int], float]:
    """The loosest threshold that keeps the certificate's loss, by gate and K."""
    found = {(certificate.gate, certificate.top_k): certificate.threshold}
    for point in certificate.frontier:
        if point.max_loss <= certificate.max_loss:
            pair = point.gate, point.top_k
            found[pair] = min(point.threshold, found.get(pair, point.threshold))
    return found


def require_covered(certificate: Certificate, config: RunConfig) -> None:
    """Raise `UsageError` for a gate, K or threshold that the certificate says nothing about."""
    loosest = loosest_thresholds(certificate).get((config.gate or "", config.top_k or 0))
    if loosest is None or config.threshold is None or config.threshold < loosest:
        raise UsageError(
            f"The run decided by {config.gate} > {config.threshold}, K = {config.top_k}; the "
            f"certificate is about {certificate.gate} > {certificate.threshold:g}, K = "
            f"{certificate.top_k}, and stricter thresholds."
        )


def _findings(table: ScoreTable, share: float) -> _Audited:
    return _Audited(
        [
            _finding(table, sample)
            if sample.route == "small" and is_audited(key_of(sample), share)
            else None
            for sample in table.samples
        ]
    )


def _finding(table: ScoreTable, sample: ScoredSample) -> Finding:
    """Without the agent's answer, or a verdict that it takes, nobody can tell."""
    branches = table.columns.branches
    answered = all(
        role in branches and branches[role].text[sample.place] is not None
        for role in ("small", "large")
    )
    if not answered or sample.unclear:
        return "missing"
    return "harmful" if sample.may_harm else "harmless"
