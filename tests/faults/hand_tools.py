"""What the scripts run by hand share: the example plugin, and processes that are watched."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import EXAMPLE, install_plugin

_SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER of <linux/prctl.h>."""


def install_example(folder: Path) -> dict[str, str]:
    """Install the example plugin; gives an environment in which the program finds it."""
    site = folder / "site"
    site.mkdir()
    install_plugin(EXAMPLE, site)
    sys.path.insert(0, str(site))
    return {
        **os.environ,
        "PYTHONPATH": str(site),
        "OMP_NUM_THREADS": "1",
        "TMPDIR": str(folder / "tmp"),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }


def start(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    """The real program; what it prints can be read from its error stream."""
    Path(environment["TMPDIR"]).mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "speceyes_cli", *arguments],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill_after(process: subprocess.Popen[str], seconds: float) -> bool:
    """SIGKILL it after some time; False when it had ended in order before."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        _, told = process.communicate(timeout=seconds)
        assert process.returncode == 0, told
        return False
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return True


def adopt_orphans() -> None:
    """Processes whose parent died become children of this one, so that it can see them."""
    if ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def wait_for_orphans(seconds: float) -> list[int]:
    """Wait until every adopted process has ended; gives those that have not."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not (left := list(children())):
            return []
        time.sleep(0.02)
    return left


def children() -> Iterator[int]:
    """Processes whose parent this one is."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = status.read_text().rpartition(")")[2].split()
            if int(fields[1]) == os.getpid():
                yield int(status.parent.name)
