"""Reading files that a user names or that other programs wrote."""

from __future__ import annotations

import errno
import stat
from pathlib import Path


def read_file_text(path: Path) -> str:
    """The text of a file; `OSError` when it cannot be read, `UnicodeDecodeError` for no UTF-8."""
    require_file(path)
    return path.read_text(encoding="utf-8")


def require_file(path: Path) -> None:
    """Raise `OSError` for what is no file: reading a pipe or a device may never end."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is no file", str(path))
