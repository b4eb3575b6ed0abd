"""LiteLLM's proxy in front of the endpoint, asked by openai for Python."""

from __future__ import annotations

import importlib.metadata
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jobs import KEY, MODEL, SECONDS, URL, Messages, work
from openai_python import make_jobs

PROXY_KEY = "sk-of-the-proxy"


def version(_messages: Messages) -> dict[str, Any]:
    """The installed version."""
    return {"version": importlib.metadata.version("litellm")}


@contextmanager
def proxy(folder: Path) -> Iterator[str]:
    """The address of a proxy that runs."""
    behind = {"model": f"openai/{MODEL}", "api_base": URL, "api_key": KEY}
    config = {
        "model_list": [{"model_name": MODEL, "litellm_params": behind}],
        "general_settings": {"master_key": PROXY_KEY},
    }
    (folder / "proxy.yaml").write_text(json.dumps(config))  # JSON is YAML
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    program = [str(Path(sys.executable).with_name("litellm")), "--config", "proxy.yaml"]
    process = subprocess.Popen(
        [*program, "--host", "127.0.0.1", "--port", port],
        cwd=folder,
        env={**os.environ, "LITELLM_TELEMETRY": "False", "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/health/liveliness")
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(20)


def wait_for(address: str) -> None:
    """Until something answers there."""
    ends = time.monotonic() + 2 * SECONDS
    while True:
        try:
            urllib.request.urlopen(address, timeout=5).close()  # noqa: S310 - loopback
        except OSError:
            if time.monotonic() > ends:
                raise
            time.sleep(0.2)
        else:
            return


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made, proxy(Path(made)) as address:
        work({**make_jobs(address, PROXY_KEY), "version": version})
