from __future__ import annotations

import io
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from speceyes_cli.host.running import progress
from speceyes_cli.host.running.progress import Tally, watch


def record(route: str) -> Any:
    return SimpleNamespace(route=route)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """clock(seconds): let so much time pass."""
    now = [100.0]
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def pass_time(seconds: float) -> None:
        now[0] += seconds

    return pass_time


def test_the_rate_counts_this_session_only(clock: Callable[[float], None]) -> None:
    tally = Tally(["small", "large", "error"], total=25)
    assert tally.left is None
    clock(8.0)
    for route in ("small", "small", "large", "error") * 4:
        tally.add(route)
    assert (tally.done, tally.rate, tally.left) == (19, 2.0, 3.0)
    assert str(tally) == "accepted 9 · agent 5 · errors 5 · 2.00/s"


def test_the_first_samples_promise_no_time_yet(clock: Callable[[float], None]) -> None:
    tally = Tally(["small"] * 20, total=520)
    clock(33.0)  # models are loaded and a whole batch answered before the first sample is done
    tally.add("small")
    assert tally.to_go == ""
    for _ in range(15):
        tally.add("small")
    assert tally.to_go == "998 s to go"


def test_without_a_total_nothing_is_promised(clock: Callable[[float], None]) -> None:
    tally = Tally([], total=None)
    clock(1.0)
    tally.add("small")
    assert tally.left is None


def test_without_a_terminal_there_is_a_line_now_and_then(clock: Callable[[float], None]) -> None:
    out = io.StringIO()
    with watch(Console(file=out, width=200), "a run", 19, ["small"]) as seen:
        for _ in range(15):
            seen.advance(record("small"))
        assert out.getvalue() == ""
        clock(8.0)
        seen.advance(record("large"))
        assert out.getvalue() == (
            "17 of 19 samples · accepted 16 · agent 1 · errors 0 · 2.00/s · 1 s to go\n"
        )
        seen.advance(record("error"))
    assert out.getvalue().splitlines()[-1].startswith("18 of 19 samples · accepted 16 · agent 1")
    assert "\x1b" not in out.getvalue()


@pytest.mark.parametrize("width", [60, 100])
def test_on_a_terminal_there_is_a_bar(width: int) -> None:
    out = io.StringIO()
    screen = Console(file=out, force_terminal=True, width=width)
    with watch(screen, "a [bold]run[/]", 9, ["small", "small"]) as seen:
        seen.advance(record("small"))
        time.sleep(0.15)
        seen.advance(record("large"))
    shown = out.getvalue()
    assert "4/9" in shown or width < 100
    assert "a [bold]run[/]" in shown or width < 100
    assert "accepted 3" in shown
    assert "agent 1" in shown or width < 100
