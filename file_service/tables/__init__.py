"""Tables: CSV, JSON lines and Parquet in; columns with their types, ranges and most frequent values out."""

from file_service.tables.csv_dialect import Dialect, dialect_of
from file_service.tables.examination import examine_csv, examine_jsonl, examine_parquet

__all__ = ["Dialect", "dialect_of", "examine_csv", "examine_jsonl", "examine_parquet"]
