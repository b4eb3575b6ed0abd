"""SIGTERM and SIGHUP end a command as Ctrl-C does."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

import typer

STOP_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
"""A scheduler or container stops the program, or its terminal is gone."""


@dataclass
class Received:
    """Which signal came, if any."""

    number: int | None = None

    @property
    def exit_code(self) -> int:
        """128 and the signal's number, as shells do; 130 for Ctrl-C."""
        return 128 + (self.number or signal.SIGINT)


@contextlib.contextmanager
def stop_signals() -> Iterator[Received]:
    """Within the block these signals raise `KeyboardInterrupt`; it is told which one came.

    A signal that is ignored, as SIGHUP is under nohup, stays ignored. Once the terminal is gone
    nothing can be written to it: that ends the command too, by the signal's exit code.
    """
    received = Received()

    def stop(number: int, _frame: FrameType | None) -> None:
        received.number = number
        raise KeyboardInterrupt

    before = {}
    if threading.current_thread() is threading.main_thread():
        taken = (each for each in STOP_SIGNALS if signal.getsignal(each) is not signal.SIG_IGN)
        before = {each: signal.signal(each, stop) for each in taken}
    try:
        yield received
    except (OSError, SystemExit):  # rich answers a broken pipe by leaving
        if received.number is None:
            raise
        raise typer.Exit(received.exit_code) from None
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
