"""Rows of large tables, TSV and parquet, read one at a time.

Memory does not grow with the file: a TSV row's picture stays on disk, known by its place, until it
is opened; of a parquet file one row is held.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar

from speceyes_cli.plugin import (
    LFS_POINTER,
    DataError,
    Picture,
    PictureError,
    RowError,
    cached_digest,
    decode_base64,
    decode_picture,
    digest_bytes,
    first_line,
    is_lfs_pointer,
    picture_from,
)
from speceyes_datasets.rows import SampleRow, as_text

Looked = TypeVar("Looked")
IMAGE = "image"
"""The column of the picture, in every table read here."""
INDEX = "index"
"""The column that numbers rows, where a table has one."""
LONGEST_INDEX = 64
"""Characters; an `image` of no more names the row whose picture it is, as VLMEvalKit writes it."""
LONGEST_LINE = 512 * 2**20
"""Bytes; a longer line is no row of a benchmark."""
_LONG = 2**16
"""Fields of more bytes are read from the file when they are needed."""
_SPAN = re.compile("\0([0-9]+):([0-9]+)\0")


class Span(NamedTuple):
    """Bytes of a file."""

    path: Path
    offset: int
    length: int

    def read(self, name: str) -> bytes:
        """The bytes; `PictureError` when they are gone."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                return file.read(self.length)
        except OSError as error:
            raise PictureError(f"{name}: {self.path} cannot be read ({error.strerror}).") from None


class Table(NamedTuple):
    """A file and what of it is read."""

    path: Path
    columns: Sequence[str]
    image: str
    """The picture's column."""

    def rows(self) -> Iterator[SampleRow]:
        """Its rows, one at a time."""
        return _read_parquet(self) if self.path.suffix == ".parquet" else _read_tsv(self)


def read_table(
    path: Path,
    columns: Sequence[str],
    *,
    image: Sequence[str] = (IMAGE,),
    optional: Sequence[str] = (),
) -> Iterator[SampleRow]:
    """The rows of a TSV or parquet file with these columns and a picture.

    The picture stands in the first column of `image` that the file has; `optional` columns are read
    where it has them. Raises `DataError` when the file is neither or lacks a column; a row that is
    broken comes with its `problem`.
    """
    check_columns(path, columns, image)
    names = _columns(path)
    shown = next(name for name in image if name in names)
    return Table(path, (*columns, *(name for name in optional if name in names)), shown).rows()


def check_columns(path: Path, columns: Sequence[str], image: Sequence[str] = (IMAGE,)) -> None:
    """Raise `DataError` unless the table can be opened and has these columns and a picture."""
    names = _columns(path)
    missing = [name for name in columns if name not in names]
    if not any(name in names for name in image):
        missing.append(" or ".join(image))
    if missing:
        found = ", ".join(name[:40] for name in names[:20]) or "none"
        raise DataError(f"{path} has no column {', '.join(missing)}; its columns are {found}.")


def row_count(files: Sequence[Path]) -> int | None:
    """Rows of parquet files, from their footers; None for a TSV, which would have to be read."""
    if any(path.suffix != ".parquet" for path in files):
        return None
    return sum(_parquet(path, lambda file: int(file.metadata.num_rows)) for path in files)


def _columns(path: Path) -> list[str]:
    return _parquet_columns(path) if path.suffix == ".parquet" else _tsv_columns(path)


def _read_tsv(table: Table) -> Iterator[SampleRow]:
    path = table.path
    places: dict[str, Span] = {}
    with _opened(path) as file:
        lines = csv.reader(_short_lines(file, path), delimiter="\t")
        names = _header(next(lines, []))
        number, line = 0, lines.line_num + 1
        for cells in _records(lines, path):
            if cells:  # a blank line is no row
                number += 1
                where = f"{path.name}, line {line}"
                if len(cells) == len(names):
                    named = dict(zip(names, cells, strict=True))
                    yield _tsv_row(table, where, number, named, places)
                else:
                    problem = f"there are {len(cells)} fields instead of {len(names)}"
                    yield SampleRow(where, number, {}, problem=problem)
            line = lines.line_num + 1


def _tsv_row(
    table: Table, where: str, number: int, cells: dict[str, str], places: dict[str, Span]
) -> SampleRow:
    """A row, whose picture's place is kept in `places` under the row's index."""
    image = cells.get(table.image, "").strip()
    fields = {name: cells[name] for name in table.columns}
    problem = None
    for name, text in fields.items():
        if _SPAN.fullmatch(text):
            problem = f"the text under {name!r} is longer than {_LONG} bytes"
        elif not _is_utf8(text):
            problem = f"the text under {name!r} is not UTF-8"
    if not image:
        return SampleRow(where, number, fields, None, problem)
    span = _SPAN.fullmatch(image)
    if span:
        place = Span(table.path, int(span[1]), int(span[2]))
        places[fields.get(INDEX, "")] = place
        return SampleRow(where, number, fields, _base64_picture(place, where), problem)
    if INDEX in fields and len(image) <= LONGEST_INDEX:
        picture = _picture_of_row(table, image, where, places)
        return SampleRow(where, number, fields, picture, problem)
    return SampleRow(where, number, fields, _base64_picture(image, where), problem)


class _ReferredPicture(Picture):
    """The picture of another row."""


