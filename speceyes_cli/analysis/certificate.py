"""The certificate: a file that says which threshold is certified, at what level, on what."""

from __future__ import annotations

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from speceyes_cli.analysis.calibration import Certified, certify, gather_units
from speceyes_cli.analysis.replay import screen_passed
from speceyes_cli.analysis.settings import (
    data_of,
    engines_of,
    first_data_difference,
    first_difference,
    setting_of,
)
from speceyes_cli.analysis.table import ScoreTable
from speceyes_cli.core.errors import DataError, UsageError
from speceyes_cli.core.files import read_file_text
from speceyes_cli.core.run.info import (
    RunConfig,
    identity_of_engines,
    library_versions,
    write_atomically,
)
from speceyes_cli.core.samples import Sample
from speceyes_cli.core.tables.summaries import LoadedRun

PICTURE_DIGITS = 16
"""Hexadecimal digits of a picture's digest that a certificate keeps."""


class Guarantee(BaseModel):
    """All that a certificate says; its digest covers every field."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["speceyes-threshold-certificate"] = "speceyes-threshold-certificate"
    """What this file is."""
    schema_version: Literal[1] = 1
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
    """The chance δ, over calibration runs, that the promise is broken."""
    p_value: float
    """Chance of so few harmful units if harm were at the bound."""
    n: int
    """Independent units tested."""
    harmful: int
    """Harmful units among them at τ."""
    samples: int
    """Answered samples of the run."""
    clusters: int
    """Units of more than one sample."""
    errors: int
    """Samples that failed; the guarantee is about answered ones."""
    undecided: int
    """Answers that no rule could judge; they were counted as wrong."""
    accepted: int
    """Samples whose draft stands at τ."""
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


class Levels(NamedTuple):
    """What is promised."""

    max_loss: float
    """ε, the bound on the harm."""
    risk: float
    """δ, the chance that the promise is broken."""


class Measure(NamedTuple):
    """What is compared with the threshold."""

    gate: str
    top_k: int


class Certificate(Guarantee):
    """A claim and its digest."""

    digest: str
    """SHA-256 of all other fields."""


def make_certificate(
    run: LoadedRun, table: ScoreTable, measure: Measure, values: Sequence[float], levels: Levels
) -> Certificate:
    """Certify a threshold on a both-branches run.

    `values` are the samples' acceptable confidences under the measure. Raises `DataError` when
    there are too few samples, or when no threshold that accepts anything can be certified.
    """
    rows = zip(table.samples, values, strict=True)
    judged = [
        (
            sample.cluster,
            value if screen_passed(sample) else -math.inf,
            bool(sample.agent_right) and not sample.draft_right,
        )
        for sample, value in rows
    ]
    units = gather_units(judged)
    found = certify(units, *levels)
    accepted = sum(value > found.threshold for _, value, _ in judged) if found else 0
    if found is None or not accepted:
        raise DataError(
            f"No threshold of {measure.gate} that accepts a draft can be certified for a loss of "
            f"{levels.max_loss:g} at risk {levels.risk:g}: among the surest drafts of {table.run} "
            "too many are wrong where the agent is right. Allow more loss, take more samples, or "
            "try another gate."
        )
    return sign(_claim(run, table, (measure, levels, found, accepted), judged))


def _claim(
    run: LoadedRun,
    table: ScoreTable,
    outcome: tuple[Measure, Levels, Certified, int],
    judged: list[tuple[str, float, bool]],
) -> Guarantee:
    measure, levels, found, accepted = outcome
    sizes: dict[str, int] = defaultdict(int)
    for cluster, _, _ in judged:
        sizes[cluster] += 1
    config = table.config
    return Guarantee(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        program=library_versions()["speceyes"],
        run=table.run,
        gate=measure.gate,
        top_k=measure.top_k,
        threshold=found.threshold,
        max_loss=levels.max_loss,
        risk=levels.risk,
        p_value=found.p_value,
        n=found.n,
        harmful=found.harmful,
        samples=len(judged),
        clusters=sum(size > 1 for size in sizes.values()),
        errors=table.errors,
        undecided=table.undecided,
        accepted=accepted,
        engines=engines_of(run.info.engines),
        setting=setting_of(config),
        data=data_of(config),
        pictures={
            f"{record.split}/{record.sample_id}": record.picture_digest[:PICTURE_DIGITS]
            for record in run.records
            if record.picture_digest is not None
        },
        scores=_scores_by_cluster(table, judged),
    )


def _scores_by_cluster(
    table: ScoreTable, judged: list[tuple[str, float, bool]]
) -> tuple[tuple[float | None, ...], ...]:
    clusters: dict[str, list[float | None]] = defaultdict(list)
    for sample, (cluster, value, _) in zip(table.samples, judged, strict=True):
        if screen_passed(sample):
            clusters[cluster].append(value if math.isfinite(value) else None)
    return tuple(tuple(scores) for scores in clusters.values())


def sign(claim: Guarantee) -> Certificate:
    """The claim with its digest."""
    return Certificate(**claim.model_dump(), digest=_digest(claim.model_dump(mode="json")))


def _digest(fields: dict[str, Any]) -> str:
    covered = {name: value for name, value in fields.items() if name != "digest"}
    return hashlib.sha256(json.dumps(covered, sort_keys=True).encode()).hexdigest()


def write_certificate(path: Path, certificate: Certificate) -> None:
    """Write the file whole or not at all; `DataError` when it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, [certificate.model_dump_json(indent=2) + "\n"])
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}.") from None


def read_certificate(path: Path) -> Certificate:
    """The certificate; `DataError` when there is none, or it is damaged or was edited."""
    try:
        found = Certificate.model_validate_json(read_file_text(path))
    except FileNotFoundError:
        raise DataError(f"There is no certificate {path}; `analyze calibrate` makes one.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}.") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise DataError(
            f"{path} is no certificate of this version ({where}: {first['msg']}); "
            "`analyze calibrate` makes one."
        ) from None
    if _digest(found.model_dump(mode="json")) != found.digest:
        raise DataError(
            f"{path} was changed after it was made: its digest does not match its fields; "
            "`analyze calibrate` makes a new one."
        )
    return found


def require_setting(certificate: Certificate, config: RunConfig) -> None:
    """Raise `UsageError` naming the first field in which a run differs from the certificate's."""
    _refuse(first_difference(certificate.setting, setting_of(config)))


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
