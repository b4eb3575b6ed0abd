from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from speceyes_cli.core.chat import Role
from speceyes_cli.core.scheduling.batching import PATIENCE, Waiting, next_batch

MOST: dict[Role, int] = {"small": 5, "large": 3}
ASKS = st.lists(
    st.builds(
        Waiting,
        role=st.sampled_from(["small", "large"]),
        phase=st.sampled_from(["draft", "agent"]),
        turn=st.integers(0, 2),
        alone=st.booleans(),
        overtaken=st.integers(0, PATIENCE),
    ),
    max_size=30,
)


@given(ASKS)
def test_a_batch_is_of_one_kind_and_no_larger_than_its_model_takes(asks: list[Waiting]) -> None:
    batch = next_batch(asks, MOST)
    assert bool(batch) == bool(asks)
    assert batch == sorted(set(batch))
    chosen = [asks[place] for place in batch]
    assert len({(ask.role, ask.phase) for ask in chosen}) <= 1
    assert all(len(batch) <= MOST[ask.role] for ask in chosen)
    assert len(batch) == 1 or not any(ask.alone for ask in chosen)


@given(ASKS)
def test_who_was_overtaken_too_often_is_not_overtaken_by_a_fuller_batch(
    asks: list[Waiting],
) -> None:
    batch = next_batch(asks, MOST)
    first = next((place for place, ask in enumerate(asks) if ask.overtaken >= PATIENCE), None)
    if first is not None:
        late = asks[first]
        kind = [place for place in batch if asks[place][:2] == late[:2]]
        assert kind or any(asks[place].overtaken >= PATIENCE for place in batch)


def test_a_turn_that_fills_a_batch_goes_alone_and_others_fill_up() -> None:
    first, second = (Waiting("large", "agent", turn, False, 0) for turn in (0, 1))
    assert next_batch([second, first, first, first], MOST) == [1, 2, 3]
    assert next_batch([second, first, first], MOST) == [0, 1, 2]
    assert next_batch([second, second, first], MOST) == [0, 1, 2]


def test_one_that_waited_long_enough_goes_before_a_full_batch() -> None:
    full = [Waiting("large", "agent", 0, False, 0)] * 3
    for overtaken, wanted in ((PATIENCE - 1, [1, 2, 3]), (PATIENCE, [0])):
        assert next_batch([Waiting("large", "score", 0, False, overtaken), *full], MOST) == wanted


def test_of_batches_as_full_the_one_of_shorter_replies_goes_first() -> None:
    agent = Waiting("large", "agent", 0, alone=False, overtaken=0, longest=512)
    screen = agent._replace(phase="screen", longest=10)
    assert next_batch([agent, agent, screen, screen], MOST) == [2, 3]
    assert next_batch([agent, agent, screen], MOST) == [0, 1]
    patient = agent._replace(overtaken=PATIENCE)
    assert next_batch([agent, patient, screen, screen], MOST) == [0, 1]
