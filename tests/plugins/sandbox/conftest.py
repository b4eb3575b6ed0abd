"""A sandbox shared by a file's tests, one without isolation, and a world to attack."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image
from speceyes_plugins.sandbox import Sandbox, SandboxLimits, SandboxRefusedError

LIMITS = SandboxLimits(seconds=3.0, folder_bytes=8 << 20, folder_entries=500)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    try:
        opened = Sandbox(limits=LIMITS)
    except SandboxRefusedError as error:
        pytest.skip(str(error))
    with opened:
        yield opened


@pytest.fixture(scope="module")
def unsafe() -> Iterator[Sandbox]:
    with Sandbox(backend="unsafe-subprocess", limits=LIMITS) as opened:
        yield opened


@pytest.fixture
def picture() -> Image.Image:
    return Image.linear_gradient("L").resize((300, 200)).convert("RGB")


@dataclass(frozen=True, slots=True)
class World:
    """What attacks aim at; `facts` is Python source that names it."""

    folder: Path
    victim: Path
    facts: str

    def untouched(self) -> bool:
        names = sorted(path.name for path in self.folder.iterdir())
        kept = names == ["listening", "secret", "secret.py", "victim"]
        return kept and self.victim.read_text(encoding="utf-8") == "precious"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    folder = tmp_path / "world"
    folder.mkdir()
    (folder / "secret").write_text("the secret", encoding="utf-8")
    (folder / "secret.py").write_text("VALUE = 'the secret'", encoding="utf-8")
    victim = folder / "victim"
    victim.write_text("precious", encoding="utf-8")
    monkeypatch.chdir(folder)  # a unix socket's path must be short
    abstract = f"\0speceyes-{os.getpid()}-{os.urandom(4).hex()}"
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as unix,
        socket.socket(socket.AF_UNIX) as hidden,
    ):
        udp.bind(("127.0.0.1", 0))
        unix.bind("listening")
        unix.listen()
        hidden.bind(abstract)
        hidden.listen()
        facts = {
            "FOLDER": str(folder),
            "SECRET": str(folder / "secret"),
            "VICTIM": str(victim),
            "MARKER": str(folder / "marker"),
            "PROGRAM": os.getpid(),
            "TCP": tcp.getsockname()[1],
            "UDP": udp.getsockname()[1],
            "UNIX": "listening",
            "ABSTRACT": abstract,
        }
        yield World(folder, victim, "".join(f"{k} = {v!r}\n" for k, v in facts.items()))
