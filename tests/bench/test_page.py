"""Measurements become a page: tables, goals, where a peer is better, plots; the prose stays as it is."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest

from bench.page import write_page
from bench.page.__main__ import main
from bench.page.answer import answers, short_answer
from bench.page.blocks import PageInvalid, fill, names
from bench.page.costs import needed, processes, terms
from bench.page.page import FORM
from bench.page.peers import NOWHERE, UNCOMPARED, where_a_peer_is_better
from bench.page.sections import sections
from bench.page.table import number, section_table
from bench.result import Machine, Measurement, Results

MACHINE = Machine(
    cores=2, cpu="a CPU", memory_gb=16, kernel="6.1", python="3.13.1", load=[0.1, 0.2, 0.3], steal=0.0
)


def measured(
    contender: str, *values: float, figure: str = "drain", variant: str = "1 process", unit: str = "jobs/s"
) -> Measurement:
    return Measurement(
        figure=figure,
        contender=contender,
        title=contender.capitalize(),
        variant=variant,
        unit=unit,
        values=list(values),
        load=[0.01, 0.12],
    )


def results(*measurements: Measurement, failures: Sequence[str] = ()) -> Results:
    return Results(
        taken_at=datetime(2026, 11, 23, 9, 30, tzinfo=UTC),
        machine=MACHINE,
        versions={"saq": "0.26.1"},
        rounds=3,
        took_s=1200,
        measurements=list(measurements),
        notes={"saq": "concurrency 256"},
        failures=list(failures),
    )


DRAINS = (
    measured("floor_state", 20_000),
    measured("celery", 900),
    measured("saq", 2400, 2500, 2300),
    measured("trunkline", 12_000, 11_000, 13_000),
)


def test_a_table_has_ours_first_then_peers_from_the_best_on_then_what_is_possible() -> None:
    table = section_table(sections(results(*DRAINS))["drain"])

    assert re.findall(r"^\| (\S+) \|", table, re.MULTILINE)[1:] == [
        "**Trunkline**",
        "Saq",
        "Celery",
        "*Floor_state*",
    ]


def test_a_cell_tells_the_median_the_least_and_the_most_and_the_row_the_load_of_others() -> None:
    table = section_table(sections(results(*DRAINS))["drain"])

    assert "| **Trunkline** | 12,000 (11,000 to 13,000) | 12% |" in table


def test_figures_of_one_section_and_numbers_of_processes_are_columns_of_one_table() -> None:
    run = results(
        measured("huey", 2400),
        measured("huey", 3100, variant="greenlet, 1 process"),
        measured("huey", 4800, variant="2 processes"),
    )

    table = section_table(sections(run)["drain"])

    assert table.splitlines()[0] == "|  | 1 process, jobs/s | 2 processes, jobs/s | load of others |"
    assert "| Huey (greenlet) | 3,100 | - |" in table
    assert "| Huey | 2,400 | 4,800 |" in table


@pytest.mark.parametrize(
    ("value", "shown"), [(10106.4, "10,106"), (104.4, "104"), (44.31, "44.3"), (1.306, "1.31"), (0, "0")]
)
def test_numbers_have_three_figures(value: float, shown: str) -> None:
    assert number(value) == shown


def test_a_goal_is_held_against_the_fastest_peer_that_acknowledges() -> None:
    run = results(*DRAINS, measured("huey", 5900))

    first, second = answers(run)[:2]

    assert (first.other and first.other.contender, first.value, first.is_reached) == ("saq", 5.0, True)
    assert (second.other and second.other.contender, second.is_reached) == ("huey", True)
    assert "| at least 4 x | 5.00 x | 12,000 against 2,400 jobs/s: Saq | reached |" in short_answer(run)


def test_a_goal_that_is_missed_by_a_hair_does_not_look_reached() -> None:
    run = results(measured("trunkline", 10_000), measured("trunkline", 15_999, variant="2 processes"))

    assert "| at least 1.6 x | 1.5999 x |" in short_answer(run)
    assert "**not reached**" in short_answer(run)


def test_a_run_beside_other_programs_says_so_first() -> None:
    answer = short_answer(results(*DRAINS))

    assert answer.startswith(
        "**Other programs used the machine**: more than 10% of it in 4 of 8 measurements"
    )


def test_a_quick_run_says_so_first() -> None:
    run = msgspec.structs.replace(results(*DRAINS), rounds=1)

    assert short_answer(run).startswith("**Rounds: 1.**")


def test_goals_whose_figures_were_not_taken_are_named() -> None:
    answer = short_answer(results(*DRAINS))

    assert "Not measured in this run: drain, against Huey at its best placement;" in answer
    assert "pickup p99, ms" in answer.rpartition("Not measured")[2]


def test_a_peer_that_is_better_is_told_with_its_margin() -> None:
    run = results(
        *DRAINS,
        measured("trunkline", 1.5, 1.6, figure="pickup_p50", variant="", unit="ms"),
        measured("huey", 1.2, 1.3, figure="pickup_p50", variant="", unit="ms"),
        measured("arq", 260, figure="pickup_p50", variant="", unit="ms"),
    )

    better = where_a_peer_is_better(run)

    assert better == "- **Pickup at idle, p50, ms**: Trunkline 1.55; Huey 1.25, 1.24 x"


def test_a_lead_within_the_spread_of_the_rounds_is_told_as_such() -> None:
    run = results(measured("trunkline", 900, 1000, 1200), measured("saq", 1000, 1100, 1300))

    assert where_a_peer_is_better(run).endswith("Saq 1,100, 1.10 x (the rounds overlap)")


def test_peers_are_held_against_trunkline_as_it_runs_by_default() -> None:
    run = results(
        measured("trunkline", 4000, figure="door", variant="", unit="requests/s"),
        measured("trunkline", 5000, figure="door", variant="with a trick", unit="requests/s"),
        measured("arq", 4500, figure="door", variant="", unit="requests/s"),
    )

    assert (
        where_a_peer_is_better(run) == "- **The HTTP door, requests/s**: Trunkline 4,000; Arq 4,500, 1.12 x"
    )


def test_no_peer_is_better_when_the_figures_say_so() -> None:
    assert where_a_peer_is_better(results(*DRAINS)) == NOWHERE


def test_nothing_is_claimed_of_peers_that_were_not_measured() -> None:
    assert where_a_peer_is_better(results(measured("trunkline", 9))) == UNCOMPARED


def test_a_raw_loop_is_no_peer() -> None:
    run = results(measured("trunkline", 9), measured("celery", 1), measured("floor_ack", 90))

    assert where_a_peer_is_better(run) == NOWHERE


def test_a_rerun_writes_the_figures_and_keeps_the_prose(tmp_path: Path) -> None:
    page = tmp_path / "speed.md"
    page.write_text("# Ours\n\n<!-- bench:drain -->\n<!-- bench:end -->\n\nSaid by hand.\n")

    write_page(results(*DRAINS), page)
    once = page.read_text()
    write_page(results(*DRAINS), page)

    assert page.read_text() == once
    assert once.startswith("# Ours\n")
    assert once.endswith("\nSaid by hand.\n")
    assert "| Celery | 900 |" in once


def test_a_figure_that_was_not_taken_leaves_no_old_number_behind(tmp_path: Path) -> None:
    page = tmp_path / "speed.md"
    page.write_text("<!-- bench:drain -->\n<!-- bench:end -->\n")
    write_page(results(*DRAINS), page)

    write_page(results(), page)

    assert "Not measured in this run." in page.read_text()
    assert "900" not in page.read_text()
    assert list((tmp_path / "speed").glob("*.svg")) == []


def test_plots_are_well_formed_and_the_page_shows_each(tmp_path: Path) -> None:
    page = tmp_path / "speed.md"

    written = write_page(results(*DRAINS, measured("a<b", 7)), page)

    plots = [path for path in written if path.suffix == ".svg"]
    assert [path.name for path in plots] == ["drain-1-process.svg"]
    assert "(speed/drain-1-process.svg)" in page.read_text()
    drawing = ET.fromstring(plots[0].read_text())  # noqa: S314 - drawn by ourselves
    words = [element.text for element in drawing.iter() if element.text]
    assert {"Trunkline", "12,000", "Saq", "A<b"} <= set(words)


def test_a_place_that_nothing_belongs_in_is_refused() -> None:
    with pytest.raises(PageInvalid, match="bench:drian"):
        fill("<!-- bench:drian -->\n<!-- bench:end -->\n", {"drain": ""})


def test_a_block_without_an_end_is_refused() -> None:
    with pytest.raises(PageInvalid, match="no `<!-- bench:end -->`"):
        names("<!-- bench:drain -->\ntext\n")


def test_the_pages_of_the_project_can_be_filled(tmp_path: Path) -> None:
    page = tmp_path / FORM.name
    for name in (FORM.name, "scaling.md"):
        (tmp_path / name).write_text(FORM.with_name(name).read_text())

    written = write_page(results(*DRAINS, failures=["rq: did not start"]), page)

    assert (tmp_path / "scaling.md") in written
    assert "| SAQ |" not in page.read_text()
    assert "- rq: did not start" in page.read_text()
    assert "12,000 (11,000 to 13,000) jobs/s" in (tmp_path / "scaling.md").read_text()


def test_the_cost_model_counts_overhead_and_own_work() -> None:
    assert needed(1000, rate=10_000, own_s=0.001) == 2  # 0.1 + 1 busy processes, each busy 70 % of the time
    assert needed(10_000, rate=10_000, own_s=0) == 2


def test_the_cost_model_knows_nothing_that_was_not_measured() -> None:
    assert terms(results()) == processes(results()) == "Not measured in this run."


def test_results_that_cannot_be_read_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = tmp_path / "results.json"
    found.write_text("{}")
    monkeypatch.setattr("sys.argv", ["page", str(found)])

    assert main() == 2

    assert str(found) in capsys.readouterr().err
