"""One trajectory in the sandbox: its worker, its folder, its blocks."""

from __future__ import annotations

import logging
import secrets
import signal
import time
from pathlib import Path
from typing import Final, NamedTuple, get_args

from PIL import Image

from speceyes_cli.plugin import Closeable
from speceyes_plugins.sandbox import folders, wire
from speceyes_plugins.sandbox.parent.memory import MemoryBudget
from speceyes_plugins.sandbox.parent.process import Worker, Zygote
from speceyes_plugins.sandbox.parent.results import Pictures, ResultError
from speceyes_plugins.sandbox.paths import Paths
from speceyes_plugins.sandbox.values import OUTPUT, BlockResult, Failure, Kind, SandboxLimits, State
from speceyes_plugins.sandbox.worker import block

log = logging.getLogger(__name__)

KINDS: Final = frozenset(get_args(Kind))
NUMBERS: Final = 1 << 53  # what JSON numbers hold everywhere
LOST: Final = " Variables of earlier blocks are lost."
PUT_AWAY: Final = "variables of earlier blocks were lost, to keep all sessions within their memory"


class Settings(NamedTuple):
    """What every session of a sandbox shares."""

    limits: SandboxLimits
    state: State


class _Outcome(NamedTuple):
    error: Failure | None
    stdout: str
    repairs: tuple[str, ...]


class _QuotaError(Exception):
    """The folder grew beyond its quota while the block ran."""


