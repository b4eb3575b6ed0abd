from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from speceyes_cli.core.pictures.memory_budget import MemoryBudget


def test_pictures_that_are_decoded_at_once_share_a_budget() -> None:
    budget = MemoryBudget(100)
    inside = highest = 0
    lock = threading.Lock()

    def use(size: int) -> None:
        nonlocal inside, highest
        with budget.reserve(size):
            with lock:
                inside += size
                highest = max(highest, inside)
            time.sleep(0.001)
            with lock:
                inside -= size

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(use, [40] * 60))
        assert highest <= 100
        list(pool.map(use, [500, 30, 500, 30]))
    assert highest == 500, "one that is too large is let in alone"
