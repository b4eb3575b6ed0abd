"""The Python API over the example plugin's scripted models, in an empty folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from speceyes_cli.api.settings import installed
from speceyes_cli.host.manager import Host


@pytest.fixture(autouse=True)
def notebook(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A working directory of its own, and the plugins that are installed now."""
    assert host.agents.get("looker")
    monkeypatch.chdir(tmp_path)
    installed.cache_clear()
    yield
    installed.cache_clear()
