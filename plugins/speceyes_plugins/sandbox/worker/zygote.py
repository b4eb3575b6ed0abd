"""The zygote: a clean, single-threaded process with warm libraries that forks workers.

Started by exec with an empty environment and one socket. It ends, and takes its workers and the
sandbox's folder along, when that socket closes or the program dies.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import warnings
from typing import Any, Final

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

from speceyes_plugins.sandbox import folders
from speceyes_plugins.sandbox.worker import lockdown
from speceyes_plugins.sandbox.worker import main as worker

PACKET: Final = 64 << 10
LIBRARIES: Final = (np, cv2, Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps)


def main(descriptor: int, program: int, folder: str, blob: bytes) -> None:
    """Serve spawn requests until the program is gone.

    Args:
        descriptor: the socket to the program, SOCK_SEQPACKET.
        program: the program's process id.
        folder: the folder of all sessions, removed at the end.
        blob: the system-call filter that workers install.
    """
    control = socket.socket(fileno=descriptor)
    children: dict[int, int] = {}
    try:
        with lockdown.step("chdir"):
            os.chdir("/")
        warm()
        serve(control, program, children, blob)
    except lockdown.LockdownError as error:
        refuse(control, error)
    finally:
        for pidfd in children.values():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        for pid in children:
            os.waitpid(pid, 0)
        folders.remove_tree(folder)


def warm() -> None:
    """Have one thread, and every library and codec loaded before the first fork."""
    warnings.simplefilter("ignore")  # a script's own; the worker's output is the script's
    cv2.setNumThreads(0)
    Image.init()
    Image.MAX_IMAGE_PIXELS = 200_000_000
    gc.collect()
    gc.freeze()  # keeps the collector from touching, hence copying, shared pages


def serve(control: socket.socket, program: int, children: dict[int, int], blob: bytes) -> None:
    """The loop: one packet per request, one packet and a pidfd per answer."""
    poll = select.poll()
    with lockdown.step("pidfd_open"):
        program_fd = os.pidfd_open(program)
    if os.getppid() != program:
        raise lockdown.LockdownError("getppid: the program has ended, or is not the parent")
    poll.register(control, select.POLLIN)
    poll.register(program_fd, select.POLLIN)
    control.send(json.dumps({"started": os.getpid()}).encode())
    while True:
        ready = {descriptor for descriptor, _ in poll.poll()}
        for pid, pidfd in list(children.items()):
            if pidfd in ready:
                os.waitpid(pid, 0)
                poll.unregister(pidfd)
                os.close(children.pop(pid))
        if program_fd in ready:
            return
        if control.fileno() not in ready:
            continue
        packet, passed, _, _ = socket.recv_fds(control, PACKET, 1)
        if not packet:
            return
        try:
            pid, pidfd = spawn(control, json.loads(packet), passed[0], blob)
        except lockdown.LockdownError as error:
            refuse(control, error)
            continue
        finally:
            os.close(passed[0])
        children[pid] = pidfd
        poll.register(pidfd, select.POLLIN)
        socket.send_fds(control, [json.dumps({"pid": pid}).encode()], [pidfd])


def spawn(
    control: socket.socket, request: dict[str, Any], descriptor: int, blob: bytes
) -> tuple[int, int]:
    """Fork one worker; returns its process id and a pidfd."""
    zygote = os.getpid()
    with lockdown.step("fork"):
        pid = os.fork()
    if pid == 0:
        control.detach()
        worker.live(descriptor, request, zygote, blob)
    with lockdown.step("pidfd_open"):
        return pid, os.pidfd_open(pid)


def refuse(control: socket.socket, error: lockdown.LockdownError) -> None:
    """Tell the program which step the system refused; one that is gone need not know."""
    with contextlib.suppress(OSError):
        control.send(json.dumps({"refused": str(error)}).encode())
