"""The program's handles on its zygote and on one worker."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Final

from speceyes_plugins.sandbox import wire
from speceyes_plugins.sandbox.parent.memory import private_bytes
from speceyes_plugins.sandbox.parent.refusal import SandboxRefusedError, refusing
from speceyes_plugins.sandbox.paths import Paths
from speceyes_plugins.sandbox.values import SandboxLimits

START_SECONDS: Final = 60.0
SPAWN_SECONDS: Final = 30.0
DEATH_SECONDS: Final = 5.0
PACKET: Final = 64 << 10
BOOT: Final = (
    "import sys; sys.path[:] = sys.argv[5:]; from speceyes_plugins.sandbox.worker import zygote; "
    "zygote.main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], bytes.fromhex(sys.argv[4]))"
)
ENVIRONMENT: Final = {
    "LANG": "C.UTF-8",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",  # sets print in the same order on every run
}
# What -I means, less ignoring PYTHON… variables: the environment above is all there is.
FLAGS: Final = ("-s", "-P", "-B")


class Worker:
    """One worker process and its channel."""

    def __init__(
        self, pid: int, pidfd: int, channel: wire.Channel, forked_with: int, *, locked: bool
    ) -> None:
        self.channel = channel
        self._forked_with = forked_with
        self._pid = pid
        self._pidfd = pidfd
        self._locked = locked

    def private_bytes(self) -> int:
        """Memory that it holds beyond what it was forked with, in bytes.

        Raises:
            OSError: it is gone, or /proc is not there.
        """
        return max(0, private_bytes(self._pid) - self._forked_with)

    def signal(self, number: int) -> None:
        """Send a signal; to a worker that is gone, nothing happens."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, number)

    def close(self) -> None:
        """Kill the worker, wait until it is gone, and close its descriptors."""
        if self._pidfd < 0:
            return
        self.signal(signal.SIGKILL)
        if not self._locked:  # without seccomp it may have children
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._pid, signal.SIGKILL)
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        poll.poll(DEATH_SECONDS * 1000)
        os.close(self._pidfd)
        self._pidfd = -1
        self.channel.close()


class Zygote:
    """The clean process that forks workers; safe to use from several threads."""

    def __init__(self, folder: Path, blob: bytes, *, locked: bool) -> None:
        self.locked = locked
        """Whether workers are isolated; without it only the time limit holds."""
        self._lock = threading.Lock()
        self._warm = 0
        """Memory that every worker is forked with, in bytes."""
        with refusing("a temporary file"):
            self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the process)
        with refusing("socketpair"):
            self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        path = [str(Path(entry).absolute()) for entry in sys.path if entry]
        arguments = [str(theirs.fileno()), str(os.getpid()), str(folder), blob.hex(), *path]
        try:
            with theirs:
                self._process = _start(arguments, theirs.fileno(), self._log)
        except SandboxRefusedError:
            self._socket.close()
            self._log.close()
            raise
        try:
            self._receive(START_SECONDS)
        except SandboxRefusedError:
            self.close()
            raise
        with contextlib.suppress(OSError):
            self._warm = private_bytes(self._process.pid)

    @property
    def pid(self) -> int:
        """The zygote's process id."""
        return self._process.pid

    def spawn(self, paths: Paths | None, limits: SandboxLimits) -> Worker:
        """Start a worker: for blocks in those places, or, without places, for decoding.

        Raises:
            SandboxRefusedError: the zygote is gone, or the worker could not be locked down.
        """
        with refusing("socketpair"):
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        request = {
            "limits": asdict(limits),
            "paths": asdict(paths) if paths else None,
            "locked": self.locked,
        }
        with theirs, self._lock:
            try:
                self._send(json.dumps(request).encode(), theirs.fileno())
                answer, pidfd = self._receive(SPAWN_SECONDS)
            except SandboxRefusedError:
                ours.close()
                raise
        ours.settimeout(0)
        channel = wire.Channel(ours.detach())
        worker = Worker(answer["pid"], pidfd, channel, self._warm, locked=self.locked)
        try:
            _await_ready(worker)
        except BaseException:
            worker.close()
            raise
        return worker

    def require_alive(self) -> None:
        """Raise where the zygote is gone.

        Raises:
            SandboxRefusedError: with what is known about its end.
        """
        if self._process.poll() is not None:
            raise SandboxRefusedError(self._end("it has ended"))

    def close(self) -> None:
        """End the zygote and with it every worker."""
        self._socket.close()
        try:
            self._process.wait(DEATH_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def _send(self, packet: bytes, descriptor: int) -> None:
        try:
            socket.send_fds(self._socket, [packet], [descriptor])
        except OSError as error:
            raise SandboxRefusedError(self._end(f"sendmsg: {error}")) from error

    def _receive(self, seconds: float) -> tuple[dict[str, Any], int]:
        """One packet, and the descriptor that came with it (-1: none)."""
        self._socket.settimeout(seconds)
        try:
            packet, passed, _, _ = socket.recv_fds(self._socket, PACKET, 1)
        except OSError as error:
            raise SandboxRefusedError(self._end(f"recvmsg: {error}")) from error
        answer: dict[str, Any] = json.loads(packet or b"{}")
        if "refused" in answer:
            raise SandboxRefusedError(f"the sandbox cannot start: {answer['refused']}")
        if not answer:
            raise SandboxRefusedError(self._end("it closed its connection"))
        return answer, passed[0] if passed else -1

    def _end(self, symptom: str) -> str:
        """What is known about a zygote that does not answer."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.5)
        if self._process.returncode is None:
            return f"the sandbox's zygote cannot be reached: {symptom}"
        self._log.seek(0)
        lines = self._log.read()[-2000:].decode("utf-8", "replace").strip().splitlines()
        last = f": {wire.printable(lines[-1])}" if lines else ""
        return f"the sandbox's zygote is gone (exit code {self._process.returncode}){last}"


def _start(arguments: list[str], descriptor: int, log: IO[bytes]) -> subprocess.Popen[bytes]:
    """The zygote's process, with one descriptor of ours.

    Raises:
        SandboxRefusedError: naming the call that the system refused.
    """
    try:
        return subprocess.Popen(  # noqa: S603  (our own interpreter and module)
            [sys.executable, *FLAGS, "-c", BOOT, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            env=ENVIRONMENT | _linker_path(),
            pass_fds=[descriptor],
            start_new_session=True,  # an interrupt at the terminal is the program's to handle
        )
    except OSError as error:
        if error.filename is not None:
            call = "execve" if error.filename == sys.executable else "open"
        else:  # between fork and execve, subprocess does not say which call failed
            call = "fork" if error.errno in {errno.EAGAIN, errno.ENOMEM} else "setsid or dup2"
        raise SandboxRefusedError(f"the sandbox cannot start: {call}: {error}") from error


def _await_ready(worker: Worker) -> None:
    try:
        frame = worker.channel.receive(wire.REPLY_BYTES, time.monotonic() + SPAWN_SECONDS)
        message = wire.decode(frame)
        text = wire.text_field(message, "text", wire.REPLY_BYTES)
    except wire.WireError as error:
        raise SandboxRefusedError(f"a sandbox worker did not start: {error}") from error
    if message.get("ready") is not True:
        raise SandboxRefusedError(f"a sandbox worker could not be locked down: {text}")


def _linker_path() -> dict[str, str]:
    """Where the dynamic linker finds an interpreter that was installed by environment modules."""
    value = os.environ.get("LD_LIBRARY_PATH")
    return {"LD_LIBRARY_PATH": value} if value else {}
