"""The sandbox: `Sandbox.open(picture) -> Session`, `session.run(code) -> Result`."""

from __future__ import annotations

import contextlib
import logging
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from PIL import Image

from speceyes_cli.plugin import Closeable
from speceyes_plugins.sandbox import folders
from speceyes_plugins.sandbox.parent import filters, isolation
from speceyes_plugins.sandbox.parent.memory import MemoryBudget
from speceyes_plugins.sandbox.parent.process import Zygote
from speceyes_plugins.sandbox.parent.refusal import refusing
from speceyes_plugins.sandbox.parent.session import Session, Settings
from speceyes_plugins.sandbox.paths import Paths
from speceyes_plugins.sandbox.values import (
    PICTURE,
    Backend,
    SandboxLimits,
    State,
    further_picture,
)

log = logging.getLogger(__name__)

UNSAFE_WARNING: Final = (
    "the sandbox is off (unsafe-subprocess): model-written code runs with your rights, and can "
    "read, change and send whatever you can"
)


class Sandbox(Closeable):
    """Runs model-written code where it can do no harm. Started once per run.

    Use it as a context manager. `open` may be called from several threads; a session belongs to
    one at a time.

    Args:
        state: "persist": variables live from block to block of a session; "fresh": every block
            starts anew. Files in the session's folder stay either way.
        backend: "auto" isolates, or refuses. "unsafe-subprocess" does not isolate, and warns.
        limits: what one worker may use.

    Raises:
        SandboxRefusedError: this machine cannot isolate code; the message names what is missing.
    """

    def __init__(
        self,
        *,
        state: State = "persist",
        backend: Backend = "auto",
        limits: SandboxLimits | None = None,
    ) -> None:
        self.limits = limits or SandboxLimits()
        self.state: State = state
        self.backend: Backend = backend
        self._settings = Settings(self.limits, state)
        room = self.limits.memory + self.limits.decoder_memory
        self._memory = MemoryBudget(self.limits.total_memory, room)
        self._locked = backend != "unsafe-subprocess"
        if self._locked:
            isolation.require()
        else:
            log.warning(UNSAFE_WARNING)
        blob = filters.load() if self._locked else b""
        with refusing("a temporary folder"):
            self._folder = Path(tempfile.mkdtemp(prefix="speceyes-sandbox-")).resolve()
        try:
            self._zygote = Zygote(self._folder, blob, locked=self._locked)
        except BaseException:
            folders.remove_tree(str(self._folder))
            raise
        try:
            self._zygote.spawn(None, self.limits).close()  # a first worker proves the lock-down
        except BaseException:
            self.close()
            raise

    def open(
        self, picture: Image.Image, further: Mapping[int, Image.Image] | None = None
    ) -> Session:
        """Begin a trajectory with its input picture, which the script finds at `values.PICTURE`.

        Further ones lie in its folder, at `values.further_picture` of their place.

        Raises:
            SandboxRefusedError: isolation no longer holds, or there is no room for its files.
        """
        place = self._folder / secrets.token_hex(8)
        paths = Paths(
            picture=str(place / "picture"), picture_name=PICTURE, data=str(place / "data")
        )
        try:
            with refusing("a session's files"):
                paths.make()
                _put_picture(picture, Path(paths.picture))
                for number, other in (further or {}).items():
                    where = paths.to_disk(further_picture(number))
                    other.convert("RGB").save(where, "PNG", compress_level=1)
            return Session(self._zygote, self._memory, place, paths, self._settings)
        except BaseException:
            folders.remove_tree(str(place))
            raise

    def close(self) -> None:
        """End every worker and remove every file; a second call does nothing."""
        self._zygote.close()
        with contextlib.suppress(FileNotFoundError):  # the zygote removes it too
            folders.remove_tree(str(self._folder))


def _put_picture(picture: Image.Image, target: Path) -> None:
    """Put the picture where the worker may read it; libraries go by content, not by suffix."""
    plain = picture if picture.mode in {"RGB", "L"} else picture.convert("RGB")
    plain.save(target, format="BMP")  # without compression: milliseconds
    target.chmod(0o400)
