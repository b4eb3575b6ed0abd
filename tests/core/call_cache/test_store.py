from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from speceyes_cli.core.call_cache.engine import CachedEngine
from speceyes_cli.core.call_cache.store import CACHE_FILE, CallCache
from speceyes_cli.core.chat import Ask, Message, Picture, Reply, Size
from speceyes_cli.core.errors import DataError, PictureError
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.gate.early_rejection import min_hopeless
from speceyes_cli.core.gate.scores import min_score
from speceyes_cli.core.gate.token import TokenScore

GATE = Gate("min", min_score, hopeless=min_hopeless)
REPLY = Reply(
    "a\ud800 \x00 “b”",
    2,
    "stop",
    (TokenScore(3.25, -0.1, 1.0, 0.2, rivals=(1.0, 2.5)), TokenScore(1.0, -1e-17, 0.0, 0.0)),
    0.125,
    (Size(28, 56),),
    box_frame="relative",
    pieces=("a", " “b”"),
)


class Counting:
    """An engine that numbers its replies, and keeps what it was asked."""

    max_batch, workers, group = 8, 3, "g"

    def __init__(self) -> None:
        self.asked: list[Ask] = []
        self.closed = False

    def generate(self, asks: Sequence[Ask]) -> Sequence[Reply | Exception]:
        self.asked += asks
        return [self._one(ask) for ask in asks]

    def _one(self, ask: Ask) -> Reply | Exception:
        for message in ask.messages:
            for part in message.content:
                if isinstance(part, Picture):
                    try:
                        part.open()
                    except PictureError as error:
                        return error
        return Reply(f"reply {len(self.asked)}", 1, "stop", seconds=0.5)

    def forget(self, trajectory: str) -> None:
        del trajectory

    def describe(self) -> dict[str, Any]:
        return {"model": "m"}

    def close(self) -> None:
        self.closed = True


def picture(colour: str, size: tuple[int, int] = (4, 4)) -> Picture:
    return Picture(colour, lambda: Image.new("RGB", size, colour))


def ask(text: str = "What?", colour: str = "red", **changes: Any) -> Ask:
    return replace(Ask("small", (Message("user", (picture(colour), text)),), 8), **changes)


def behind(cache: CallCache, engine: Counting | None = None, **identity: Any) -> CachedEngine:
    return CachedEngine(engine or Counting(), cache, {"revision": "1", **identity})


def texts(outcomes: Sequence[Reply | Exception]) -> list[str]:
    return [o.text if isinstance(o, Reply) else str(o) for o in outcomes]


def test_a_reply_comes_back_as_it_was_and_marked(tmp_path: Path) -> None:
    with CallCache(tmp_path) as cache:
        cache.put("k", REPLY)
    with CallCache(tmp_path) as cache:
        assert cache.get("k") == replace(REPLY, cached=True)
        assert cache.get("other") is None
        assert (cache.counts.replayed, cache.counts.computed) == (1, 1)


@given(
    text=st.text(),
    values=st.lists(st.floats(), min_size=4, max_size=4),
    seconds=st.floats(0, 1e9),
)
def test_every_reply_survives(
    tmp_path_factory: pytest.TempPathFactory, text: str, values: list[float], seconds: float
) -> None:
    reply = Reply(text, 1, "length", (TokenScore(*values),), seconds)
    with CallCache(tmp_path_factory.mktemp("cache")) as cache:
        cache.put("k", reply)
        found = cache.get("k")
    assert found is not None
    assert (found.text, found.seconds, found.finish) == (text, seconds, "length")
    for kept, value in zip(found.statistics[0][:4], values, strict=True):
        assert kept == value or (math.isnan(kept) and math.isnan(value))


def test_a_call_is_made_once(tmp_path: Path) -> None:
    engine = Counting()
    with CallCache(tmp_path) as cache:
        cached = behind(cache, engine)
        first = texts(cached.generate([ask("a"), ask("b")]))
        again = cached.generate([ask("b"), ask("c"), ask("a")])
    assert texts(again) == [first[1], "reply 3", first[0]]
    assert [isinstance(o, Reply) and o.cached for o in again] == [True, False, True]
    assert len(engine.asked) == 3


@pytest.mark.parametrize(
    "other",
    [
        ask("What?\n"),
        ask(colour="blue"),
        ask(max_new_tokens=9),
        ask(stop=("x",)),
        ask(continue_turn=True),
        ask(gate=GATE),
        ask(gate=replace(GATE, top_k=32)),
        ask(gate=GATE.thorough()),
        ask(gate=GATE, scored_after="</think>"),
        ask(messages=(Message("system", (picture("red"), "What?")),)),
        ask(messages=(Message("user", ("What?", picture("red"))),)),
        ask(messages=(Message("user", (picture("red"),)), Message("user", ("What?",)))),
        ask(messages=(Message("user", (picture("red", (2, 8)), "What?")),)),
    ],
)
def test_whatever_can_change_a_reply_is_another_call(tmp_path: Path, other: Ask) -> None:
    engine = Counting()
    with CallCache(tmp_path) as cache:
        cached = behind(cache, engine)
        cached.generate([ask()])
        cached.generate([other])
        assert len(engine.asked) == 2
        behind(cache, engine, revision="2").generate([ask()])
        assert len(engine.asked) == 3


