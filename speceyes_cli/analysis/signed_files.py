"""Files that say who made them and hold a digest of all they say: certificates, learned gates."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from speceyes_cli.core.errors import DataError
from speceyes_cli.core.files import read_file_text
from speceyes_cli.core.run.info import write_atomically

Signed = TypeVar("Signed", bound=BaseModel)


def digest_of(fields: Mapping[str, Any]) -> str:
    """SHA-256 of all fields but the digest itself."""
    covered = {name: value for name, value in fields.items() if name != "digest"}
    return hashlib.sha256(json.dumps(covered, sort_keys=True).encode()).hexdigest()


def write_signed(path: Path, signed: BaseModel) -> None:
    """Write the file whole or not at all; `DataError` when it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, [signed.model_dump_json(indent=2) + "\n"])
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}.") from None


def fault_in(error: ValidationError) -> str:
    """The first fault of a file and its place."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "the whole file"
    return f"{where}: {first['msg']}"


def read_signed(path: Path, kind: type[Signed], called: str, maker: str) -> Signed:
    """The file's contents; `DataError` when there is none, or it is damaged or was edited.

    `called` is what it is in a sentence, `maker` the command that writes such files.
    """
    try:
        text = read_file_text(path)
        found = kind.model_validate_json(text)
    except FileNotFoundError:
        raise DataError(f"There is no {called} {path}; `{maker}` makes one.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}.") from None
    except ValidationError as error:
        raise DataError(
            f"{path} is no {called} of this version ({fault_in(error)}); `{maker}` makes one."
        ) from None
    fields = json.loads(text)
    if digest_of(fields) != fields.get("digest"):
        raise DataError(
            f"{path} was changed after it was made: its digest does not match its fields; "
            f"`{maker}` makes a new one."
        )
    return found
