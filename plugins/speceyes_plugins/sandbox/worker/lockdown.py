"""Give up every power, in an order in which no step needs what an earlier one took away.

A worker says "ready" only after it tried forbidden things itself and saw them fail.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import resource
import signal
import socket
import sys
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from speceyes_plugins.sandbox.values import SandboxLimits
from speceyes_plugins.sandbox.worker import landlock, syscalls

PR_SET_PDEATHSIG: Final = 1
PR_SET_DUMPABLE: Final = 4
PR_SET_NO_NEW_PRIVS: Final = 38
PR_CAP_AMBIENT: Final = 47
PR_CAP_AMBIENT_CLEAR_ALL: Final = 4
CAPABILITY_VERSION: Final = 0x20080522

DENIED: Final = frozenset({errno.EPERM, errno.EACCES})


class LockdownError(Exception):
    """A step failed, or a forbidden action worked: this worker must not run anything."""


@dataclass(frozen=True, slots=True)
class LockdownPlan:
    """What one worker keeps."""

    zygote: int
    """The process id of its parent, whose death must be its own."""
    folder: str | None
    """The one folder to work in; a decoder has none."""
    picture: str | None
    """The one file to read beside the libraries."""
    reads: tuple[str, ...]
    """Library folders."""
    blob: bytes
    """The system-call filter."""
    limits: SandboxLimits


def lock_down(plan: LockdownPlan) -> None:
    """Every step, in order; descriptors were closed and the folder entered before.

    Raises:
        LockdownError: naming the step that failed.
    """
    steps: tuple[tuple[str, Callable[[], None]], ...] = (
        ("parent-death signal", lambda: _die_with(plan.zygote)),
        ("non-dumpable", lambda: _prctl(PR_SET_DUMPABLE, 0)),
        ("resource limits", lambda: _limit(plan.limits)),
        ("single thread", _assert_single_thread),
        ("capabilities", _drop_capabilities),
        ("no new privileges", lambda: _prctl(PR_SET_NO_NEW_PRIVS, 1)),
        ("landlock", lambda: _landlock(plan)),
        ("seccomp", lambda: syscalls.install(plan.blob)),
        ("self-test", lambda: _self_test(plan)),
    )
    for name, action in steps:
        with step(name):
            action()


@contextlib.contextmanager
def step(name: str) -> Iterator[None]:
    """Run one step.

    Raises:
        LockdownError: the system refused it; the message names the step.
    """
    try:
        yield
    except (OSError, ValueError) as error:
        raise LockdownError(f"{name}: {error}") from error


def library_folders() -> tuple[str, ...]:
    """Folders a script may read: the standard library, site-packages, system libraries, fonts."""
    places = sysconfig.get_paths()
    found = [places["stdlib"], places["platstdlib"], "/lib", "/lib64", "/usr/lib", "/usr/lib64"]
    found += ["/usr/local/lib", "/usr/share/fonts", "/usr/share/zoneinfo", "/etc/ld.so.cache"]
    found.append(f"{sys.base_prefix}/lib")
    for name in ("numpy", "PIL", "cv2"):
        module = sys.modules.get(name)
        if module is not None and module.__file__:
            package = Path(module.__file__).parent
            packages = package.parent.name in {"site-packages", "dist-packages"}
            found.append(str(package.parent if packages else package))
    real = dict.fromkeys(os.path.realpath(path) for path in found)
    return tuple(path for path in real if path != "/" and Path(path).exists())


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _die_with(parent: int) -> None:
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise OSError(errno.ESRCH, "the zygote died meanwhile")


def _limit(limits: SandboxLimits) -> None:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    space = pages * resource.getpagesize() + limits.memory
    for which, value in (
        (resource.RLIMIT_CPU, limits.cpu_seconds),
        (resource.RLIMIT_AS, space),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_NOFILE, limits.descriptors),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
    ):
        _, most = resource.getrlimit(which)
        allowed = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(which, (allowed, allowed))


def _assert_single_thread() -> None:
    """Landlock and seccomp bind the calling thread only."""
    threads = len(list(Path("/proc/self/task").iterdir()))
    if threads != 1:
        raise OSError(errno.EBUSY, f"the worker has {threads} threads instead of one")


class _CapabilityHeader(ctypes.Structure):
    _fields_: ClassVar = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _CapabilitySets(ctypes.Structure):
    _fields_: ClassVar = [("words", ctypes.c_uint32 * 6)]


def _drop_capabilities() -> None:
    with contextlib.suppress(OSError):  # kernels without ambient capabilities
        _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    libc = ctypes.CDLL(None, use_errno=True)
    header = _CapabilityHeader(CAPABILITY_VERSION, 0)
    if libc.capset(ctypes.byref(header), ctypes.byref(_CapabilitySets())) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _landlock(plan: LockdownPlan) -> None:
    files = (plan.picture,) if plan.picture else ()
    folders = tuple(path for path in plan.reads if Path(path).is_dir())
    single = tuple(path for path in plan.reads if not Path(path).is_dir())
    landlock.restrict(folders, files + single, plan.folder)


def _self_test(plan: LockdownPlan) -> None:
    """Try what must fail, then what must work."""
    outside = str(Path(plan.folder).parent / "probe") if plan.folder else "/probe"
    forbidden: tuple[tuple[str, Callable[[], object]], ...] = (
        ("listing /", lambda: list(Path("/").iterdir())),
        ("reading /proc", lambda: os.open("/proc/self/status", os.O_RDONLY)),
        ("writing outside", lambda: os.open(outside, os.O_CREAT | os.O_WRONLY, 0o600)),
        ("a unix socket", lambda: socket.socket(socket.AF_UNIX)),
        ("an internet socket", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)),
        ("a signal to the parent", lambda: os.kill(plan.zygote, 0)),
        ("running a program", lambda: os.execv("/nonexistent", ["nonexistent"])),  # noqa: S606  (a probe)
        ("forking", _fork),
    )
    for name, action in forbidden:
        try:
            action()
        except OSError as error:
            if error.errno in DENIED:
                continue
            raise LockdownError(f"self-test: {name} failed for another reason: {error}") from error
        raise LockdownError(f"self-test: {name} was not stopped")
    if plan.picture:
        os.close(os.open(plan.picture, os.O_RDONLY))
    if plan.folder:
        probe = f"{plan.folder}/.probe"
        os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        Path(probe).unlink()


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)
