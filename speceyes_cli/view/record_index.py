"""An index of a run's records: what tables and lists need of each, and where the whole one lies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from pydantic_core import from_json

from speceyes_cli.core.errors import DataError
from speceyes_cli.core.judging.judges import ClaimKey
from speceyes_cli.core.judging.verdicts import ERROR, JudgedNote
from speceyes_cli.core.run.records import SCHEMA_VERSION

ABSENT, FAILED, UNDECIDED, WRONG, RIGHT = -3, -2, -1, 0, 1
"""A verdict as a number: there is none, the judge failed, nobody could decide, wrong, right."""
ROUTES = ("small", "large", "error")
NONE = -1
"""In the place of a truth or a name that there is not."""
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, OverflowError)

ROW = np.dtype(
    [
        ("place", "i8"),  # where the record lies: its row in the database, or its line's first byte
        ("split", "i2"),
        ("position", "i8"),
        ("route", "i1"),
        ("truth", "?"),  # whether the right answer is known
        ("right", "i1"),
        ("provenance", "i2"),
        ("small_right", "i1"),
        ("large_right", "i1"),
        ("passed", "i1"),
        ("accepted", "i1"),
        ("tied", "?"),
        ("confidence", "f8"),
        ("seconds", "f8"),
        ("cached", "f8"),
        ("small_tokens", "i4"),
        ("large_tokens", "i4"),
        ("cluster", "i4"),
        ("said", "i8"),
        ("small_said", "i8"),
        ("large_said", "i8"),
    ]
)
"""One record; `said` and its like are hashes of the texts that a judge may have judged."""


class Names(dict[str, int]):
    """Numbers for names, in the order in which they came."""

    def number(self, name: str) -> int:
        """The name's number, a new one for a new name."""
        return self.setdefault(name, len(self))


@dataclass(frozen=True, eq=False)
class RecordIndex:
    """The records read so far; `RecordIndex()` holds none."""

    rows: Any = field(default_factory=lambda: np.zeros(0, ROW))
    """An array of `ROW`."""
    sample_ids: tuple[str, ...] = ()
    phase_seconds: Any = field(default_factory=lambda: np.zeros((0, 0)))
    """Seconds, a column for each of `phases`; NaN for one that the sample did not have."""
    splits: Names = field(default_factory=Names)
    provenances: Names = field(default_factory=Names)
    clusters: Names = field(default_factory=Names)
    phases: Names = field(default_factory=Names)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def split_names(self) -> list[str]:
        """The splits by their numbers."""
        return list(self.splits)

    def grown(self, bodies: Iterable[tuple[int, str | bytes]]) -> RecordIndex:
        """With more records: pairs of where a record lies and its JSON text.

        Raises `DataError` for a text that is no record of this version.
        """
        rows, ids, phases = [], [], []
        for place, body in bodies:
            try:
                fields = from_json(body)
                rows.append(self._row(place, fields))
                ids.append(str(fields["sample_id"]))
                phases.append(
                    {self.phases.number(k): float(v) for k, v in fields["phase_seconds"].items()}
                )
            except _UNREADABLE as error:
                raise _unreadable(error) from None
        if not rows:
            return self
        try:
            added = np.array(rows, ROW)
        except _UNREADABLE as error:
            raise _unreadable(error) from None
        seconds = np.full((len(self) + len(rows), len(self.phases)), np.nan)
        seconds[: len(self), : self.phase_seconds.shape[1]] = self.phase_seconds
        for place, found in enumerate(phases, len(self)):
            for phase, value in found.items():
                seconds[place, phase] = value
        return replace(
            self,
            rows=np.concatenate([self.rows, added]),
            sample_ids=(*self.sample_ids, *ids),
            phase_seconds=seconds,
        )

    def only(self, keep: Any) -> RecordIndex:
        """The records for which `keep`, an array of truths, says so."""
        ids = tuple(name for name, kept in zip(self.sample_ids, keep, strict=True) if kept)
        return replace(
            self, rows=self.rows[keep], sample_ids=ids, phase_seconds=self.phase_seconds[keep]
        )

    def judged(self, verdicts: Mapping[ClaimKey, JudgedNote]) -> RecordIndex:
        """With a judge's verdicts in place of the dataset's rule, where the words are the same."""
        if not verdicts:
            return self
        rows = self.rows.copy()
        names = self.split_names
        places = {
            (names[split], name): place
            for place, (split, name) in enumerate(zip(rows["split"], self.sample_ids, strict=True))
        }
        for key, one in verdicts.items():
            place = places.get((key.split, key.sample_id))
            if place is None:
                continue
            row, said = rows[place], hash(key.said)
            code = verdict_code(one.right, one.provenance)
            if row["said"] == said and row["right"] != ABSENT:
                row["right"] = code
                row["provenance"] = self.provenances.number(one.provenance)
            for role in ("small", "large"):
                if row[f"{role}_said"] == said and row[f"{role}_right"] != ABSENT:
                    row[f"{role}_right"] = code
        return replace(self, rows=rows)

    def _row(self, place: int, fields: Mapping[str, Any]) -> tuple[Any, ...]:
        if fields.get("schema_version", SCHEMA_VERSION) > SCHEMA_VERSION:
            raise ValueError("it was written by a later version")
        draft, verdict, cluster = fields["draft"], fields["verdict"], fields["cluster"]
        branches = fields.get("branches") or {}
        texts = [
            branches[role]["text"] if role in branches else None for role in ("small", "large")
        ]
        confidence = fields["confidence"]
        return (
            place,
            self.splits.number(fields["split"]),
            fields["position"],
            ROUTES.index(fields["route"]),
            fields["answer"] is not None,
            _verdict(verdict),
            NONE if verdict is None else self.provenances.number(verdict["provenance"]),
            *(
                _verdict(branches[role]["verdict"]) if role in branches else ABSENT
                for role in ("small", "large")
            ),
            _truth(fields["passed_screen"]),
            NONE if draft is None else bool(draft["accepted"]),
            draft is not None and draft["tied_tokens"] > 0,
            np.nan if confidence is None else confidence,
            fields["seconds"],
            fields.get("cached_seconds", 0.0),
            fields["small_tokens"],
            fields["large_tokens"],
            NONE if cluster is None else self.clusters.number(cluster),
            *(0 if text is None else hash(text) for text in (fields["text"], *texts)),
        )


def verdict_code(right: bool | None, provenance: str) -> int:  # noqa: FBT001 - a verdict's own field
    """A verdict as a number."""
    if provenance == ERROR:
        return FAILED
    return UNDECIDED if right is None else int(right)


def _verdict(fields: Mapping[str, Any] | None) -> int:
    return ABSENT if fields is None else verdict_code(fields["right"], fields["provenance"])


def _truth(value: bool | None) -> int:  # noqa: FBT001 - a record's own field
    return NONE if value is None else int(value)


def _unreadable(error: Exception) -> DataError:
    what = f"{type(error).__name__}: {error}"
    return DataError(f"A record cannot be read by this version ({what}).")
