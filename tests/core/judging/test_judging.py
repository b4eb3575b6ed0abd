"""A run folder open for verdicts: what is judged, and what is counted in the end."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from speceyes_cli.core.errors import PictureError
from speceyes_cli.core.judging.judges import Claim, Judged
from speceyes_cli.core.judging.judging import Judging, open_judging
from speceyes_cli.core.judging.verdicts import JudgedNote
from speceyes_cli.core.run.info import RunInfo
from speceyes_cli.core.run.records import BranchNote, ErrorNote, Record, VerdictNote
from speceyes_cli.core.run.store import open_store

MakeRecord = Callable[..., Record]
UNDECIDED = VerdictNote(right=None, provenance="undecided")
FAILED = ErrorNote(kind="ValueError", text="no", phase=None)


def write(folder: Path, info: RunInfo, records: list[Record]) -> Path:
    with open_store(folder, info, "fresh") as store:
        store.add(*records)
    return folder


def give(judging: Judging, claim: Claim, *, right: bool | None, provenance: str = "llm") -> None:
    judging.keep([Judged(claim, JudgedNote(right=right, provenance=provenance, judge="test"))])


def test_each_text_of_a_sample_is_one_claim(
    tmp_path: Path, info: RunInfo, make_record: MakeRecord
) -> None:
    branches = {
        "small": BranchNote(text="blue", verdict=UNDECIDED),
        "large": BranchNote(text="red", verdict=UNDECIDED),
    }
    records = [
        make_record("a", text="red", branches=branches),
        make_record("b", text=None, route="error", error=FAILED, verdict=None),
    ]
    with open_judging(write(tmp_path / "run", info, records)) as judging:
        claims = judging.claims()
    assert [(claim.sample.id, claim.said) for claim in claims] == [("a", "red"), ("a", "blue")]
    sample, record = claims[0].sample, records[0]
    for name in ("split", "question", "options", "answer", "category", "cluster", "meta"):
        assert getattr(sample, name) == getattr(record, name)
    with pytest.raises(PictureError, match="a judge sees no picture"):
        sample.picture.open()


def test_answers_are_counted_by_the_last_word_on_each(
    tmp_path: Path, info: RunInfo, make_record: MakeRecord
) -> None:
    by_rule = VerdictNote(right=False, provenance="letter")
    records = [
        make_record("ruled", verdict=by_rule),
        make_record("open", text="who knows", verdict=UNDECIDED),
        make_record("judged", text="reddish", verdict=UNDECIDED),
        make_record("lost", text="odd", verdict=UNDECIDED),
        make_record("failed", text=None, route="error", error=FAILED, verdict=None),
    ]
    with open_judging(write(tmp_path / "run", info, records)) as judging:
        claims = {claim.sample.id: claim for claim in judging.claims()}
        give(judging, claims["judged"], right=True)
        give(judging, claims["lost"], right=None, provenance="error")
        tally = judging.tally()
    assert tally.answers == 4
    assert tally.counts == Counter(rule=1, undecided=1, llm=1, error=1, right=1, wrong=1)


def test_conversations_are_not_kept_in_memory(
    tmp_path: Path, info: RunInfo, make_record: MakeRecord
) -> None:
    peaks = []
    for length in (1, 10_000):
        one = make_record("s")
        note = one.messages["agent"][0].model_copy(update={"content": ("said " * length,)})
        long = {"messages": {"agent": (note,)}}
        folder = write(
            tmp_path / str(length), info, [make_record(f"s{n}", **long) for n in range(200)]
        )
        open_judging(folder).close()
        tracemalloc.start()
        with open_judging(folder) as judging:
            assert len(judging.claims()) == 200
            peaks.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]
