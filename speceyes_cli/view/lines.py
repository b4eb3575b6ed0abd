"""Plain values for the templates, and the numbers in an address."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from speceyes_cli.core.text import one_line, writable
from speceyes_cli.view.catalog import RunEntry
from speceyes_cli.view.reading import read_bodies
from speceyes_cli.view.record_index import RecordIndex
from speceyes_cli.view.samples import KINDS, PAGE, VERDICTS

LONGEST_NUMBER = 9
"""Digits: no page and no K is larger."""


def sample_line(
    index: RecordIndex, kinds: Any, place: int, bodies: dict[int, dict[str, Any]]
) -> dict[str, Any]:
    """One sample as a line of a list; `kinds` are places in `KINDS`, -1 for none."""
    row = index.rows[place]
    body = bodies.get(int(row["place"]), {})
    kind = int(kinds[place])
    return {
        "place": int(row["place"]),
        "name": f"{index.split_names[row['split']]}/{index.sample_ids[place]}",
        "question": one_line(str(body.get("question") or ""), 140),
        "text": one_line(str(body.get("text") or (body.get("error") or {}).get("text") or ""), 80),
        "answer": one_line(str(body.get("answer") or ""), 80),
        "route": body.get("route", ""),
        "verdict": next((name for name, code in VERDICTS.items() if code == row["right"]), ""),
        "kind": KINDS[kind] if kind >= 0 else "",
        "tied": bool(row["tied"]),
        "confidence": float(row["confidence"]) if math.isfinite(row["confidence"]) else None,
        "seconds": float(row["seconds"]),
        "cached": bool(row["cached"]),
    }


def both_lines(
    first: RunEntry, second: RunEntry, mine: list[int], theirs: list[int]
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """A line of either run for each pair of places."""
    lines = []
    for entry, places in ((first, mine), (second, theirs)):
        index = entry.index
        assert index is not None  # noqa: S101 - asked before
        bodies = read_bodies(entry.folder, [int(index.rows["place"][i]) for i in places])
        none = [-1] * len(index)
        lines.append([sample_line(index, none, i, bodies) for i in places])
    return list(zip(*lines, strict=True))


def made_where(entry: RunEntry) -> dict[str, Any]:
    """When, where and with what a run was made."""
    info = entry.info
    if info is None:
        return {}
    return {
        "folder": writable(str(entry.folder)),
        "created": info.created,
        "seconds of work": round(info.active_seconds, 1),
        "options passed": ", ".join(info.passed) or "none",
        "git revision": info.git_revision,
        **info.versions,
        **info.hardware,
        **{f"{role} engine": engine for role, engine in info.engines.items()},
    }


def flat(values: dict[str, Any]) -> dict[str, str]:
    """What there is to tell of each value, as text."""
    return {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in values.items()
        if value not in (None, {}, [], ())
    }


def pages_of(count: int) -> int:
    """Pages that so many samples fill, at least one."""
    return max(1, -(-count // PAGE))


def whole_number(text: str | None) -> int | None:
    """A number in an address; None where there is none."""
    if not text or not text.isascii() or not text.isdigit() or len(text) > LONGEST_NUMBER:
        return None
    return int(text)


def decimal(text: str | None) -> float | None:
    """The same with a decimal point."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def page_number(query: Mapping[str, str], count: int) -> int:
    """The page that an address asks for, of those that so many samples fill."""
    return min(max(1, whole_number(query.get("page")) or 1), pages_of(count))
