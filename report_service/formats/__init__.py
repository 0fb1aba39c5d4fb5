"""How a report is written: a document in, a file out; a module a format. Each blocks while it writes."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from report_service.document import Document, House
from report_service.formats.csv_file import write_csv
from report_service.formats.json_file import write_json
from report_service.formats.pdf import write_pdf
from report_service.formats.workbook import write_workbook
from shared.contracts import ReportFormat


class Format(NamedTuple):
    """A format's media type, and what writes it."""

    media_type: str
    write: Callable[[Document, Path, House], None]
    """The document, where to write it, and whose it is."""


FORMATS: Mapping[ReportFormat, Format] = {
    "pdf": Format("application/pdf", write_pdf),
    "xlsx": Format("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", write_workbook),
    "csv": Format("text/csv; charset=utf-8", write_csv),
    "json": Format("application/json", write_json),
}

__all__ = ["FORMATS", "Format"]
