"""The receiver in docs/webhooks.md does what the page says."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from inventory_service.signing import Message, Signer
from shared.contracts import InventoryReserved, StockLine

SECRET = "whsec_" + "A" * 43 + "="
MESSAGE = Message.of(
    InventoryReserved(order_id="order-1", lines=[StockLine(sku="cup", quantity=3)]),
    event_id="event-1",
    said_at="2026-11-22T06:00:00Z",
)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("WAREHOUSE_SECRET", SECRET)
    (code,) = re.findall(r"```python\n(.*?)```", Path("docs/webhooks.md").read_text(), re.DOTALL)
    names: dict[str, Any] = {"__name__": "receiver"}
    exec(code, names)  # noqa: S102 - our own page
    return names["app"]


async def test_the_receiver_packs_once_what_is_signed_and_refuses_what_is_not(
    receiver: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    now = datetime.now(UTC)
    signed, old = (Signer([SECRET]).headers(MESSAGE, at) for at in (now, now - timedelta(minutes=6)))
    forged = Signer(["whsec_" + "B" * 43 + "="]).headers(MESSAGE, now)

    transport = httpx.ASGITransport(receiver)
    async with httpx.AsyncClient(transport=transport, base_url="http://warehouse") as client:
        codes = [
            (await client.post("/hooks", content=MESSAGE.body, headers=headers)).status_code
            for headers in (signed, signed, forged, old, {})
        ]

    assert codes == [200, 200, 401, 401, 401]
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("pack")]
    assert said == ["pack order-1 [{'sku': 'cup', 'quantity': 3}]"]
