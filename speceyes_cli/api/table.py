"""Rows of figures for a notebook: a sequence that shows itself and becomes a data frame."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from pydantic import BaseModel

from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.text import strip_control

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Row = TypeVar("Row", bound=BaseModel)


class ResultTable(Sequence[Row], Generic[Row]):
    """Frozen rows of one kind, such as `SummaryRow` or `Replayed`; their fields are documented."""

    def __init__(self, rows: Sequence[Row], shown: Sequence[str] = ()) -> None:
        """`shown` are the fields that a notebook shows; all by default."""
        self._rows = tuple(rows)
        self._shown = tuple(shown)

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> Row: ...

    @overload
    def __getitem__(self, place: slice) -> ResultTable[Row]: ...

    def __getitem__(self, place: int | slice) -> Row | ResultTable[Row]:
        if isinstance(place, slice):
            return ResultTable(self._rows[place], self._shown)
        return self._rows[place]

    def __repr__(self) -> str:
        return f"<{len(self)} rows>"

    def to_arrow(self) -> pa.Table:
        """A pyarrow table, a column for each field; a field with fields of its own as JSON text."""
        return arrow_table([row.model_dump(mode="json") for row in self._rows])

    def to_pandas(self) -> pd.DataFrame:
        """The same as a pandas data frame; `UsageError` when pandas is not installed."""
        return data_frame(self.to_arrow())

    def _repr_html_(self) -> str:
        rows = [row.model_dump(mode="json") for row in self._rows]
        return html_table(rows, self._shown or (rows[0] if rows else ()))


def arrow_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """A pyarrow table of JSON values; mappings become JSON text, since their keys differ."""
    import pyarrow as pa  # noqa: PLC0415 - heavy

    names = list(rows[0]) if rows else []
    columns = {name: [row[name] for row in rows] for name in names}
    return pa.table({name: _column(values) for name, values in columns.items()})


def data_frame(table: pa.Table) -> pd.DataFrame:
    """The table as a pandas data frame; `UsageError` when pandas is not installed."""
    try:
        return table.to_pandas()
    except ModuleNotFoundError as error:
        raise UsageError(
            "to_pandas() needs pandas, which is not installed: pip install pandas, or use "
            "to_arrow()."
        ) from error


def html_table(rows: Sequence[Mapping[str, Any]], names: Sequence[str] | Mapping[str, Any]) -> str:
    """The rows for a notebook, everything escaped."""
    head = "".join(f"<th>{text(name)}</th>" for name in names)
    body = "".join(
        f"<tr>{''.join(f'<td>{text(_shown(row[name]))}</td>' for name in names)}</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def text(value: object) -> str:
    """Anything as text for HTML: control characters taken out, signs escaped."""
    return escape(strip_control(str(value)))


def _shown(value: Any) -> object:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else value


def _column(values: Sequence[Any]) -> Sequence[Any]:
    """The values, as JSON text where one of them has fields or lists within."""
    nested = any(
        isinstance(value, Mapping)
        or (isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value))
        for value in values
    )
    if not nested:
        return values
    return [None if value is None else json.dumps(value, ensure_ascii=False) for value in values]
