"""Start a server on a free loopback port, and end it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from typing import NamedTuple

SETTINGS = {
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
}
"""What servers find in their environment."""
START_SECONDS = 240


class StartedServer(NamedTuple):
    """A server that runs."""

    address: str
    """Without a path."""
    process: subprocess.Popen[bytes]


@contextlib.contextmanager
def started(command: Sequence[str], path: str, key: str = "") -> Iterator[StartedServer]:
    """The server, once it answers at `path`; ended with the block."""
    port = free_port()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            env={**os.environ, **SETTINGS},
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        try:
            address = f"http://127.0.0.1:{port}"
            if not _answers(process, address + path, key):
                said.seek(0)
                raise RuntimeError(f"{command[0]} did not start:\n{said.read()[-4000:]}")
            yield StartedServer(address, process)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_port() -> int:
    """A loopback port that nobody listens at."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def _answers(process: subprocess.Popen[bytes], url: str, key: str) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    headers = {"Authorization": f"Bearer {key}"}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - loopback
    ends = time.monotonic() + START_SECONDS
    while time.monotonic() < ends and process.poll() is None:
        with contextlib.suppress(OSError), direct.open(request, timeout=5):
            return True
        time.sleep(0.5)
    return False
