"""The code of docs/flows.md does what the page says."""

import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.gateway.groups.conftest import House

PAGE = Path(__file__).parents[3] / "docs" / "flows.md"

pytestmark = pytest.mark.parametrize("bus_name", ["redis"], indirect=True)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The page's code as a module."""
    module = ModuleType("docs_flows")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec("\n\n".join(blocks("python")), module.__dict__)  # noqa: S102 - our own page
    return module


async def test_the_chain_and_the_group_of_the_page_run_to_their_end(house: House, page: Any) -> None:
    async with house.service(page.handlers):
        planned = await house.accept(page.PartyPlanned(party="tea", guests=["Ada", "nobody", "Grace", "Ada"]))
        listing = await house.final(f"party.list_guests:{planned}")
        opener = await house.final(f"party.invite:{listing['caused'][0]['id']}")
        group = await house.completed(opener["result"]["group"]["id"])
        counting = await house.final(f"party.count_letters:{group['then']['id']}")

    assert (group["members"], group["settled"], group["failed"]) == (3, 3, 1)
    assert counting["result"] == "tea: 2 of 3 letters written"


async def test_the_group_of_the_page_can_be_posted(house: House) -> None:
    [body] = blocks("json")

    answer = await house.client.post("/v1/groups", json=json.loads(body))

    assert answer.status_code == 202, answer.text
    assert answer.json()["members"] == 2
