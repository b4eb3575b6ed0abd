"""The certificate: a file that says which threshold is certified, at what level, on what."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from speceyes_cli.analysis.calibration import Test
from speceyes_cli.analysis.certified_points import (
    CertifiedPoint,
    Cost,
    Levels,
    Measure,
    choose,
    find_points,
    share_of_risk,
)
from speceyes_cli.analysis.learned.gate_file import LearnedGate
from speceyes_cli.analysis.learned.parts import PICTURE_DIGITS, group_names, key_of, picture_of
from speceyes_cli.analysis.replay import screen_passed
from speceyes_cli.analysis.settings import (
    data_of,
    engines_of,
    first_data_difference,
    first_difference,
    setting_of,
)
from speceyes_cli.analysis.signed_files import digest_of, read_signed, write_signed
from speceyes_cli.analysis.table import ScoreTable
from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.run.info import RunConfig, identity_of_engines, library_versions
from speceyes_cli.core.run.tags import tagged
from speceyes_cli.core.samples import Sample
from speceyes_cli.core.tables.summaries import LoadedRun

MAKER = "analyze calibrate"


class Guarantee(BaseModel):
    """All that a certificate says; its digest covers every field."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["speceyes-threshold-certificate"] = "speceyes-threshold-certificate"
    """What this file is."""
    schema_version: Literal[1, 2] = 2
    """Version of this layout."""
    created: str
    """When it was made, ISO 8601 in UTC."""
    program: str
    """The version of speceyes."""
    run: str
    """The calibration run's name."""
    gate: str
    """The score that is compared with the threshold."""
    top_k: int
    """Logits of each token that the gate looks at."""
    threshold: float
    """The certified threshold τ: a draft stands when its confidence exceeds it."""
    max_loss: float
    """The promised bound ε on P(accepted, the agent right, the draft wrong)."""
    risk: float
    """The chance δ, over calibration runs, that any promise of this file is broken."""
    risk_each: float | None = None
    """The level at which each pair of gate and loss was tested, so that all hold together; None:
    there was one pair."""
    p_value: float
    """Bound on the chance of so little harm if harm were at the bound."""
    n: int
    """Independent units tested."""
    harmful: int
    """Units with a harmful sample at τ."""
    test: Test = "binomial"
    """How they were tested: by the exact binomial tail where all units are of one size, else by
    betting on the share of harmful samples."""
    samples: int
    """Answered samples of the run."""
    clusters: int
    """Units of more than one sample."""
    errors: int
    """Samples that failed; the guarantee is about answered ones."""
    undecided: int
    """Answers that no rule could judge; where the agent's may be right and the draft's is not known
    to be, they were counted as harm."""
    accepted: int
    """Samples whose draft stands at τ."""
    cost_wrong: float | None = None
    """The cost of a wrong answer, where τ is the certified threshold that costs least."""
    cost_second: float | None = None
    """The cost of a second of the models' and tools' time, likewise."""
    frontier: tuple[CertifiedPoint, ...] = ()
    """What else may be chosen: all these promises hold together, and with each that of any
    stricter threshold of its gate."""
    learned: LearnedGate | None = None
    """The gate itself, where it was learned."""
    engines: dict[str, dict[str, Any]]
    """Of each role, the engine, model and revision."""
    setting: dict[str, Any]
    """All else that decides an answer: agent, models, prompts, pixel budgets, dataset."""
    data: dict[str, str | None]
    """The dataset's fingerprint by split."""
    pictures: dict[str, str] = {}
    """The first 64 bits of each picture's digest by "split/id", where there is one."""
    scores: tuple[tuple[float | None, ...], ...]
    """Confidences of the drafts that the screen let on, by cluster; None: can never be accepted.

    What later scores are compared with.
    """


class Certificate(Guarantee):
    """A claim and its digest."""

    digest: str
    """SHA-256 of all other fields."""


