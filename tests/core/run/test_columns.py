from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from speceyes_cli.core.errors import DataError
from speceyes_cli.core.gate.token import score_from
from speceyes_cli.core.judging.judges import Judged
from speceyes_cli.core.judging.judging import open_judging
from speceyes_cli.core.judging.verdicts import JudgedNote
from speceyes_cli.core.run.columns import NO, UNKNOWN, YES, Columns, columns_of
from speceyes_cli.core.run.info import RunInfo
from speceyes_cli.core.run.reading import read_columns, read_record
from speceyes_cli.core.run.records import (
    BranchNote,
    CallNote,
    DraftNote,
    ErrorNote,
    Record,
    TokenNote,
    VerdictNote,
)
from speceyes_cli.core.run.store import SampleKey, open_store, read_run

MakeRecord = Callable[..., Record]
FLAGS = {True: YES, False: NO, None: UNKNOWN}
numbers = st.one_of(st.none(), st.floats(-1e6, 1e6))
texts = st.text(st.characters(codec="utf-8"), max_size=8)
verdicts = st.builds(VerdictNote, right=st.sampled_from([True, False, None]), provenance=texts)
tokens = st.builds(
    TokenNote,
    separability=numbers,
    logprob=numbers,
    margin=numbers,
    entropy=numbers,
    fault=st.sampled_from(["", "nan"]),
    rivals=st.lists(st.floats(0, 50), max_size=3).map(tuple),
)
drafts = st.builds(
    DraftNote,
    text=texts,
    accepted=st.booleans(),
    confidence=numbers,
    tokens=st.lists(tokens, max_size=3).map(tuple),
    tied_tokens=st.integers(0, 3),
    lowest_margin=numbers,
    lowest_probability=numbers,
)
calls = st.builds(
    CallNote,
    role=st.just("small"),
    phase=st.sampled_from(["screen", "draft"]),
    text=texts,
    tokens=st.integers(0, 9),
    finish=st.sampled_from(["stop", "length", "rejected"]),
    seconds=numbers,
)
turns = st.fixed_dictionaries(
    {}, optional={"outcome": texts, "kind": st.none() | texts, "kinds": st.lists(texts, max_size=2)}
)
details = st.fixed_dictionaries(
    {}, optional={"turns": st.lists(turns | texts, max_size=3) | st.integers(), "other": texts}
)
changes = st.fixed_dictionaries(
    {
        "split": st.sampled_from(["test", "other"]),
        "question": texts,
        "options": st.lists(texts, max_size=3).map(tuple),
        "answer": st.none() | texts,
        "cluster": st.none() | texts,
        "meta": st.dictionaries(texts, st.integers(), max_size=2),
        "picture_digest": st.none() | texts,
        "route": st.sampled_from(["small", "large", "error"]),
        "text": st.none() | texts,
        "confidence": numbers,
        "passed_screen": st.sampled_from([True, False, None]),
        "draft": st.none() | drafts,
        "verdict": st.none() | verdicts,
        "branches": st.dictionaries(
            st.sampled_from(["small", "large"]),
            st.builds(BranchNote, text=texts, verdict=verdicts),
        ),
        "error": st.none() | st.just(ErrorNote(kind="ValueError", text="no", phase=None)),
        "calls": st.lists(calls, max_size=3).map(tuple),
        "details": details,
        "phase_seconds": st.dictionaries(
            st.sampled_from(["screen", "draft", "odd"]), st.floats(0, 9)
        ),
        "cached_seconds": st.floats(0, 9),
    }
)


def told(columns: Columns, place: int) -> dict[str, Any]:
    """What the columns say of one record, in the record's own terms."""

    def flag(value: Any) -> bool | None:
        return {YES: True, NO: False, UNKNOWN: None}[int(value)]

    def number(value: Any) -> float | None:
        return None if math.isnan(value) else float(value)

    branches = {
        role: (branch.text[place], flag(branch.right[place]), branch.provenance[place])
        for role, branch in columns.branches.items()
        if branch.provenance[place] is not None
    }
    phases = {phase: seconds[place] for phase, seconds in columns.phase_seconds.items()}
    names = ("split", "sample_id", "question", "options", "answer", "cluster", "meta", "route")
    return {
        **{name: getattr(columns, name)[place] for name in (*names, "text", "picture_digest")},
        "position": columns.position[place],
        "error": columns.error[place],
        "confidence": number(columns.confidence[place]),
        "passed_screen": flag(columns.passed_screen[place]),
        "right": flag(columns.right[place]),
        "provenance": columns.provenance[place],
        "branches": branches,
        "draft": columns.drafts.text[place],
        "accepted": flag(columns.drafts.accepted[place]),
        "finish": columns.drafts.finish[place],
        "tied": columns.drafts.tied[place],
        "tokens": repr(columns.token_scores(place)),
        "phases": {phase: value for phase, value in phases.items() if not math.isnan(value)},
        "seconds": columns.seconds[place],
        "cached": columns.cached_seconds[place],
        "tool errors": columns.tool_errors[place],
        "generated": (columns.small_tokens[place], columns.large_tokens[place]),
    }


