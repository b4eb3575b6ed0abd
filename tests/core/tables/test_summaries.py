from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from speceyes_cli.core.errors import DataError
from speceyes_cli.core.run.info import RunInfo
from speceyes_cli.core.run.records import DraftNote, Record, VerdictNote
from speceyes_cli.core.run.store import open_store
from speceyes_cli.core.tables.summaries import (
    TWO_METHODS,
    LoadedRun,
    SummaryRow,
    baselines_beside,
    find_baseline,
    load_run,
    run_folders,
    summarize,
)
from tests.analysis.conftest import Spec, run_of

MakeRecord = Callable[..., Record]
PROMISED = {
    "run",
    "method",
    "agent",
    "dataset",
    "split",
    "n",
    "n_error",
    "accuracy",
    "accuracy_all",
    "accuracy_low",
    "accuracy_high",
    "speedup",
    "alpha",
    "beta",
    "accept_rate",
    "latency_mean_s",
    "latency_p50_s",
    "latency_p95_s",
    "small_tokens",
    "large_tokens",
}


@pytest.fixture
def records(make_record: MakeRecord) -> list[Record]:
    """Four answers, one of them the small model's and one wrong, and an error."""
    draft = make_record("x").draft
    assert draft is not None
    accepted: DraftNote = draft.model_copy(update={"accepted": True})
    wrong = VerdictNote(right=False, provenance="text")
    undecided = VerdictNote(right=None, provenance="ambiguous")
    return [
        make_record("a", seconds=1.0),
        make_record("b", seconds=3.0, route="small", draft=accepted),
        make_record("c", "other", seconds=2.0, verdict=wrong, passed_screen=False, draft=None),
        make_record("d", "other", seconds=2.0, verdict=undecided),
        make_record("e", "other", ok=False),
    ]


def loaded(info: RunInfo, records: list[Record], **config: object) -> LoadedRun:
    changed = info.config.model_copy(update=config)
    return LoadedRun.of(Path("r"), info.model_copy(update={"config": changed}), records)


def row_of(rows: list[SummaryRow], split: str) -> SummaryRow:
    [row] = [row for row in rows if row.split == split]
    return row


def test_a_row_per_split_and_one_of_all(info: RunInfo, records: list[Record]) -> None:
    rows = summarize(loaded(info, records), None)
    assert [(row.split, row.n, row.n_error) for row in rows] == [
        ("test", 2, 0),
        ("other", 3, 1),
        ("all", 5, 1),
    ]
    assert set(json.loads(rows[0].model_dump_json())) >= PROMISED


def test_the_figures_by_hand(info: RunInfo, records: list[Record]) -> None:
    row = row_of(summarize(loaded(info, records), None), "all")
    assert row.accuracy == 2 / 4
    assert row.accuracy_all == 2 / 5
    assert row.accuracy_low is not None
    assert row.accuracy_high is not None
    assert row.accuracy_low < 0.5 < row.accuracy_high
    assert row.n_undecided == 1
    assert row.beta == 3 / 4
    assert row.alpha == 1 / 3
    assert row.accept_rate == 1 / 4
    assert (row.latency_mean_s, row.latency_p50_s) == (2.0, 2.0)
    assert (row.small_tokens, row.large_tokens) == (8, 40)
    assert row.phase_mean_s["screen"] == pytest.approx(0.1)
    assert row.speedup is None


def test_nothing_divides_by_zero(info: RunInfo, make_record: MakeRecord) -> None:
    for records in ([], [make_record("a", ok=False)]):
        row = row_of(summarize(loaded(info, records), None), "all")
        assert row.accuracy is None
        assert row.alpha is None
        assert row.beta is None
        assert row.latency_mean_s is None


