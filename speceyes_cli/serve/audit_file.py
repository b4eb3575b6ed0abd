"""The file in which a server keeps what its audits have found."""

from __future__ import annotations

import fcntl
import logging
import os
from pathlib import Path

from speceyes_cli.analysis.certificate import Certificate
from speceyes_cli.analysis.watching.kept_audits import (
    KeptAudits,
    read_audits,
    require_same_promise,
)
from speceyes_cli.core.errors import DataError

log = logging.getLogger(__name__)

SIZE = 1024
"""Bytes of the file, blanks at its end: one call overwrites all of it, in a fiftieth of the time
that putting another file in its place takes."""


class AuditFile:
    """One process's file, written after each answer that the certificate covers.

    Nothing waits for the disk: a killed process loses nothing, a power cut the last seconds.
    """

    def __init__(
        self, path: Path, certificate: Certificate, share: float, threshold: float
    ) -> None:
        """Take the file for this process; `share` and `threshold` are for one that is new.

        Raises `DataError` where another process has it, or where it is of another certificate or
        of audits with another share.
        """
        self._told = False
        self._file = _take(path)
        try:
            if os.fstat(self._file).st_size:
                self.kept = _read(path, certificate, share)
            else:
                self.kept = KeptAudits(
                    certificate=certificate.digest, share=share, threshold=threshold
                )
        except DataError:
            self.release()
            raise
        self.write(self.kept)

    def write(self, kept: KeptAudits) -> None:
        """Keep this in place of what was there; a failure is logged once, and serving goes on."""
        self.kept = kept
        data = f"{kept.model_dump_json():{SIZE - 1}}\n".encode()
        try:
            os.pwrite(self._file, data, 0)
            os.ftruncate(self._file, SIZE)
        except OSError as error:
            if not self._told:
                log.warning("what the audits find is not kept: %s", error)
            self._told = True

    def release(self) -> None:
        """Leave the file to another process; the end of this one does so too."""
        os.close(self._file)


def _read(path: Path, certificate: Certificate, share: float) -> KeptAudits:
    kept = read_audits(path)
    require_same_promise(kept, path, certificate)
    if kept.share != share:
        raise DataError(
            f"{path} holds audits of a share of {kept.share:g}, not {share:g}: go on with that, or "
            "name another file to begin a test."
        )
    return kept


def _take(path: Path) -> int:
    """The file's descriptor, locked until the process ends."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}.") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        raise DataError(f"{path} is in use by another server; each needs its own.") from None
    return file
