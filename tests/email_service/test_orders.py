"""Mails about orders: what they say, to whom, and that nothing of it can break out of its place."""

from email.message import EmailMessage

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from email_service.handlers import PostOffice, send_order_confirmation, send_order_rejection
from email_service.mail import Writer
from email_service.mailbook import MailBook
from email_service.money import money
from email_service.smtp import Mailer
from shared.contracts import EmailSent, InventoryRejected, OrderCreated, OrderItem, Shortage
from tests.email_service.conftest import EVENT_ID, NO_FILES, enclosures, job
from tests.email_service.scripted_relay import ScriptedRelay

ORDER = OrderCreated(
    order_id="order-7",
    user_id="7",
    email="ada@example.com",
    name="Ada Lovelace",
    currency="EUR",
    items=[
        OrderItem(sku="TEA-100", name="Tea, 100 g", quantity=2, unit_price_cents=450),
        OrderItem(sku="CUP", quantity=1, unit_price_cents=123_450),
    ],
    total_cents=124_350,
)
SHORT = InventoryRejected(
    order_id="order-7",
    shortages=[Shortage(sku="TEA-100", wanted=2, available=1), Shortage(sku="CUP", wanted=1, available=0)],
    email="ada@example.com",
    name="Ada Lovelace",
)


@pytest.fixture
def office(writer: Writer, mailer: Mailer, engine: AsyncEngine) -> PostOffice:
    return PostOffice(writer, MailBook(engine, on_unknown="resend"), mailer, enclosures(NO_FILES))


def parts(mail: EmailMessage) -> tuple[str, str]:
    plain, rich = mail.get_body(["plain"]), mail.get_body(["html"])
    assert plain is not None
    assert rich is not None
    return plain.get_content(), rich.get_content()


async def confirm(order: OrderCreated, office: PostOffice) -> object:
    return await send_order_confirmation(order, job("email.send_order_confirmation", order, 1), office)


async def reject(event: InventoryRejected, office: PostOffice) -> object:
    return await send_order_rejection(event, job("email.send_order_rejection", event, 1), office)


async def test_who_orders_is_told_that_we_have_the_order_and_what_it_costs(
    office: PostOffice, relay: ScriptedRelay
) -> None:
    outcome = await confirm(ORDER, office)

    assert outcome == EmailSent(email_id=EVENT_ID, relay_id="Q0001")
    [mail] = relay.mails
    assert (mail["To"], mail["Subject"]) == (
        "Ada Lovelace <ada@example.com>",
        "We have your order order-7",
    )
    plain, rich = parts(mail)
    assert "2 x Tea, 100 g (TEA-100), 4.50 EUR each: 9.00 EUR\n" in plain
    assert "1 x CUP (CUP), 1,234.50 EUR each: 1,234.50 EUR\n" in plain
    assert "Total: 1,243.50 EUR\n" in plain
    for words in ("Tea, 100 g", "TEA-100", "4.50 EUR", "9.00 EUR", "1,243.50 EUR", "Thank you, Ada Lovelace"):
        assert words in rich
    # Whether all is in stock is not known yet.
    assert "confirm" not in (plain + rich).lower()


async def test_who_cannot_get_what_was_ordered_is_told_what_is_missing(
    office: PostOffice, relay: ScriptedRelay
) -> None:
    outcome = await reject(SHORT, office)

    assert outcome == EmailSent(email_id=EVENT_ID, relay_id="Q0001")
    [mail] = relay.mails
    assert mail["Subject"] == "We cannot send your order order-7"
    plain, rich = parts(mail)
    assert "TEA-100: you wanted 2, there are 1\nCUP: you wanted 1, there are none\n" in plain
    assert "TEA-100" in rich


async def test_nobody_is_told_where_the_event_does_not_say_who_ordered(
    office: PostOffice, relay: ScriptedRelay
) -> None:
    assert await reject(SHORT.model_copy(update={"email": None}), office) is None
    assert relay.mails == []


async def test_names_are_text_and_never_markup_or_headers(office: PostOffice, relay: ScriptedRelay) -> None:
    evil = "<b onclick=x>{{ 7 * 7 }}</b>"
    item = OrderItem(sku="X", name=evil, quantity=1, unit_price_cents=1)
    order = ORDER.model_copy(update={"name": evil, "items": [item], "total_cents": 1})

    await confirm(order, office)

    plain, rich = parts(relay.mails[0])
    assert evil in plain
    assert evil not in rich
    assert rich.count("&lt;b onclick=x&gt;{{ 7 * 7 }}&lt;/b&gt;") == 3  # the preview, the greeting, the item


async def test_a_customer_without_a_name_is_greeted_all_the_same(
    office: PostOffice, relay: ScriptedRelay
) -> None:
    await confirm(ORDER.model_copy(update={"name": None}), office)

    assert relay.mails[0]["To"] == "ada@example.com"
    assert "Hello customer,\n" in parts(relay.mails[0])[0]


def test_money_has_the_digits_of_its_currency() -> None:
    assert [money(123_450, currency) for currency in ("EUR", "JPY", "KWD", "CLF", "XXX")] == [
        "1,234.50 EUR",
        "123,450 JPY",
        "123.450 KWD",
        "12.3450 CLF",
        "1,234.50 XXX",
    ]
    assert [money(cents, "EUR") for cents in (0, 5, 10**12)] == [
        "0.00 EUR",
        "0.05 EUR",
        "10,000,000,000.00 EUR",
    ]