def wanted(record: Record) -> dict[str, Any]:
    """The same of the record itself."""
    verdict, draft = record.verdict, record.draft
    ends = [call.finish for call in record.calls if call.phase == "draft"]
    names = ("split", "sample_id", "question", "options", "answer", "cluster", "meta", "route")
    return {
        **{name: getattr(record, name) for name in (*names, "text", "picture_digest")},
        "position": record.position,
        "error": record.error.kind if record.error else None,
        "confidence": record.confidence,
        "passed_screen": record.passed_screen,
        "right": verdict.right if verdict else None,
        "provenance": verdict.provenance if verdict else None,
        "branches": {
            role: (branch.text, branch.verdict.right, branch.verdict.provenance)
            for role, branch in record.branches.items()
        },
        "draft": draft.text if draft else None,
        "accepted": draft.accepted if draft else None,
        "finish": ends[-1] if ends else "stop",
        "tied": draft.tied_tokens if draft else 0,
        "tokens": repr([score_from(token) for token in draft.tokens] if draft else []),
        "phases": record.phase_seconds,
        "seconds": record.seconds,
        "cached": record.cached_seconds,
        "tool errors": error_kinds(record.details.get("turns")),
        "generated": (record.small_tokens, record.large_tokens),
    }


def error_kinds(turns: Any) -> tuple[str, ...]:
    notes = [one for one in turns if isinstance(one, dict)] if isinstance(turns, list) else []
    kinds = [kind for one in notes for kind in one.get("kinds", [one.get("kind")])]
    return tuple(kind for kind in kinds if kind is not None)


def write(folder: Path, info: RunInfo, records: Sequence[Record]) -> None:
    splits = {"splits": ("test", "other")}
    described = info.model_copy(update={"config": info.config.model_copy(update=splits)})
    with open_store(folder, described, "fresh") as store:
        store.add(*records)
        store.export()


@given(varied=st.lists(changes, max_size=6))
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30
)
def test_columns_say_what_the_records_say_in_their_order(
    tmp_path: Path, info: RunInfo, make_record: MakeRecord, varied: list[dict[str, Any]]
) -> None:
    """However far apart position and order of writing are."""
    records = [
        make_record(f"s{number}", position=-number).model_copy(update=change)
        for number, change in enumerate(varied)
    ]
    write(tmp_path / "run", info, records)
    _, columns = read_columns(tmp_path / "run")
    _, whole = read_run(tmp_path / "run")
    for made in (columns, columns_of(whole)):
        assert len(made) == len(whole)
        assert [told(made, place) for place in range(len(made))] == list(map(wanted, whole))
    for place, record in enumerate(whole):
        assert columns.key(place) == SampleKey(record.split, record.sample_id)
        assert columns.by_key[columns.key(place)] == place
    for split in ("test", "other"):
        assert [columns.split[place] for place in columns.places(split)] == [
            record.split for record in whole if record.split == split
        ]
    assert columns.answered.tolist() == [record.error is None for record in whole]


def test_one_record_is_read_with_its_verdict(
    tmp_path: Path, info: RunInfo, make_record: MakeRecord
) -> None:
    write(tmp_path / "run", info, [make_record("a"), make_record("b", "other")])
    with open_judging(tmp_path / "run") as judging:
        claim = next(claim for claim in judging.claims() if claim.sample.id == "b")
        judging.keep([Judged(claim, JudgedNote(right=False, provenance="llm", judge="test"))])
    record = read_record(tmp_path / "run", SampleKey("other", "b"))
    assert record.verdict == VerdictNote(right=False, provenance="llm")
    assert record.messages
    _, columns = read_columns(tmp_path / "run")
    assert columns.right.tolist() == [YES, NO]
    assert columns.provenance == ["text", "llm"]
    with pytest.raises(DataError, match="holds no record of test/b"):
        read_record(tmp_path / "run", SampleKey("test", "b"))


def test_without_the_database_the_export_is_read(
    tmp_path: Path, info: RunInfo, make_record: MakeRecord
) -> None:
    write(tmp_path / "run", info, [make_record("a"), make_record("b", "other")])
    (tmp_path / "run" / "run.sqlite").unlink()
    assert read_columns(tmp_path / "run")[1].sample_id == ["a", "b"]
    assert read_record(tmp_path / "run", SampleKey("other", "b")).split == "other"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"schema_version": 2}', "cannot read"),
        ("{", "cannot read"),
        ("[]", "cannot read"),
    ],
)
def test_a_record_that_is_none_is_one_sentence(
    tmp_path: Path, info: RunInfo, line: str, told: str
) -> None:
    write(tmp_path / "run", info, [])
    (tmp_path / "run" / "run.sqlite").unlink()
    (tmp_path / "run" / "records.jsonl").write_text(line + "\n")
    with pytest.raises(DataError, match=told):
        read_columns(tmp_path / "run")


def test_conversations_take_no_memory(
    tmp_path: Path, info: RunInfo, make_record: MakeRecord
) -> None:
    """Ten times the conversation, the same columns."""
    peaks = []
    for length in (1_000, 10_000):
        one = make_record("x")
        note = one.messages["agent"][0].model_copy(update={"content": ("said " * length,)})
        long = {"messages": {"agent": (note,)}}
        write(tmp_path / "run", info, [make_record(f"s{n}", **long) for n in range(300)])
        read_columns(tmp_path / "run")
        tracemalloc.start()
        _, columns = read_columns(tmp_path / "run")
        peaks.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        assert len(columns) == 300
    assert peaks[1] < 1.5 * peaks[0]
