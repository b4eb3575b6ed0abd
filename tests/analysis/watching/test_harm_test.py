from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speceyes_cli.analysis.watching.harm_test import HarmTest, Watched, log_evidence
from speceyes_cli.core.errors import UsageError

promises = st.builds(
    Watched,
    max_loss=st.floats(0.001, 0.5),
    risk=st.floats(0.001, 0.5),
    share=st.floats(0.001, 1),
)


@given(promise=promises, largest=st.integers(1, 8), size=st.integers(1, 8), data=st.data())
def test_a_step_does_not_grow_on_average_while_the_promise_holds(
    promise: Watched, largest: int, size: int, data: st.DataObject
) -> None:
    """Whatever came before: samples of a cluster that share their fate are the worst case."""
    size = min(size, largest)
    watched = Watched(promise.max_loss, promise.risk, promise.share, largest)
    before = data.draw(st.lists(st.integers(0, 1), max_size=5))
    rate = data.draw(st.floats(0, watched.rate))

    def after(found: int) -> float:
        test = HarmTest(watched)
        for one in before:
            test.add(one)
        test.add(found, size)
        return test.evidence

    start = HarmTest(watched)
    for one in before:
        start.add(one)
    mean = rate * after(size) + (1 - rate) * after(0)
    assert mean <= start.evidence * (1 + 1e-9)
    assert after(0) > 0


@given(promise=promises, found=st.lists(st.booleans(), max_size=40))
def test_samples_of_their_own_have_a_closed_form(promise: Watched, found: list[bool]) -> None:
    test = HarmTest(promise)
    looks = [1.0]
    for one in found:
        test.add(int(one))
        looks.append(test.evidence)
    whole = float(log_evidence(promise, len(found), sum(found)))
    assert math.log(test.evidence) == pytest.approx(min(whole, 700), abs=1e-6)
    assert test.highest == max(looks)
    assert test.alarmed == (max(looks) >= promise.alarm_at)
    assert (test.samples, test.found) == (len(found), sum(found))


def test_an_alarm_is_not_taken_back() -> None:
    test = HarmTest(Watched(max_loss=0.02, risk=0.1, share=1))
    for _ in range(3):
        test.add(1)
    assert test.alarm_after == 2
    for _ in range(2_000):
        test.add(0)
    assert test.evidence < 1
    assert test.alarmed


@pytest.mark.parametrize("share", [0, -0.1, 1.5, math.nan])
def test_an_audit_share_is_above_0_and_at_most_1(share: float) -> None:
    with pytest.raises(UsageError, match="--audit is a share above 0"):
        Watched(max_loss=0.02, risk=0.1, share=share)


def test_more_is_found_than_there_are_samples() -> None:
    with pytest.raises(ValueError, match="2 of 1 samples"):
        HarmTest(Watched(0.02, 0.1, 1)).add(2)
