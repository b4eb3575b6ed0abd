from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, ks_2samp

from speceyes_cli.analysis.certificate import Certificate, make_certificate
from speceyes_cli.analysis.certified_points import Levels, Measure
from speceyes_cli.analysis.drift import Drift, check_false_alarm, compare
from speceyes_cli.analysis.scores import acceptable, confidences
from speceyes_cli.analysis.table import ScoreTable, read_table
from speceyes_cli.core.errors import DataError, UsageError
from speceyes_cli.core.gate.scores import min_score
from speceyes_cli.core.tables.summaries import LoadedRun
from tests.analysis.conftest import Spec, run_of

RISK = 0.05


def specs_of(values: np.ndarray, size: int = 1, **changes: object) -> list[Spec]:
    cluster = [f"c{i // size}" if size > 1 else None for i in range(len(values))]
    return [
        Spec(float(value), cluster=name, **changes)
        for value, name in zip(values, cluster, strict=True)
    ]


def scored(table: ScoreTable) -> list[float]:
    return acceptable(table, confidences(table, min_score))


def certificate_of(specs: list[Spec]) -> Certificate:
    run = run_of(specs, both_branches=True)
    table = read_table(run)
    return make_certificate(run, table, {Measure("min", 64): scored(table)}, Levels((0.2,), 0.1))


def drift(then: list[Spec], now: list[Spec], **changes: object) -> Drift:
    table = read_table(run_of(now, **changes))
    return compare(certificate_of(then), table, scored(table), RISK)


def uniform(seed: int, n: int, high: float = 0.99) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.05, high, n)


def test_scores_of_the_same_kind_show_no_drift() -> None:
    found = drift(specs_of(uniform(1, 200)), specs_of(uniform(2, 150), one_branch=True))
    assert not found.drifted
    assert (found.drafts_then, found.drafts_now, found.floor) == (200, 150, None)
    same = drift(specs_of(uniform(1, 200)), specs_of(uniform(1, 200)))
    assert (same.distance, same.distance_p, same.accepted_p) == (0.0, 1.0, 1.0)


def test_lower_scores_are_a_drift() -> None:
    found = drift(specs_of(uniform(1, 200)), specs_of(uniform(2, 200, high=0.7)))
    assert found.drifted
    assert found.distance_p < 0.001


def test_without_clusters_it_is_the_kolmogorov_smirnov_test() -> None:
    then, now = uniform(1, 80), uniform(4, 60, high=0.85)
    found = drift(specs_of(then), specs_of(now))
    known = ks_2samp(then, now, method="exact")
    assert found.distance == pytest.approx(known.statistic)
    assert found.distance_p == pytest.approx(known.pvalue, abs=0.03)


@pytest.mark.parametrize("size", [1, 5])
def test_false_alarms_keep_to_the_risk_also_in_clusters(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speceyes_cli.analysis.drift.DEALS", 300)
    trials = 100
    generator = np.random.default_rng(3)

    def values() -> np.ndarray:
        return np.repeat(generator.uniform(0.05, 0.99, 100 // size), size)

    alarms = sum(
        drift(specs_of(values(), size), specs_of(values(), size)).drifted for _ in range(trials)
    )
    assert alarms <= binom.ppf(0.9999, trials, RISK)


def test_a_screen_that_lets_fewer_on_is_a_drift_of_what_is_accepted() -> None:
    now = [
        *specs_of(uniform(2, 60)),
        *specs_of(uniform(5, 140), passed=False),
    ]
    found = drift(specs_of(uniform(1, 200)), now)
    assert found.accepted_now < found.accepted_then
    assert found.accepted_p < 0.001
    assert found.drifted


def test_drafts_that_ended_early_count_as_equal() -> None:
    then = uniform(1, 200)
    now = uniform(2, 200)
    # What an early end leaves is a partial score at or below the bar, whatever it would have been.
    cut = [
        Spec(float(value)) if value > 0.6 else Spec(0.06, finish="rejected", one_branch=True)
        for value in now
    ]
    found = drift(specs_of(then), cut, threshold=0.6)
    assert found.floor == 0.6
    assert not found.drifted
    assert found.distance < 0.15


def test_drafts_that_ended_early_under_another_gate_tell_nothing() -> None:
    certificate = certificate_of(specs_of(uniform(1, 200)))
    cut = [*specs_of(uniform(2, 199)), Spec(0.06, finish="rejected", one_branch=True)]
    for run in (run_of(cut, gate="log"), run_of(cut, top_k=32)):
        table = read_table(run)
        with pytest.raises(UsageError, match="ended drafts early that could not pass its own gate"):
            compare(certificate, table, scored(table), RISK)
    whole = read_table(run_of(cut[:-1], gate="log"))
    assert not compare(certificate, whole, scored(whole), RISK).drifted


def test_samples_of_one_picture_are_dealt_together() -> None:
    """As the certificate has them, whether or not the dataset names clusters."""
    run = run_of(specs_of(np.repeat(uniform(1, 50), 4)))
    records = [
        record.model_copy(update={"picture_digest": f"{place // 4:064x}"})
        for place, record in enumerate(run.records)
    ]
    table = read_table(LoadedRun.of(run.folder, run.info, records))
    plain = read_table(run)
    certificate = certificate_of(specs_of(uniform(3, 200, high=0.85)))
    together = compare(certificate, table, scored(table), RISK)
    apart = compare(certificate, plain, scored(plain), RISK)
    assert together.distance == apart.distance
    assert together.distance_p > apart.distance_p


def test_too_few_drafts_to_tell() -> None:
    with pytest.raises(DataError, match=r"has 19 drafts .* at least 20 are needed"):
        drift(specs_of(uniform(1, 200)), specs_of(uniform(2, 19)))


@pytest.mark.parametrize("risk", [0.0, 1.0, 1e-9, float("nan")])
def test_a_risk_that_no_test_keeps(risk: float) -> None:
    check_false_alarm(0.05)
    with pytest.raises(UsageError, match="--false-alarm is a probability"):
        check_false_alarm(risk)
