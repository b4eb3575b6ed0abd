"""A worker: forked from the zygote, locked down, then driven by messages from the parent."""

from __future__ import annotations

import io
import os
import random
import sys
from typing import Any, Final, NoReturn

import numpy as np
from PIL import Image

from speceyes_plugins.sandbox import wire
from speceyes_plugins.sandbox.paths import Paths
from speceyes_plugins.sandbox.values import SandboxLimits
from speceyes_plugins.sandbox.worker import block, lockdown

CHANNEL: Final = 3
FORMATS: Final = ("PNG", "JPEG", "BMP", "WEBP", "GIF", "TIFF", "PPM")


def live(descriptor: int, request: dict[str, Any], zygote: int, blob: bytes) -> NoReturn:
    """Be a worker until the connection closes; never returns to the zygote's code."""
    status = 1
    try:
        channel = wire.Channel(descriptor)
        limits = SandboxLimits(**request["limits"])
        paths = Paths(**request["paths"]) if request["paths"] else None
        try:
            _only_channel(channel)
            with lockdown.step("looking for libraries"):
                reads = lockdown.library_folders()
            _settle(paths)
            if request["locked"]:
                folder, picture = (paths.data, paths.picture) if paths else (None, None)
                plan = lockdown.LockdownPlan(zygote, folder, picture, reads, blob, limits)
                lockdown.lock_down(plan)
        except lockdown.LockdownError as error:
            channel.send(wire.encode({"ready": False, "text": str(error)}))
            os._exit(1)
        channel.send(wire.encode({"ready": True, "text": ""}))
        if paths:
            _serve_blocks(channel, paths, limits)
        else:
            _serve_pictures(channel, limits)
        status = 0
    except wire.EndedError:
        status = 0
    finally:
        os._exit(status)


def _only_channel(channel: wire.Channel) -> None:
    """Close every descriptor but the channel's, which becomes 3; 0, 1 and 2 lead nowhere."""
    with lockdown.step(f"opening {os.devnull}"):
        nowhere = os.open(os.devnull, os.O_RDWR)
    with lockdown.step("dup2"):
        for standard in (0, 1, 2):
            os.dup2(nowhere, standard)
        os.dup2(channel.descriptor, CHANNEL, inheritable=False)
    channel.descriptor = CHANNEL
    os.closerange(CHANNEL + 1, os.sysconf("SC_OPEN_MAX"))


def _settle(paths: Paths | None) -> None:
    """A session of its own, a private mask, no environment, the same dice for every worker."""
    with lockdown.step("setsid"):
        os.setsid()
    with lockdown.step("umask"):
        os.umask(0o077)
    with lockdown.step("chdir"):
        os.chdir(paths.output if paths else "/")
    os.environ.clear()
    sys.argv = ["block"]
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  (scripts use the legacy generator)
    if paths:
        block.prepare_environment(paths)


def _serve_blocks(channel: wire.Channel, paths: Paths, limits: SandboxLimits) -> None:
    interpreter = block.Interpreter(paths, limits.text_bytes)
    while True:
        request = wire.decode(channel.receive(wire.REQUEST_BYTES))
        outcome = interpreter.run(request["source"])
        channel.send(wire.encode({"id": request["id"], **outcome._asdict()}))


def _serve_pictures(channel: wire.Channel, limits: SandboxLimits) -> None:
    """Decode pictures: for every frame of file bytes a header, then raw RGB rows."""
    while True:
        data = channel.receive(limits.file_bytes)
        kind, pixels, size = _decode(data, limits)
        header = {"kind": kind, "width": size[0], "height": size[1]}
        channel.send(wire.encode(header))
        if not kind:
            channel.send(pixels)


def _decode(data: bytes, limits: SandboxLimits) -> tuple[str, bytes, tuple[int, int]]:
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            size = picture.size
            if size[0] * size[1] > limits.pixels:
                return "picture_too_large", b"", size
            return "", picture.convert("RGB").tobytes(), size
    except (Image.DecompressionBombError, MemoryError):
        return "picture_too_large", b"", (0, 0)
    except Exception:  # noqa: BLE001  (a hostile file may raise anything in a decoder)
        return "not_a_picture", b"", (0, 0)
