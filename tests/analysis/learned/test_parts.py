from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speceyes_cli.analysis.learned.gate_file import LearnedGate
from speceyes_cli.analysis.learned.parts import (
    divide,
    independent_groups,
    key_of,
    part_of,
    picture_of,
    unseen,
)
from speceyes_cli.analysis.table import ScoredSample, ScoreTable
from speceyes_cli.core.errors import DataError
from tests.analysis.learned.conftest import make_gate
from tests.run_config import CONFIG


def sample(number: int, cluster: str, digest: str | None) -> ScoredSample:
    return ScoredSample(
        sample_id=f"s{number}",
        split="test",
        category=None,
        cluster=cluster,
        picture_digest=digest,
        route="large",
        right=True,
        passed_screen=None,
        draft=None,
        draft_right=True,
        agent_right=True,
        seconds={},
    )


def table_of(samples: list[ScoredSample]) -> ScoreTable:
    return ScoreTable("r", CONFIG, tuple(samples), 0, 0)


linked = st.lists(
    st.tuples(st.integers(0, 6), st.one_of(st.none(), st.integers(0, 6))), min_size=1, max_size=30
).map(
    lambda rows: [
        sample(i, f"c{cluster}", None if picture is None else f"{picture:016d}" + 16 * "0")
        for i, (cluster, picture) in enumerate(rows)
    ]
)


@given(linked, st.floats(0.05, 0.95))
def test_parts_share_no_cluster_and_no_picture(samples: list[ScoredSample], share: float) -> None:
    parts = divide(samples, share)
    assert sorted([*parts.fitted, *parts.held]) == list(range(len(samples)))
    fitted, held = ([samples[i] for i in part] for part in parts)
    assert not {s.cluster for s in fitted} & {s.cluster for s in held}
    pictures = [{picture_of(s) for s in part} - {None} for part in (fitted, held)]
    assert not pictures[0] & pictures[1]


@given(linked, st.integers(0, 5))
def test_the_order_of_records_changes_no_part(samples: list[ScoredSample], seed: int) -> None:
    mixed = random.Random(seed).sample(samples, len(samples))
    first = {key_of(samples[i]) for i in divide(samples, 0.5).fitted}
    assert first == {key_of(mixed[i]) for i in divide(mixed, 0.5).fitted}


def test_links_reach_over_several_samples() -> None:
    samples = [
        sample(0, "a", "1" * 32),
        sample(1, "b", "1" * 32),
        sample(2, "b", "2" * 32),
        sample(3, "c", None),
        sample(4, "d", None),
    ]
    assert independent_groups(samples) == [[0, 1, 2], [3], [4]]


@pytest.fixture
def samples() -> list[ScoredSample]:
    return [sample(i, f"c{i // 2}", f"{i // 2:016d}" + 16 * "0") for i in range(20)]


@pytest.fixture
def gate(samples: list[ScoredSample]) -> LearnedGate:
    table = table_of(samples)
    return make_gate(part_of(table, divide(samples, 0.5).fitted))


def test_figures_are_of_samples_that_were_left_out(
    samples: list[ScoredSample], gate: LearnedGate
) -> None:
    left = unseen(table_of(samples), gate)
    assert len(left.samples) == 10
    assert not {key_of(s) for s in left.samples} & set(gate.fitted.samples)
    sibling = replace(samples[0], sample_id="new", cluster=gate.fitted.clusters[0])
    assert len(unseen(table_of([*samples, sibling]), gate).samples) == 10


def test_a_picture_that_it_was_fitted_on_is_refused(
    samples: list[ScoredSample], gate: LearnedGate
) -> None:
    leak = replace(
        samples[0],
        sample_id="new",
        cluster="new",
        picture_digest=gate.fitted.pictures[0] + "0" * 16,
    )
    with pytest.raises(DataError, match="was fitted on the picture of test/new"):
        unseen(table_of([leak]), gate)


def test_the_same_names_in_other_data_are_other_samples(
    samples: list[ScoredSample], gate: LearnedGate
) -> None:
    others = replace(
        table_of([replace(s, picture_digest=None) for s in samples]),
        config=CONFIG.model_copy(update={"data_fingerprint": {"test": "another", "other": None}}),
    )
    assert len(unseen(others, gate).samples) == len(samples)


def test_nothing_is_left(samples: list[ScoredSample], gate: LearnedGate) -> None:
    seen = [s for s in samples if key_of(s) in gate.fitted.samples]
    with pytest.raises(DataError, match="was fitted on every sample of r"):
        unseen(table_of(seen), gate)
