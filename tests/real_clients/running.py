"""A client's program while it runs: jobs go in, what came of them comes out."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import environment
from asked import Messages
from client_matrix import Client

PROGRAMS = Path(__file__).parent / "programs"


class Running:
    """A program that waits for jobs."""

    def __init__(self, client: Client, process: subprocess.Popen[str], said: IO[str]) -> None:
        self.client = client
        self._process = process
        self._said = said

    def do(self, job: str, messages: Messages = ()) -> dict[str, Any]:
        """What came of one job."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps({"job": job, "messages": list(messages)}) + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        told: dict[str, Any] = json.loads(line) if line else {"failed": "its program ended"}
        if "failed" in told:
            self._said.seek(0)
            raise AssertionError(f"{told['failed']}\n{self._said.read()[-4000:]}")
        return told


def command(client: Client) -> list[str]:
    """The command of a client's program; its environment is made where there is none."""
    name = f"{Path(client.program).stem}-{client.version}"
    if client.program.endswith(".py"):
        python = environment.python_client(name, *client.packages).python
        return [python, str(PROGRAMS / client.program)]
    folder = environment.npm_client(name, *client.packages)
    for file in PROGRAMS.glob("*.mjs"):
        shutil.copy(file, folder)  # modules are looked for above the file that imports them
    return [str(folder / "bin" / "node"), str(folder / client.program)]


@contextlib.contextmanager
def running(client: Client, url: str, key: str) -> Iterator[Running]:
    """The client's program, ended with the block."""
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [*command(client), url, key],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        )
        with process:
            try:
                yield Running(client, process, said)
            finally:
                assert process.stdin is not None
                process.stdin.close()  # no more jobs: it ends by itself
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()
