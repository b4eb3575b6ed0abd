"""What a reader asked for, from and to the query of an address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any
from urllib.parse import urlencode


def read_query(kind: type[Any], query: Mapping[str, str]) -> dict[str, str]:
    """A text for each field of a dataclass, empty where the query has none."""
    return {field.name: query.get(field.name, "").strip() for field in fields(kind)}


def write_query(asked: Any, more: Mapping[str, object]) -> str:
    """The fields of a dataclass as a query, with other values for some; empty ones are left out."""
    values = {field.name: getattr(asked, field.name) for field in fields(asked)} | dict(more)
    return urlencode({name: value for name, value in values.items() if value})
