from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from speceyes_cli.analysis.calibration import certify, gather_units, grid
from speceyes_cli.analysis.loss_bounds import loss_bounds
from speceyes_cli.core.errors import DataError


@given(
    samples=st.lists(
        st.tuples(st.integers(0, 60), st.floats(0, 1), st.booleans()), min_size=1, max_size=60
    ),
    apart=st.booleans(),
    threshold=st.sampled_from(grid()),
    risk=st.sampled_from([0.1, 0.05, 0.01]),
)
def test_the_bound_is_what_a_certificate_could_promise(
    samples: list[tuple[int, float, bool]], apart: bool, threshold: float, risk: float
) -> None:
    units = gather_units(
        (str(place if apart else cluster), value, harmful)
        for place, (cluster, value, harmful) in enumerate(samples)
    )
    [bound] = loss_bounds(units, [threshold], risk)
    assert 0 < bound <= 1
    if bound + 1e-6 < 1:
        certified = certify(units, bound + 1e-6, risk)
        assert certified is not None
        assert certified.threshold <= threshold
    if bound - 2e-4 > 0:
        with contextlib.suppress(DataError):  # too few samples for any threshold
            certified = certify(units, bound - 2e-4, risk)
            assert certified is None or certified.threshold > threshold
    every = loss_bounds(units, grid(), risk)
    assert every == sorted(every)
    assert every[grid().index(threshold)] >= bound