def _picture_of_row(table: Table, index: str, where: str, places: Mapping[str, Span]) -> Picture:
    """The picture of the row with this index, which is looked for when it is opened."""

    def find() -> Picture:
        if index in places:
            return _base64_picture(places[index], where)
        for row in table.rows():
            found = row.picture
            named = as_text(row.fields.get(INDEX)) == index
            if named and found is not None and not isinstance(found, _ReferredPicture):
                return found
        raise RowError(f"{where}: its picture is that of the row {index!r}, which has none.")

    def digest() -> str | None:
        try:
            return find().digest()
        except DataError:
            return None

    return _ReferredPicture(where, lambda: find().open(), digest)


def _base64_picture(data: Span | str, name: str) -> Picture:
    """The picture in base64 text, or in the text at a place of a file."""

    def read() -> bytes:
        return decode_base64(data.read(name) if isinstance(data, Span) else data, name)

    def digest() -> str | None:
        try:
            if isinstance(data, str):
                return digest_bytes(read())
            place = f"picture {data.offset}:{data.length}"
            return cached_digest([data.path], place, lambda: digest_bytes(read()))
        except (PictureError, OSError):
            return None

    return Picture(name, lambda: decode_picture(read(), name), digest)


def _short_lines(file: BinaryIO, path: Path) -> Iterator[str]:
    """The file's lines with each long field replaced by its place: NUL offset:length NUL."""
    offset = 0
    while line := file.readline(LONGEST_LINE + 1):
        if len(line) > LONGEST_LINE:
            raise DataError(f"{path} has a line of more than {LONGEST_LINE:,} bytes: no TSV.")
        yield _shorten(line, offset).decode("utf-8", "surrogateescape")
        offset += len(line)


def _shorten(line: bytes, offset: int) -> bytes:
    if len(line) <= _LONG:
        return line
    fields = []
    for field in line.split(b"\t"):
        bare = field.rstrip(b"\r\n")
        quoted = bare[:1] == b'"' and bare[-1:] == b'"'
        start, stop = (1, len(bare) - 1) if quoted else (0, len(bare))
        whole = quoted or b'"' not in (bare[:1], bare[-1:])
        if len(bare) > _LONG and whole:
            place = b"\0%d:%d\0" % (offset + start, stop - start)
            fields.append(place + field[len(bare) :])
        else:
            fields.append(field)
        offset += len(field) + 1
    return b"\t".join(fields)


def _records(lines: Any, path: Path) -> Iterator[list[str]]:
    try:
        yield from lines
    except csv.Error as error:
        raise DataError(f"{path}, line {lines.line_num}, is no TSV: {error}.") from None


def _tsv_columns(path: Path) -> list[str]:
    with _opened(path) as file:
        head = file.readline(_LONG)
    if is_lfs_pointer(head):
        raise DataError(f"{path}: {LFS_POINTER}.")
    if b"\r" in head.rstrip(b"\r\n"):
        raise DataError(f"{path} ends its lines with CR alone; end them with LF or CR LF.")
    if b"\0" in head or head[:4] == b"PAR1":
        raise DataError(f"{path} is not a TSV file.")
    return _header(next(csv.reader([head.decode("utf-8", "replace")], delimiter="\t"), []))


def _header(cells: list[str]) -> list[str]:
    return [cell.removeprefix("\ufeff").strip() for cell in cells]


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).") from None


def _is_utf8(text: str) -> bool:
    """Whether the text holds none of the stand-ins for bytes that were not UTF-8."""
    return not any("\ud800" <= sign <= "\udfff" for sign in text)


def _read_parquet(table: Table) -> Iterator[SampleRow]:
    from pyarrow import ArrowException  # noqa: PLC0415 - heavy
    from pyarrow.parquet import ParquetFile  # noqa: PLC0415 - heavy

    path = table.path
    try:
        with ParquetFile(path, buffer_size=2**20, pre_buffer=False) as file:
            batches = file.iter_batches(batch_size=1, columns=[*table.columns, table.image])
            for number, batch in enumerate(batches, start=1):
                [values] = batch.to_pylist()
                yield _parquet_row(table, number, values)
    except (ArrowException, OSError) as error:
        raise DataError(f"{path} is damaged: {first_line(error)}.") from None


def _parquet_row(table: Table, number: int, values: dict[str, Any]) -> SampleRow:
    where = f"{table.path.name}, row {number}"
    cell = values.pop(table.image)
    fields = {
        name: value if isinstance(value, list) else as_text(value) for name, value in values.items()
    }
    if isinstance(cell, dict):
        cell = cell.get("bytes") or cell.get("path")
        if isinstance(cell, str):
            return SampleRow(
                where, number, fields, picture_from(Path(cell), where, table.path.parent)
            )
    if not cell:
        return SampleRow(where, number, fields)
    if isinstance(cell, str) and INDEX in fields and len(cell) <= LONGEST_INDEX:
        picture = _picture_of_row(table, cell.strip(), where, {})
        return SampleRow(where, number, fields, picture)
    if isinstance(cell, str):
        return SampleRow(where, number, fields, _base64_picture(cell, where))
    return SampleRow(where, number, fields, picture_from(cell, where))


def _parquet_columns(path: Path) -> list[str]:
    return _parquet(path, lambda file: list(file.schema_arrow.names))


def _parquet(path: Path, look: Callable[[Any], Looked]) -> Looked:
    from pyarrow import ArrowException  # noqa: PLC0415 - heavy
    from pyarrow.parquet import ParquetFile  # noqa: PLC0415 - heavy

    try:
        with ParquetFile(path) as file:
            return look(file)
    except (ArrowException, OSError) as error:
        with _opened(path) as opened:
            if is_lfs_pointer(opened.read(_LONG)):
                raise DataError(f"{path}: {LFS_POINTER}.") from None
        raise DataError(f"{path} is not a parquet file: {first_line(error)}.") from None
