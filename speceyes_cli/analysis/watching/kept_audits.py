"""What an endpoint's audits have found so far, in a file.

The test goes on from it after a restart, and the files of several processes are joined.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError, model_validator

from speceyes_cli.analysis.certificate import Certificate
from speceyes_cli.analysis.signed_files import fault_in
from speceyes_cli.analysis.watching.harm_test import HarmTest, Watched, joined_evidence
from speceyes_cli.core.errors import DataError
from speceyes_cli.core.files import read_file_text


class KeptAudits(BaseModel):
    """The test of one process."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["speceyes-audits"] = "speceyes-audits"
    """What this file is."""
    schema_version: Literal[1] = 1
    """Version of this layout."""
    certificate: str
    """The digest of the certificate whose promise is watched."""
    share: float
    """The share of accepted drafts that is audited."""
    threshold: float
    """The endpoint's threshold now."""
    samples: NonNegativeInt = 0
    """Answers that the test has taken since it was begun."""
    found: NonNegativeInt = 0
    """Audits among them that found harm or had no verdict."""
    highest: float = 1.0
    """The most evidence at any look."""
    alarm_after: NonNegativeInt | None = None
    """Answers at the test's alarm; None: there was none."""
    alarms: NonNegativeInt = 0
    """Alarms of this test and of those before it that ended with a stricter threshold."""
    harmless: NonNegativeInt = 0
    """Audits whose two answers agree, since the file was begun."""
    harmful: NonNegativeInt = 0
    """Audits whose answers disagree."""
    missing: NonNegativeInt = 0
    """Audits without a verdict."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.found > self.samples:
            raise ValueError(f"{self.found} harmful of {self.samples} answers")
        return self

    def test(self, watched: Watched) -> HarmTest:
        """The test as it stood."""
        return HarmTest.resumed(watched, self.samples, self.found, self.highest, self.alarm_after)


class JoinedAudits(BaseModel):
    """The promise on the answers of several processes together."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    processes: int
    """Files that were joined."""
    max_loss: float
    """The promised bound ε on P(accepted, the agent right, the draft wrong)."""
    false_alarm: float
    """The chance that the joined evidence ever gives an alarm while the promise holds."""
    samples: int
    """Answers that the tests have taken."""
    harmless: int
    """Audits whose two answers agree."""
    harmful: int
    """Audits whose answers disagree."""
    missing: int
    """Audits without a verdict; they count as harmful."""
    evidence: float
    """The joined e-value now."""
    alarms: int
    """Alarms that the processes gave by themselves."""

    @property
    def alarmed(self) -> bool:
        """Whether the joined evidence or a process by itself gives an alarm."""
        return self.alarms > 0 or self.evidence >= 1 / self.false_alarm


class _Kept(NamedTuple):
    path: Path
    kept: KeptAudits


def read_audits(path: Path) -> KeptAudits:
    """The file's contents; raises `DataError` for one that cannot be read, `FileNotFoundError`."""
    try:
        return KeptAudits.model_validate_json(read_file_text(path))
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}.") from None
    except ValidationError as error:
        raise DataError(
            f"{path} is no file of `serve --audit-file` ({fault_in(error)}); remove it to begin a "
            "test anew."
        ) from None


def require_same_promise(kept: KeptAudits, path: Path, certificate: Certificate) -> None:
    """Raise `DataError` for audits of another certificate."""
    if kept.certificate != certificate.digest:
        raise DataError(
            f"{path} holds the audits of another certificate; name another file to begin a test."
        )


def join_audits(
    paths: Sequence[Path], certificate: Certificate, false_alarm: float | None = None
) -> JoinedAudits:
    """Join the tests of several processes that keep the same promise.

    Answers of all processes together are one stream, of which each has seen a part: for each
    alternative the bets of all are multiplied, and the mean over the alternatives is an e-value
    again. `false_alarm` is the certificate's risk by default. Raises `DataError` for a file that is
    none, is named twice, or belongs to another certificate.
    """
    if len({path.resolve() for path in paths}) < len(paths):
        raise DataError("One of the files is named twice.")
    files = [_Kept(path, _existing(path)) for path in paths]
    for path, kept in files:
        require_same_promise(kept, path, certificate)
    each = [kept for _, kept in files]
    risk = certificate.risk if false_alarm is None else false_alarm
    tests = [kept.test(Watched(certificate.max_loss, risk, kept.share)) for kept in each]
    return JoinedAudits(
        processes=len(each),
        max_loss=certificate.max_loss,
        false_alarm=risk,
        samples=sum(kept.samples for kept in each),
        harmless=sum(kept.harmless for kept in each),
        harmful=sum(kept.harmful for kept in each),
        missing=sum(kept.missing for kept in each),
        evidence=joined_evidence(tests),
        alarms=sum(kept.alarms for kept in each),
    )


def _existing(path: Path) -> KeptAudits:
    try:
        return read_audits(path)
    except FileNotFoundError:
        raise DataError(f"There is no file {path}; `serve --audit-file` keeps one.") from None