def test_speedup_pairs_what_both_answered(
    info: RunInfo, records: list[Record], make_record: MakeRecord
) -> None:
    before = [
        make_record("a", seconds=4.0),
        make_record("b", seconds=4.0),
        make_record("c", "other", ok=False),
        make_record("z", seconds=100.0),
    ]
    baseline = loaded(info, before, method="baseline", small=None, gate=None, threshold=None)
    rows = summarize(loaded(info, records), baseline)
    assert row_of(rows, "all").speedup == pytest.approx(8.0 / 4.0)
    assert row_of(rows, "other").speedup is None


BASELINE = {"method": "baseline", "small": None, "gate": None, "top_k": None, "threshold": None}


@pytest.mark.parametrize(
    ("change", "matches"),
    [
        ({}, True),
        ({"limit": 5}, True),
        ({"splits": ("test",)}, True),
        ({"method": "speceyes"}, False),
        ({"agent": "other"}, False),
        ({"dataset": "other"}, False),
        ({"large": "other"}, False),
        ({"option_order": "dataset"}, False),
        ({"batch_size": 1}, False),
        ({"device": "cuda"}, False),
        ({"max_turns": 2}, False),
        ({"prompt_hashes": {"agent": "z"}}, False),
        ({"prompt_hashes": {"agent": "a", "draft": "another", "screen": "s"}}, True),
    ],
)
def test_a_baseline_must_match(
    info: RunInfo, records: list[Record], change: dict[str, object], matches: bool
) -> None:
    run = loaded(info, records)
    other = loaded(info, records, **{**BASELINE, **change})
    assert (find_baseline(run, [other]) is other) == matches


def test_the_baseline_that_shares_most_is_taken_then_the_latest(
    info: RunInfo, records: list[Record]
) -> None:
    def made(created: str, some: list[Record]) -> LoadedRun:
        return loaded(info.model_copy(update={"created": created}), some, **BASELINE)

    run = loaded(info, records)
    little, old, new = made("3", records[:1]), made("1", records), made("2", records)
    assert find_baseline(run, [little, old, new]) is new
    larger = loaded(info.model_copy(update={"created": "4"}), records, **BASELINE, limit=99)
    assert find_baseline(run, [larger, new]) is new
    assert find_baseline(run, [larger]) is larger
    assert find_baseline(run, [made("1", [])]) is None
    assert find_baseline(new, [old]) is None


def test_the_small_model_alone_is_measured_against_the_agent_on_the_same_data(
    info: RunInfo, records: list[Record]
) -> None:
    run = loaded(info, records, method="draft", large=None, threshold=None)
    assert find_baseline(run, [loaded(info, records, **BASELINE)]) is not None
    assert find_baseline(run, [loaded(info, records, **BASELINE, dataset="other")]) is None


def test_runs_are_found_below_a_folder_and_beside_a_run(
    tmp_path: Path, info: RunInfo, make_record: MakeRecord
) -> None:
    def write(name: str, **config: object) -> None:
        changed = info.config.model_copy(update=config)
        described = info.model_copy(update={"config": changed})
        with open_store(tmp_path / name, described, "resume") as store:
            store.add(make_record("a"))

    write("mine")
    write("before", **BASELINE)
    write("deeper/one")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.json").write_text("{")
    assert [
        load_run(folder).info.name
        for folder in run_folders([tmp_path / "mine", tmp_path / "deeper"])
    ] == [
        "mine",
        "one",
    ]
    beside = baselines_beside(load_run(tmp_path / "mine"))
    assert [run.info.name for run in beside] == ["before"]
    with pytest.raises(DataError, match="holds no run"):
        run_folders([_empty(tmp_path)])
    with pytest.raises(DataError, match="does not exist"):
        run_folders([tmp_path / "nowhere"])


def _empty(tmp_path: Path) -> Path:
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


def test_times_of_two_methods_are_marked() -> None:
    rows = summarize(run_of([Spec()] * 3, both_branches=True), None)
    assert [row.notes for row in rows] == [(), (TWO_METHODS,)]
    assert all(row.speedup is None for row in rows)
    assert [row.notes for row in summarize(run_of([Spec()] * 3), None)] == [(), ()]