def make_certificate(
    run: LoadedRun,
    table: ScoreTable,
    candidates: Mapping[Measure, Sequence[float]],
    levels: Levels,
    cost: Cost | None = None,
    learned: Mapping[str, LearnedGate] = MappingProxyType({}),
) -> Certificate:
    """Certify thresholds on a both-branches run, and choose one.

    `candidates` are the samples' acceptable confidences by gate and K, `learned` the learned gates
    among them by name. Raises `DataError` when
    there are too few samples, or when no threshold that accepts anything can be certified.
    """
    points = find_points(table, candidates, levels, cost)
    chosen = choose(points, levels, cost)
    values = candidates[Measure(chosen.gate, chosen.top_k)]
    pairs = len(candidates) * len(levels.max_losses)
    sizes = Counter(group_names(table.samples))
    claim = Guarantee(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        program=library_versions()["speceyes"],
        run=table.run,
        gate=chosen.gate,
        top_k=chosen.top_k,
        threshold=chosen.threshold,
        max_loss=chosen.max_loss,
        risk=levels.risk,
        risk_each=share_of_risk(levels, len(candidates)) if pairs > 1 else None,
        p_value=chosen.p_value,
        n=chosen.n,
        harmful=chosen.harmful,
        test=chosen.test,
        samples=len(table.samples),
        clusters=sum(size > 1 for size in sizes.values()),
        errors=table.errors,
        undecided=table.undecided,
        accepted=chosen.accepted,
        cost_wrong=cost and cost.wrong,
        cost_second=cost and cost.second,
        frontier=points,
        learned=learned.get(chosen.gate),
        engines=engines_of(run.info.engines),
        setting=setting_of(table.config),
        data=data_of(table.config),
        pictures={
            key_of(sample): picture
            for sample in table.samples
            if (picture := picture_of(sample)) is not None
        },
        scores=_scores_by_cluster(table, values),
    )
    return sign(claim)


def _scores_by_cluster(
    table: ScoreTable, values: Sequence[float]
) -> tuple[tuple[float | None, ...], ...]:
    clusters: dict[str, list[float | None]] = defaultdict(list)
    groups = group_names(table.samples)
    for group, sample, value in zip(groups, table.samples, values, strict=True):
        if screen_passed(sample):
            clusters[group].append(value if math.isfinite(value) else None)
    return tuple(tuple(scores) for scores in clusters.values())


def sign(claim: Guarantee) -> Certificate:
    """The claim with its digest."""
    return Certificate(**dict(claim), digest=digest_of(json.loads(claim.model_dump_json())))


def write_certificate(path: Path, certificate: Certificate) -> None:
    """Write the file whole or not at all; `DataError` when it cannot be written."""
    write_signed(path, certificate)


def read_certificate(path: Path) -> Certificate:
    """The certificate; `DataError` when there is none, or it is damaged or was edited."""
    return read_signed(path, Certificate, "certificate", MAKER)


def require_setting(certificate: Certificate, config: RunConfig, *, samples: bool = True) -> None:
    """Raise `UsageError` naming the first field in which a run differs from the certificate's.

    Without `samples`, what tells of the questions is left out.
    """
    left_out = () if samples else tagged(RunConfig, ["answers"], ["samples"])
    then, now = (
        {field: value for field, value in setting.items() if field not in left_out}
        for setting in (certificate.setting, setting_of(config))
    )
    _refuse(first_difference(then, now))


def require_data(certificate: Certificate, config: RunConfig) -> None:
    """Raise `UsageError` when a run's data are not what the certificate was made on."""
    data = data_of(config)
    strange = [split for split in data if split not in certificate.data]
    if strange:
        known = ", ".join(certificate.data)
        raise UsageError(
            f"The certificate does not speak for the split {strange[0]!r}: it was made on {known}. "
            + _elsewhere(certificate)
        )
    found = first_data_difference(certificate.data, data)
    if found is not None:
        raise UsageError(
            f"The certificate was made on other data: the fingerprint of {_told(found)}. "
            + _elsewhere(certificate)
        )


def require_pictures(certificate: Certificate, samples: Iterable[Sample]) -> None:
    """Raise `UsageError` when a sample's picture is not the one the certificate was made on.

    Reads every picture that was not read before; one that cannot be read now is let pass.
    """
    if not certificate.pictures:
        return
    for sample in samples:
        then = certificate.pictures.get(sample.key)
        now = sample.picture.digest() if then is not None else None
        if now is not None and now[:PICTURE_DIGITS] != then:
            raise UsageError(
                f"The certificate was made on other data: the picture of {sample.key} is another. "
                + _elsewhere(certificate)
            )


def require_engines(certificate: Certificate, engines: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise `UsageError` when the loaded models are not the certificate's."""
    now = identity_of_engines(engines_of(engines))
    found = first_difference(identity_of_engines(certificate.engines), now)
    _refuse(found and f"the engine {found}")


def _refuse(found: str | None) -> None:
    if found is not None:
        raise UsageError(
            f"The certificate does not fit this run: {_told(found)}. Use what it was made with, or "
            "calibrate anew."
        )


def _told(found: str) -> str:
    return found.replace("(then ", "(certificate: ").replace(", now ", ", here: ")


def _elsewhere(certificate: Certificate) -> str:
    return (
        f"To try its threshold elsewhere: --gate {certificate.gate} --top-k {certificate.top_k} "
        f"--threshold {certificate.threshold:g}, then `analyze drift`."
    )
