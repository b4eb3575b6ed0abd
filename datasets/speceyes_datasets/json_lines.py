"""JSON files of questions, read as rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from speceyes_cli.plugin import LFS_POINTER, DataError, is_lfs_pointer
from speceyes_datasets.rows import SampleRow

LONGEST_LINE = 512 * 2**20
"""Bytes; pictures may stand in a line as base64, but no longer ones."""


class Parsed(NamedTuple):
    """An object, or what keeps it from being one."""

    fields: dict[str, Any]
    problem: str | None


def read_json_lines(file: Path) -> Iterator[SampleRow]:
    """A row for each line that is not blank, in order; a broken one says what is wrong with it."""
    try:
        with file.open("rb") as lines:
            number = 0
            while line := lines.readline(LONGEST_LINE + 1):
                number += 1
                if len(line) > LONGEST_LINE:
                    raise DataError(f"{file} has a line of more than {LONGEST_LINE:,} bytes.")
                if line.strip():
                    fields, problem = _parse(line)
                    yield SampleRow(f"{file.name}, line {number}", number, fields, problem=problem)
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror}).") from None


def read_object(file: Path) -> Parsed:
    """The object in a JSON file."""
    if not file.is_file():  # reading a pipe or a device may never end
        return Parsed({}, "it is no file")
    try:
        return _parse(file.read_bytes())
    except OSError as error:
        return Parsed({}, f"the file cannot be read ({error.strerror})")


def _parse(data: bytes) -> Parsed:
    try:
        value = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return Parsed({}, "the text is not UTF-8")
    except (ValueError, RecursionError) as error:
        return Parsed({}, LFS_POINTER if is_lfs_pointer(data) else f"it is no JSON ({error})")
    if not isinstance(value, dict):
        return Parsed({}, "it is no JSON object")
    return Parsed(value, None)
