"""A table: a file in, its profile and first rows out; Unusable where a row does not fit, with its line."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import duckdb
import msgspec

from file_service.findings import Findings, Limits, Profile, Progress, Subject, Unusable
from file_service.tables import sample
from file_service.tables.columns import Column, guess_types, profile_columns
from file_service.tables.csv_dialect import Dialect, dialect_of
from file_service.tables.query import Query, name, opened, text
from file_service.texts import as_utf8, encoding_of, line_with_nul

_GUESSED_ROWS: Final = 10_000
_LONGEST_LINE: Final = 2_000_000
_LONGEST_REASON: Final = 300
_CSV_LINE: Final = re.compile(r"CSV Error on Line: (\d+)")
_CSV_COLUMNS: Final = re.compile(r"Expected Number of Columns: (\d+) Found: (\d+)")
_STATE: Final = "state machine reached an invalid state"


class _Table(NamedTuple):
    """A table that can be asked: what stands after FROM, and its columns."""

    source: str
    columns: Sequence[Column]


def examine_csv(subject: Subject, folder: Path, limits: Limits, progress: Progress) -> Findings:
    """Rows and columns of a CSV file in any encoding."""
    path, encoding = _in_utf8(subject, folder, progress)
    prefers_tabs = subject.name.lower().endswith((".tsv", ".tab")) or "tab-separated" in subject.declared
    dialect = dialect_of(path, most_columns=limits.columns, prefers_tabs=prefers_tabs)
    facts: Profile = {
        "media_type": "text/tab-separated-values" if dialect.delimiter == "\t" else "text/csv",
        "encoding": encoding,
        "delimiter": dialect.delimiter,
        "has_header": dialect.has_header,
    }

    def examined(query: Query, *, is_strict: bool) -> Findings:
        source = _csv_source(path, dialect, is_strict=is_strict)
        columns = guess_types(query, source, dialect.columns, rows=_GUESSED_ROWS)
        return _examined(query, _Table(source, columns), {"kind": "csv", **facts}, progress)

    with opened(path, folder, limits) as query:
        try:
            return examined(query, is_strict=True)
        except duckdb.Error as error:
            if _STATE not in str(error):
                raise _bad_csv(error) from None
        try:  # ends of lines are mixed: less strict is what every other reader is
            return examined(query, is_strict=False)
        except duckdb.Error as error:
            raise _bad_csv(error) from None


def examine_jsonl(subject: Subject, folder: Path, limits: Limits, progress: Progress) -> Findings:
    """Objects and their members, one object a line; members that only later lines have are not seen."""
    path, encoding = _in_utf8(subject, folder, progress)
    options = f"format='newline_delimited', records=true, maximum_object_size={_LONGEST_LINE}"
    read = f"read_json({text(str(path))}, {options}"
    with opened(path, folder, limits) as query:
        try:
            described = query.rows(
                f"DESCRIBE SELECT * FROM {read}, maximum_depth=2, sample_size={_GUESSED_ROWS})"  # noqa: S608 - the path is quoted
            )
            _refuse_wide(len(described), limits)
            columns = [_json_column(row[0], row[1]) for row in described]
            read_as = ", ".join(f"{text(column.name)}: 'VARCHAR'" for column in columns)
            table = _Table(f"{read}, columns={{{read_as}}})", columns)
            facts: Profile = {"kind": "jsonl", "media_type": "application/x-ndjson", "encoding": encoding}
            return _examined(query, table, facts, progress)
        except duckdb.Error as error:
            raise _bad_json(path, error) from None


def examine_parquet(subject: Subject, folder: Path, limits: Limits, progress: Progress) -> Findings:
    """Rows and columns of a Parquet file."""
    source = f"read_parquet({text(str(subject.path))})"
    with opened(subject.path, folder, limits) as query:
        try:
            described = query.rows(f"DESCRIBE SELECT * FROM {source}")  # noqa: S608 - the path is quoted
            _refuse_wide(len(described), limits)
            columns = [_parquet_column(row[0], row[1]) for row in described]
            facts: Profile = {"kind": "parquet", "media_type": "application/vnd.apache.parquet"}
            return _examined(query, _Table(source, columns), facts, progress.part(0.0, 1.0, "reading"))
        except duckdb.Error as error:
            raise Unusable(f"the Parquet file is broken: {_first_line(error)}") from None


def _examined(query: Query, table: _Table, facts: Profile, progress: Progress) -> Findings:
    begin = 0.1 if facts["kind"] != "parquet" else 0.0
    rows, columns = profile_columns(query, table.source, table.columns, progress.part(begin, 1.0, ""))
    names = [column.name for column in table.columns]
    listed = ", ".join(f"CAST({name(one)} AS VARCHAR)" for one in names)
    first = query.rows(f"SELECT {listed} FROM {table.source} LIMIT {sample.ROWS}")  # noqa: S608 - names and source are quoted
    made = [sample.sample(names, first)]
    return Findings({**facts, "rows": rows, "columns": columns}, made)  # pyright: ignore[reportArgumentType] - a list of profiles is JSON


def _in_utf8(subject: Subject, folder: Path, progress: Progress) -> tuple[Path, str]:
    """The table as UTF-8: the file itself, or a copy where it is written otherwise."""
    reading = progress.part(0.0, 0.1, "reading as text")
    encoding = encoding_of(subject.path, reading)
    if (line := line_with_nul(subject.path, encoding)) is not None:
        raise Unusable(f"line {line}: a NUL byte, which no table has")
    if encoding in {"utf-8", "utf-8-sig", "ascii"}:
        return subject.path, encoding
    copy = folder / "as-utf-8"
    as_utf8(subject.path, encoding, copy)
    return copy, encoding


def _csv_source(path: Path, dialect: Dialect, *, is_strict: bool) -> str:
    columns = ", ".join(f"{text(one)}: 'VARCHAR'" for one in dialect.columns)
    return (
        f"read_csv({text(str(path))}, auto_detect=false, "
        f"delim={text(dialect.delimiter)}, quote='\"', escape='\"', "
        f"header={str(dialect.has_header).lower()}, strict_mode={str(is_strict).lower()}, "
        f"max_line_size={_LONGEST_LINE}, columns={{{columns}}})"
    )


def _json_column(column: str, type_: str) -> Column:
    known = {"BIGINT", "HUGEINT", "DOUBLE", "BOOLEAN", "DATE", "TIMESTAMP"}
    is_nested = type_ == "JSON" or type_.endswith("]") or type_.startswith(("STRUCT", "MAP"))
    return Column(column, type_ if type_ in known else None, is_nested)


def _parquet_column(column: str, type_: str) -> Column:
    plain = type_.partition("(")[0]
    known: str | None = None
    if plain.endswith("INT") or plain == "INTEGER":
        known = "BIGINT" if plain != "HUGEINT" else plain
    elif plain in {"DOUBLE", "FLOAT", "DECIMAL"}:
        known = "DOUBLE"
    elif plain in {"BOOLEAN", "DATE"}:
        known = plain
    elif plain.startswith("TIMESTAMP"):
        known = "TIMESTAMPTZ" if "ZONE" in plain else "TIMESTAMP"
    is_nested = type_.endswith("]") or plain in {"STRUCT", "MAP", "UNION", "BLOB"}
    return Column(column, None if is_nested else known, is_nested, is_text=False)


def _refuse_wide(columns: int, limits: Limits) -> None:
    if columns > limits.columns:
        raise Unusable(f"{columns} columns; {limits.columns} are allowed")


def _bad_csv(error: Exception) -> Unusable:
    said = str(error)
    line = _CSV_LINE.search(said)
    if line is None:
        return Unusable(f"it cannot be read as a table: {_first_line(error)}")
    widths = _CSV_COLUMNS.search(said)
    if widths is not None:
        return Unusable(f"line {line[1]}: {widths[2]} columns instead of {widths[1]}")
    if "unterminated quote" in said:
        return Unusable(f"line {line[1]}: a quote that is not closed")
    if "Maximum line size" in said:
        return Unusable(f"line {line[1]}: longer than {_LONGEST_LINE} bytes")
    return Unusable(f"line {line[1]}: cannot be read as a row")


def _bad_json(path: Path, error: Exception) -> Unusable:
    """The reason, with the first line that is no object; found by reading up to there."""
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    with path.open("rb") as file:
        number = 0
        while line := file.readline(_LONGEST_LINE + 1):
            number += 1
            if len(line) > _LONGEST_LINE:
                return Unusable(f"line {number}: longer than {_LONGEST_LINE} bytes")
            if not line.strip():
                continue
            try:
                decode(line)
            except (msgspec.DecodeError, RecursionError) as fault:
                return Unusable(f"line {number}: no JSON object: {_first_line(fault)}")
    return Unusable(f"it cannot be read as JSON lines: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    """What the library says, without our paths."""
    first = (str(error) or type(error).__name__).splitlines()[0]
    first = re.sub(r"^[A-Z]\w+( [A-Z]\w+)* Error: ", "", first)
    return re.sub(r"(in )?(file )?['\"]/[^'\"]*['\"]", "", first).strip()[:_LONGEST_REASON]
