"""Each kind of report in each format, about a shop with known figures; read by others than wrote it."""

import csv
import io
import json
from datetime import date
from typing import Any, cast

import pypdfium2
import pytest
from openpyxl import load_workbook

from tests.report_service.conftest import KETTLE, MUG, NASTY, TEA, Making

KINDS = ("orders_summary", "sales_by_product", "customer_statement", "system_activity")


def text_of(pdf: bytes) -> str:
    with pypdfium2.PdfDocument(pdf) as document:
        return "\n".join(page.get_textpage().get_text_bounded() for page in document)


def lines_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def sheet_of(content: bytes, name: str) -> list[tuple[Any, ...]]:
    return [tuple(cell.value for cell in row) for row in load_workbook(io.BytesIO(content))[name].iter_rows()]


async def test_an_orders_summary_counts_the_orders_of_each_local_day(making: Making) -> None:
    report = json.loads(await making("orders_summary", "json"))

    euro, yen = report["tables"]
    assert [(row["day"], row["orders"], row["revenue_cents"]) for row in euro["rows"]] == [
        ("2026-11-01", 1, 2199),
        ("2026-11-02", 2, 2598),
        ("2026-11-03", 1, 0),
    ]
    assert euro["total"] == {
        "orders": 4,
        "confirmed": 2,
        "rejected": 1,
        "pending": 1,
        "revenue_cents": 4797,
        "average_cents": 2399,
    }
    assert (yen["currency"], yen["total"]["revenue_cents"]) == ("JPY", 2100)
    assert report["report"]["rows"] == 6


async def test_sales_are_those_of_confirmed_orders_best_first(making: Making) -> None:
    report = json.loads(await making("sales_by_product", "json"))

    euro = report["tables"][0]
    assert [(row["sku"], row["orders"], row["units"], row["revenue_cents"]) for row in euro["rows"]] == [
        (MUG, 2, 3, 3897),
        (TEA, 1, 2, 900),
    ]
    assert sum(row["share"] for row in euro["rows"]) == pytest.approx(1)
    assert euro["total"]["revenue_cents"] == 4797


async def test_a_statement_has_each_line_of_the_customers_orders(making: Making) -> None:
    report = json.loads(await making("customer_statement", "json"))

    rows = report["tables"][0]["rows"]
    assert report["report"]["about"]["Customer"] == NASTY
    assert [(row["order_id"], row["status"], row["sku"], row["amount_cents"]) for row in rows] == [
        ("=1+1", "confirmed", TEA, 900),
        ("=1+1", "confirmed", MUG, 1299),
        ("#panic()", "confirmed", MUG, 2598),
        ("o-3", "rejected", TEA, 450),
        ("o-4", "pending", KETTLE, 8900),
    ]
    assert report["tables"][0]["total"] == {"amount_cents": 4797}


async def test_the_sums_of_all_formats_agree(making: Making) -> None:
    summary = lines_of(await making("orders_summary", "csv"))
    book = await making("orders_summary", "xlsx")
    text = text_of(await making("orders_summary", "pdf"))

    assert sum(float(row["revenue"]) for row in summary if row["currency"] == "EUR") == 47.97
    assert sheet_of(book, "EUR")[-1] == ("Total", 4, 2, 1, 1, 47.97, 23.99)
    assert sheet_of(book, "JPY")[-1][5] == 2100
    assert "47.97" in text
    assert "2,100" in text


async def test_a_workbook_has_typed_cells_a_frozen_header_a_filter_and_a_chart(making: Making) -> None:
    book = load_workbook(io.BytesIO(await making("orders_summary", "xlsx")))

    euro = book["EUR"]
    assert book.sheetnames == ["Summary", "EUR", "JPY"]
    assert [cell.value for cell in euro[1]][-2:] == ["Revenue (EUR)", "Average order (EUR)"]
    assert euro["A2"].value.isoformat() == "2026-11-01T00:00:00"
    assert euro["A2"].number_format == "yyyy-mm-dd"
    assert (euro["F2"].value, euro["F2"].number_format) == (21.99, "#,##0.00")
    assert book["JPY"]["F4"].number_format == "#,##0"
    assert (euro.freeze_panes, euro.auto_filter.ref) == ("A2", "A1:G4")
    assert len(cast("Any", book["Summary"])._charts) == 2


async def test_csv_is_that_of_rfc_4180(making: Making) -> None:
    content = await making("customer_statement", "csv")

    assert content.count(b"\r\n") == content.count(b"\n") == 6
    first = lines_of(content)[0]
    assert first["ordered_at"] == "2026-11-01T22:30:00.000000Z"
    assert (first["unit_price"], first["currency"]) == ("4.50", "EUR")


async def test_a_pdf_has_a_cover_numbered_pages_and_a_title(making: Making) -> None:
    with pypdfium2.PdfDocument(await making("customer_statement", "pdf")) as document:
        title = document.get_metadata_dict()["Title"]
        pages = [page.get_textpage().get_text_bounded() for page in document]

    assert title == "Customer statement, 1 November 2026 – 3 November 2026"  # noqa: RUF001 - from, to
    assert "Customer statement" in pages[0]
    assert "Europe/Berlin" in pages[0]
    assert f"Page 2 of {len(pages)}" in pages[1]


@pytest.mark.parametrize("kind", ["orders_summary", "sales_by_product", "customer_statement"])
async def test_days_without_anything_give_a_valid_report(making: Making, kind: str) -> None:
    never = {"first_day": date(2020, 2, 28), "last_day": date(2020, 3, 1)}

    assert json.loads(await making(kind, "json", **never))["tables"] == []
    assert lines_of(await making(kind, "csv", **never)) == []
    assert sheet_of(await making(kind, "xlsx", **never), "Summary")[0][0]
    assert "Nothing was recorded" in text_of(await making(kind, "pdf", **never))


async def test_names_are_shown_as_they_are_and_are_nothing_else(making: Making) -> None:
    text = text_of(await making("customer_statement", "pdf"))
    cells = sheet_of(await making("customer_statement", "xlsx"), "EUR")
    lines = lines_of(await making("customer_statement", "csv"))
    book = load_workbook(io.BytesIO(await making("customer_statement", "xlsx")))

    assert 'Zoë #panic("x") $x$ *b*' in text
    assert "<script>" in text
    assert "=1+1" in text
    assert cells[1][1] == "=1+1"
    assert book["EUR"]["B2"].data_type == "s"
    assert lines[0]["order_id"] == "'=1+1"
    assert lines[2]["order_id"] == "#panic()"


async def test_the_same_report_made_again_lies_under_the_same_key(making: Making) -> None:
    first = await making.ready("orders_summary", "json")
    second = await making.ready("orders_summary", "json")

    assert first == second
    assert first.file_key == "reports/r-orders_summary.json"
    assert first.name == "orders-summary-2026-11-01-2026-11-03.json"


async def test_an_id_that_is_no_key_gets_one(making: Making) -> None:
    ready = await making.ready("orders_summary", "json", report_id="../../etc/passwd")

    assert ready.report_id == "../../etc/passwd"
    assert ready.file_key.startswith("reports/")
    assert ".." not in ready.file_key
