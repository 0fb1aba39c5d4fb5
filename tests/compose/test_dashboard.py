"""The dashboard and the alerts ask for metrics; each has to be one that a process shows."""

import json
import re
from pathlib import Path
from typing import Any

import yaml
from httpx import AsyncClient

from launcher.services import SERVICES
from shared.telemetry import Metrics
from tests.gateway.door.conftest import client, settings

__all__ = ["client", "settings"]  # fixtures of the door

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
PROMETHEUS_OWN = {"up"}
# What stands before a brace, a range or a closing parenthesis and is no function or label.
NAME = re.compile(r"\b([a-z][a-z0-9]*(?:_[a-z0-9]+)+|up)\b(?=\{|\[|\)| [=<>/]|$)")


async def test_the_dashboard_and_the_alerts_ask_for_metrics_that_exist(client: AsyncClient) -> None:
    shown = names_on((await client.get("/metrics")).text)
    shown |= names_on(Metrics(service="email", version="1").render().decode())

    asked = {name for query in queries() for name in NAME.findall(query)}

    assert asked - shown - PROMETHEUS_OWN == set()
    assert {"trunkline_jobs_total", "trunkline_handler_backlog", "trunkline_relay_waiting"} <= asked


def test_every_panel_asks_the_provisioned_prometheus_and_none_covers_another() -> None:
    panels = dashboard()["panels"]
    cells = [cell for panel in panels for cell in cells_of(panel["gridPos"])]

    assert {panel["datasource"]["uid"] for panel in panels} == {provisioned("prometheus")}
    assert len(cells) == len(set(cells))
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_every_replica_of_every_service_is_scraped() -> None:
    scraped = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())["scrape_configs"][0]

    assert set(scraped["dns_sd_configs"][0]["names"]) == {service.name for service in SERVICES}


def queries() -> list[str]:
    rules = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())["groups"][0]["rules"]
    targets = [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]
    return [*targets, *(rule["expr"] for rule in rules)]


def dashboard() -> dict[str, Any]:
    return json.loads((DEPLOY / "grafana/dashboards/trunkline.json").read_text())


def provisioned(kind: str) -> str:
    sources = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text())
    return next(source["uid"] for source in sources["datasources"] if source["type"] == kind)


def cells_of(place: dict[str, int]) -> list[tuple[int, int]]:
    columns = range(place["x"], place["x"] + place["w"])
    return [(x, y) for x in columns for y in range(place["y"], place["y"] + place["h"])]


def names_on(page: str) -> set[str]:
    """The names of all series, a histogram's three included, also of those that have no series yet."""
    names: set[str] = set()
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE):
        names |= {f"{name}_bucket", f"{name}_count", f"{name}_sum"} if kind == "histogram" else {name}
    return names
