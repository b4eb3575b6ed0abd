"""The system-call filters as they were shipped. Each is a file, written by libseccomp.

`tools/generate_filters.py` wrote them; their hashes stand here, so that a damaged or swapped file
is refused instead of loaded.
"""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path
from typing import Final

from speceyes_plugins.sandbox.parent.refusal import SandboxRefusedError

FILTERS: Final = Path(__file__).parent.parent / "filters"
GENERATED_BY: Final = "libseccomp 2.5.4"
SHA256: Final = {
    "x86_64": "bb755abba921d11e823a731916f7721f611f53bd8fa79d94f1e5521884ba7b84",
    "aarch64": "f7cb134496902f0affb5a721a2f8e6d443bcd509f43e76fb0322a45b793af07f",
}


def load(architecture: str | None = None) -> bytes:
    """The filter of an architecture (this machine's), checked against its hash.

    Raises:
        SandboxRefusedError: no filter for it, or the file is not the one that was shipped.
    """
    architecture = architecture or platform.machine()
    if architecture not in SHA256:
        known = ", ".join(SHA256)
        raise SandboxRefusedError(
            f"no system-call filter for the architecture '{architecture}' (there are: {known})"
        )
    path = FILTERS / f"{architecture}.bpf"
    try:
        blob = path.read_bytes()
    except OSError as error:
        raise SandboxRefusedError(f"the system-call filter {path.name} cannot be read") from error
    if hashlib.sha256(blob).hexdigest() != SHA256[architecture]:
        raise SandboxRefusedError(
            f"the system-call filter {path.name} is not the one shipped (SHA-256 differs); "
            "install speceyes again"
        )
    return blob
