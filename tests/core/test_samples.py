from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from speceyes_cli.core.samples import trajectory_key

NAMES = st.text("ab/%2F", max_size=5)


@given(st.tuples(NAMES, NAMES), st.tuples(NAMES, NAMES))
def test_no_two_samples_of_a_run_share_a_key(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert (trajectory_key(*one) == trajectory_key(*other)) == (one == other)
