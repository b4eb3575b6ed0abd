"""Two runs to gather: a baseline, and the method beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result


@pytest.fixture
def runs(evaluate: Callable[..., Result], tmp_path: Path) -> Path:
    for method in ("baseline", "speceyes"):
        assert evaluate("--method", method, "--large", "scripted?delay=0.01").exit_code == 0
    return tmp_path / "runs"
