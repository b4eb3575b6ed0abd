"""The sizing page's simulation, where the answer is known."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "sizing.py"


@pytest.fixture(scope="module")
def sizing() -> Any:
    spec = importlib.util.spec_from_file_location("sizing", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["sizing"] = module
    spec.loader.exec_module(module)
    return module


def cascade(sizing: Any, alpha: float = 0.5, beta: float = 0.5) -> Any:
    costs = {
        "screen": sizing.Cost(0.1, 0.02),
        "draft": sizing.Cost(0.05, 0.01),
        "agent": sizing.Cost(1.0, 0.1),
    }
    return sizing.Cascade(alpha, beta, [2, 3], costs, batch=4)


def test_one_user_waits_for_nobody(sizing: Any) -> None:
    told = sizing.simulate(cascade(sizing, 1.0, 1.0), sizing.Load(1, 0.0), 100)
    assert told.latencies == pytest.approx([0.12 + 0.06] * len(told.latencies))
    assert told.rate == pytest.approx(1 / 0.18, rel=0.02)


@pytest.mark.parametrize("devices", [1, 3])
@pytest.mark.parametrize("users", [10, 200])
def test_simulation_keeps_to_the_bounds_and_reaches_them(
    sizing: Any, users: int, devices: int
) -> None:
    load = sizing.Load(users, 5.0, devices)
    most, _ = sizing.bounds(cascade(sizing), load)
    told = sizing.simulate(cascade(sizing), load, 5_000)
    assert told.rate <= most * 1.05
    if users == 200:  # full batches: the devices are the limit
        assert told.rate >= most * 0.9


def test_what_the_gate_accepts_makes_room(sizing: Any) -> None:
    load = sizing.Load(100, 1.0)
    shy, bold = (sizing.simulate(cascade(sizing, a), load, 2_000).rate for a in (0.1, 0.9))
    assert bold > 1.2 * shy