def test_gates_and_thresholds_share_a_draft_that_is_scored_to_its_end(tmp_path: Path) -> None:
    engine = Counting()
    with CallCache(tmp_path) as cache:
        cached = behind(cache, engine)
        for name, threshold in (("min", 0.9), ("mean", 0.9), ("min", 0.5)):
            cached.generate([ask(gate=replace(GATE, name=name, threshold=threshold))])
    [made] = engine.asked
    assert made.gate is not None
    assert made.gate.hopeless is None


def test_the_pixels_count_and_not_the_name(tmp_path: Path) -> None:
    same = Picture("another name", lambda: Image.new("RGB", (4, 4), "red"))
    engine = Counting()
    with CallCache(tmp_path) as cache:
        cached = behind(cache, engine)
        cached.generate([ask(), ask(messages=(Message("user", (same, "What?")),))])
        cached.generate([ask(messages=(Message("user", (same, "What?")),))])
    assert len(engine.asked) == 2  # both of the first batch, none of the second


def test_an_exception_is_not_kept(tmp_path: Path) -> None:
    def fail() -> Image.Image:
        raise PictureError("broken.png is truncated")

    broken = ask(messages=(Message("user", (Picture("p", fail),)),))
    engine = Counting()
    with CallCache(tmp_path) as cache:
        cached = behind(cache, engine)
        for _ in range(2):
            outcomes = cached.generate([broken, ask()])
            assert texts(outcomes)[0] == "broken.png is truncated"
    assert len(engine.asked) == 3


def test_it_stands_for_the_engine(tmp_path: Path) -> None:
    engine = Counting()
    with CallCache(tmp_path) as cache:
        cached = behind(cache, engine)
        assert (cached.max_batch, cached.workers, cached.group) == (8, 3, "g")
        assert cached.describe() == {"model": "m"}
        cached.close()
    assert engine.closed


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE calls SET body = replace(body, 'reply', 'wrong')",
        "UPDATE calls SET body = 'no JSON'",
        "UPDATE calls SET checksum = ''",
        "UPDATE calls SET body = '{}', checksum = ''",
    ],
)
def test_a_damaged_entry_is_made_again_and_mended(tmp_path: Path, harm: str) -> None:
    engine = Counting()
    with CallCache(tmp_path) as cache:
        behind(cache, engine).generate([ask()])
    database = sqlite3.connect(tmp_path / CACHE_FILE)
    with database:
        database.execute(harm)
    database.close()
    with CallCache(tmp_path) as cache:
        cached = behind(cache, engine)
        assert texts(cached.generate([ask()])) == ["reply 2"]
        assert cache.counts.damaged == 1
        assert texts(cached.generate([ask()])) == ["reply 2"]
        assert cache.counts.replayed == 1


def test_an_entry_under_a_wrong_key_is_not_believed(tmp_path: Path) -> None:
    with CallCache(tmp_path) as cache:
        cache.put("a", REPLY)
        cache._database.execute("UPDATE calls SET key = 'b'")
        assert cache.get("b") is None


def test_a_file_that_is_no_database_costs_calls_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / CACHE_FILE).write_bytes(b"not a database at all" * 100)
    engine = Counting()
    with CallCache(tmp_path) as cache:
        cached = behind(cache, engine)
        assert texts(cached.generate([ask()])) == ["reply 1"]
        assert texts(cached.generate([ask()])) == ["reply 2"]
        assert (cache.counts.replayed, cache.counts.unkept) == (0, 2)
    assert len(caplog.messages) == 1
    assert "file is not a database; calls it cannot serve are made" in caplog.messages[0]


def test_a_full_disk_costs_calls_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    engine = Counting()
    with CallCache(tmp_path) as cache:
        cached = behind(cache, engine)
        cached.generate([ask("kept")])
        cache._database.execute("PRAGMA max_page_count = 1")
        for text in ("a", "b"):
            cache.put(text, replace(REPLY, text="x" * 100_000))
        assert cache.counts.unkept == 2
        assert texts(cached.generate([ask("kept")])) == ["reply 1"]
    assert len(caplog.messages) == 1
    assert "full" in caplog.messages[0]


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"call cache .*file cannot be used: .*--cache-dir"):
        CallCache(tmp_path / "file")