class Session(Closeable):
    """The blocks of one trajectory. Made by `Sandbox.open`; belongs to one thread at a time."""

    def __init__(
        self, zygote: Zygote, memory: MemoryBudget, folder: Path, paths: Paths, settings: Settings
    ) -> None:
        self._zygote = zygote
        self._memory = memory
        self._folder = folder
        self._paths = paths
        self._limits, self._state = settings
        self._has_variables = False
        self._put_away = False
        self._worker: Worker | None = zygote.spawn(paths, self._limits)
        memory.add(self)

    @property
    def image_path(self) -> str:
        """The picture's path to tell the model; the same on every run and machine."""
        return self._paths.picture_name

    @property
    def temp_output_dir(self) -> str:
        """The folder to tell the model for its results."""
        return OUTPUT

    def run(self, code: str) -> BlockResult:
        """Run one block. Whatever the code does is a `BlockResult`, never an exception.

        Waits while there is no memory for it beside the blocks that run.

        Raises:
            SandboxRefusedError: isolation no longer holds, through no fault of this code alone.
        """
        if len(code.encode("utf-8", "replace")) > self._limits.source_bytes:
            failure = Failure(
                "source_too_long", f"code of at most {self._limits.source_bytes} bytes is run"
            )
            return BlockResult(
                ok=False, stdout="", images=(), error=failure, seconds=0.0, repairs=()
            )
        with self._memory.block(self):
            return self._run(code)

    def held(self) -> int:
        """Bytes that the stopped worker holds; as many as it may, where that cannot be seen."""
        if self._worker is None:
            return 0
        try:
            return self._worker.private_bytes()
        except OSError:
            return self._limits.memory

    def put_away(self) -> None:
        """End the stopped worker, to make room for others; called while no block runs."""
        self._put_away = self._has_variables
        self._drop_worker()

    def _run(self, code: str) -> BlockResult:
        started = time.monotonic()
        outcome = self._run_block(code)
        images: tuple[Image.Image, ...] = ()
        error = outcome.error
        if error is None or error.kind == "exception":
            images, found = self._collect(outcome)
            error = error or found
        stdout = wire.printable(self._paths.to_script(outcome.stdout))
        repairs = tuple(wire.printable(note) for note in outcome.repairs)
        seconds = time.monotonic() - started
        ok = error is None
        return BlockResult(ok, stdout, images, error, seconds, repairs)

    def close(self) -> None:
        """End the worker and remove the files; a second call does nothing."""
        self._memory.remove(self)
        self._drop_worker()
        try:
            folders.remove_tree(str(self._folder))
        except OSError as error:  # without isolation, something may still be writing there
            log.warning("files of a sandbox session stay behind in %s: %s", self._folder, error)

    def _run_block(self, code: str) -> _Outcome:
        """Run code in the worker; a worker that misbehaves is killed, and replaced next time."""
        if self._worker is None:
            self._worker = self._zygote.spawn(self._paths, self._limits)
        worker = self._worker
        put_away, self._put_away = self._put_away, False
        healthy = False
        lost = LOST if self._state == "persist" else ""
        try:
            outcome = self._exchange(worker, code)
            healthy = True
            self._has_variables = self._state == "persist"
            if put_away:
                outcome = _after_put_away(outcome)
        except wire.LateError:
            text = f"stopped after {self._limits.seconds:g} seconds.{lost}"
            outcome = _failed("timeout", text)
        except _QuotaError as error:
            self._empty_folder()
            outcome = _failed("disk_quota", f"{error}; all were removed.{lost}")
        except wire.EndedError:
            outcome = _failed("crashed", f"the interpreter died.{lost}")
        except wire.WireError as error:
            outcome = _failed("protocol", f"the worker answered nonsense ({error}).{lost}")
        finally:
            if not healthy or self._state == "fresh":
                self._drop_worker()
        if not healthy:
            self._zygote.require_alive()
        return outcome

    def _exchange(self, worker: Worker, code: str) -> _Outcome:
        if worker.channel.has_unread():
            raise wire.WireError("it spoke without being asked")
        deadline = time.monotonic() + self._limits.seconds
        number = secrets.randbelow(NUMBERS)  # an earlier block cannot answer for this one
        worker.signal(signal.SIGCONT)
        worker.channel.send(wire.encode({"id": number, "source": code}), deadline)
        frame = worker.channel.receive(wire.REPLY_BYTES, deadline, self._check_quota)
        worker.signal(signal.SIGSTOP)  # code that forged its reply does not run on
        self._check_quota()
        message = wire.decode(frame)
        if wire.int_field(message, "id", NUMBERS) != number:
            raise wire.WireError("its reply belongs to another block")
        kind = wire.text_field(message, "kind", 40)
        text = wire.text_field(message, "text", 2 * block.ERROR_TEXT)
        stdout = wire.text_field(message, "stdout", 2 * self._limits.text_bytes)
        repairs = wire.texts_field(message, "repairs", block.NOTES, block.NOTE_TEXT)
        if kind and kind not in KINDS:
            raise wire.WireError("it named an error that does not exist")
        if not kind:
            return _Outcome(None, stdout, repairs)
        told = wire.printable(self._paths.to_script(text))
        return _Outcome(Failure(kind, told), stdout, repairs)  # type: ignore[arg-type]  # in KINDS

    def _check_quota(self) -> None:
        if not self._zygote.locked:
            return
        most, entries = self._limits.folder_bytes, self._limits.folder_entries
        found = folders.usage(self._paths.data, entries)
        if found.size > most:
            raise _QuotaError(f"more than {most >> 20} MiB of files")
        if found.entries > entries:
            raise _QuotaError(f"more than {entries} files")
        if found.too_deep:
            raise _QuotaError(f"folders nested more than {folders.MAX_DEPTH} deep")

    def _collect(self, outcome: _Outcome) -> tuple[tuple[Image.Image, ...], Failure | None]:
        """The pictures whose paths were printed, decoded in another worker."""
        printed = self._paths.printed(outcome.stdout)
        if not outcome.stdout.strip():
            text = f"nothing was printed; save results under {OUTPUT} and print their paths"
            return (), Failure("no_output", text)
        if len(printed) > self._limits.pictures:
            text = (
                f"{len(printed)} pictures were printed, at most {self._limits.pictures} are shown"
            )
            return (), Failure("too_many_pictures", text)
        images: list[Image.Image] = []
        error: Failure | None = None
        with Pictures(self._zygote, self._paths.data, self._limits) as pictures:
            for path in printed:
                try:
                    images.append(pictures.read(path))
                except ResultError as problem:
                    error = error or problem.failure
        return tuple(images), error

    def _empty_folder(self) -> None:
        """Remove all files, so that the next block is within its limits again."""
        self._drop_worker()
        folders.remove_tree(self._paths.data)
        self._paths.make()

    def _drop_worker(self) -> None:
        self._has_variables = False
        if self._worker is not None:
            self._worker.close()
            self._worker = None


def _after_put_away(outcome: _Outcome) -> _Outcome:
    """Say that earlier blocks' variables went: to the record, and to the model if it failed."""
    error = outcome.error
    if error is not None:
        error = Failure(error.kind, error.text + LOST)
    return outcome._replace(error=error, repairs=(PUT_AWAY, *outcome.repairs))


def _failed(kind: Kind, text: str) -> _Outcome:
    return _Outcome(Failure(kind, text), "", ())
