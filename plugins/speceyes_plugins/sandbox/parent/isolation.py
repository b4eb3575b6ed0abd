"""What this machine offers to isolate a worker, and refusal where a layer is missing."""

from __future__ import annotations

import os
import platform
import signal
import sys

from speceyes_plugins.sandbox.parent import filters
from speceyes_plugins.sandbox.parent.refusal import SandboxRefusedError
from speceyes_plugins.sandbox.values import Layer
from speceyes_plugins.sandbox.worker import landlock, syscalls


def landlock_abi() -> int:
    """The kernel's Landlock ABI; 0 where it is missing."""
    return landlock.version() if sys.platform == "linux" else 0


def found() -> tuple[Layer, ...]:
    """Every layer that the sandbox needs, as found on this machine; starts nothing."""
    system = f"{platform.system()} {platform.release()} on {platform.machine()}"
    if sys.platform != "linux":
        return (Layer("linux", found=False, detail=f"{system}; the sandbox needs Linux 5.13"),)
    abi = landlock_abi()
    filtering = syscalls.available()
    return (
        Layer("linux", found=True, detail=system),
        Layer("pidfd", *_pidfd()),
        Layer(
            "landlock",
            found=abi > 0,
            detail=f"ABI {abi}" if abi else "not in this kernel, switched off (lsm=), or forbidden",
        ),
        Layer(
            "seccomp",
            found=filtering,
            detail="filters available" if filtering else "this kernel cannot filter system calls",
        ),
        Layer("filter", *_filter()),
    )


def require() -> None:
    """Raise where a layer is missing.

    Raises:
        SandboxRefusedError: naming every missing layer.
    """
    missing = [f"{layer.name} ({layer.detail})" for layer in found() if not layer.found]
    if missing:
        raise SandboxRefusedError(
            f"model-written code cannot be isolated on this machine: missing {'; '.join(missing)}. "
            "Nothing was run. `speceyes doctor` shows each layer; --agent-option "
            "sandbox=unsafe-subprocess runs the code without isolation, with your rights"
        )


def _pidfd() -> tuple[bool, str]:
    try:
        descriptor = os.pidfd_open(os.getpid())
    except (OSError, AttributeError):
        return False, "this kernel has no process descriptors (Linux 5.3 has)"
    try:
        signal.pidfd_send_signal(descriptor, 0)
    except OSError:
        return False, "signals through process descriptors are forbidden here"
    finally:
        os.close(descriptor)
    return True, "process descriptors available"


def _filter() -> tuple[bool, str]:
    try:
        blob = filters.load()
    except SandboxRefusedError as error:
        return False, str(error)
    return True, f"{len(blob) // syscalls.INSTRUCTION_BYTES} instructions, hash as shipped"
