"""What the demo does, chapter by chapter, and what each leaves behind: mails, a profile, a report, traces."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from launcher.demo.door import DemoFailed, Door, until
from launcher.demo.logs import line_of
from launcher.demo.measurements import ROWS, measurements
from launcher.demo.trace import Span, spans_of
from launcher.maildir import Mail, mail_of_job

if TYPE_CHECKING:
    from launcher.demo.screen import Screen
    from launcher.state import State

_ENDS_OF_THE_TRACE = {"POST /v1/orders", "SMTP send"}
_STOCK = {"lamp": 5, "chair": 40}
_PRICES_CENTS = {"lamp": 4_990, "chair": 12_900}


class Story:
    """One run through the system; `tell` is its table of contents."""

    def __init__(self, door: Door, screen: Screen, state: State, data: Path) -> None:
        self._door = door
        self._screen = screen
        self._state = state
        self._data = data
        self._mails: list[Mail] = []
        self._traces: list[tuple[str, str, str]] = []

    async def tell(self) -> None:
        """Every chapter; DemoFailed at the first step that was not seen to work."""
        user = await self._a_user_registers()
        await self._goods_come_in()
        order = await self._an_order_is_confirmed(user)
        await self._an_order_is_rejected(user)
        await self._a_file_is_profiled()
        await self._a_report_is_mailed(user)
        await self._a_schedule_runs()
        await self._one_trace_tells_it_all(order)
        self._sum_up()

    async def _a_user_registers(self) -> dict[str, Any]:
        self._screen.chapter("A user registers")
        body = {"name": "Ada Lovelace", "email": f"ada.{uuid4().hex[:8]}@example.com"}
        user = await self._door.ask("POST", "/v1/users", json=body)
        self._screen.say("user", f"POST /v1/users -> 201, {user['name']} <{user['email']}>, id {user['id']}")
        jobs = await self._door.follow_all(user)
        await self._mail(jobs["email.send_welcome"]["id"])
        self._remember("user registered", user["id"], user["trace_id"])
        return user

    async def _goods_come_in(self) -> None:
        self._screen.chapter("Goods come in")
        for sku, price in _PRICES_CENTS.items():
            await self._door.ask(
                "PUT", f"/v1/products/{sku}", json={"name": sku.capitalize(), "unit_price_cents": price}
            )
            path = f"/v1/products/{sku}"
            before = (await self._door.ask("GET", path))["available"]
            missing = _STOCK[sku] - before
            if missing:
                await self._door.follow_all(
                    await self._door.ask("POST", f"{path}/stock", json={"quantity": missing})
                )
            await until(lambda path=path, sku=sku: self._has(path, _STOCK[sku]), f"the stock of {sku}")
            self._screen.say("stock", f"{_STOCK[sku]} of {sku!r} at {price / 100:.2f}")

    async def _has(self, path: str, available: int) -> bool:
        return (await self._door.ask("GET", path))["available"] == available

    async def _an_order_is_confirmed(self, user: dict[str, Any]) -> dict[str, Any]:
        self._screen.chapter("An order there is enough for: three jobs, independent of each other")
        items = [{"sku": "lamp", "quantity": 2}, {"sku": "chair", "quantity": 4}]
        accepted = await self._order(user, items)
        jobs = await self._door.follow_all(accepted)
        order = await self._door.becomes(f"/v1/orders/{accepted['id']}", "confirmed", "rejected")
        self._screen.say("order", f"{order['id']} is {order['status']}, {order['total_cents'] / 100:.2f}")
        if order["status"] != "confirmed":
            raise DemoFailed(f"the order was {order['status']} though there is enough")
        await self._mail(jobs["email.send_order_confirmation"]["id"])
        reserved = await self._door.caused(accepted["event_id"], "inventory.reserved")
        told = next(job for job in reserved["jobs"] if job["handler"] == "inventory.notify_warehouse")
        result = (await self._door.follow(told["id"]))["result"]
        self._screen.say("webhook", f"the warehouse answered {result}")
        self._remember("order confirmed", order["id"], accepted["trace_id"])
        return accepted

    async def _an_order_is_rejected(self, user: dict[str, Any]) -> None:
        self._screen.chapter("An order there is not enough for")
        accepted = await self._order(user, [{"sku": "lamp", "quantity": 50}])
        await self._door.follow_all(accepted)
        order = await self._door.becomes(f"/v1/orders/{accepted['id']}", "confirmed", "rejected")
        self._screen.say("order", f"{order['id']} is {order['status']}: {order['shortages']}")
        if order["status"] != "rejected":
            raise DemoFailed(f"the order was {order['status']} though there is not enough")
        rejected = await self._door.caused(accepted["event_id"], "inventory.rejected")
        letter = next(job for job in rejected["jobs"] if job["handler"] == "email.send_order_rejection")
        await self._door.follow(letter["id"])
        await self._mail(letter["id"])
        self._remember("order rejected", order["id"], accepted["trace_id"])

    async def _order(self, user: dict[str, Any], items: list[dict[str, Any]]) -> dict[str, Any]:
        order = await self._door.ask("POST", "/v1/orders", json={"user_id": user["id"], "items": items})
        self._screen.say("order", f"POST /v1/orders -> 202, {order['id']} is {order['status']}")
        return order

    async def _a_file_is_profiled(self) -> None:
        self._screen.chapter(f"A file of {ROWS:,} rows is uploaded as a stream and profiled")
        accepted = await self._door.ask(
            "POST",
            "/v1/files",
            params={"name": "measurements.csv"},
            headers={"Content-Type": "text/csv"},
            content=measurements(),
        )
        await self._door.follow_all(accepted)
        file = await self._door.becomes(f"/v1/files/{accepted['id']}", "processed", "rejected")
        if file["status"] != "processed":
            raise DemoFailed(f"the file was rejected: {file.get('reason')}")
        profile = file["profile"]
        self._screen.say("file", f"{profile['rows']:,} rows of {len(profile['columns'])} columns")
        for column in profile["columns"]:
            self._screen.say(
                "column",
                f"{column['name']} {column['type']}, {column['nulls']} missing, "
                f"{column.get('min')} .. {column.get('max')}",
            )
        self._remember("file profiled", file["id"], accepted["trace_id"])

    async def _a_report_is_mailed(self, user: dict[str, Any]) -> None:
        self._screen.chapter("A report is typeset and mailed")
        today = datetime.now(UTC).date().isoformat()
        accepted = await self._door.ask(
            "POST",
            "/v1/reports",
            json={
                "kind": "orders_summary",
                "format": "pdf",
                "first_day": today,
                "last_day": today,
                "email_to": user["email"],
            },
        )
        await self._door.follow_all(accepted)
        path = f"/v1/reports/{accepted['id']}"
        report = await self._door.becomes(path, "ready", "failed")
        if report["status"] != "ready":
            raise DemoFailed(f"the report failed: {report.get('reason')}")
        content = await self._door.download(f"{path}/content")
        kept = self._data / "demo-report.pdf"
        await asyncio.to_thread(kept.write_bytes, content)
        self._screen.say("report", f"{len(content):,} bytes of PDF at {kept}")
        letter = await self._door.caused(accepted["event_id"], "email.requested")
        await self._door.follow_all(letter)
        await self._mail(letter["jobs"][0]["id"])
        self._remember("report mailed", report["id"], accepted["trace_id"])

    async def _a_schedule_runs(self) -> None:
        self._screen.chapter("A schedule is run by hand")
        schedules = await self._door.ask("GET", "/v1/schedules")
        for schedule in schedules["items"]:
            when = schedule.get("cron") or f"every {schedule.get('every')}"
            self._screen.say("schedule", f"{schedule['name']} ({when}), next at {schedule['next_at']}")
        accepted = await self._door.ask("POST", "/v1/schedules/health-check/run")
        jobs = await self._door.follow_all(accepted)
        for handler, job in jobs.items():
            for service, health in job["result"]["services"].items():
                self._screen.say(
                    "result", f"{handler}: {service} {'answers' if health['ok'] else health['why']}"
                )
        self._remember("schedule run", "health-check", accepted["trace_id"])

    async def _one_trace_tells_it_all(self, order: dict[str, Any]) -> None:
        trace_id = order["trace_id"]
        self._screen.chapter(f"One trace of the confirmed order, {trace_id}")
        for service in ("gateway", "inventory", "email"):
            line = await until(
                lambda service=service: asyncio.to_thread(line_of, self._data, service, trace_id),
                f"a log line of the {service} service",
            )
            self._screen.say("log", line)
        if self._state.monitor is None:
            return

        async def whole() -> list[Span] | None:
            spans = await spans_of(self._state, trace_id)
            # Each process sends its own spans when it is time.
            return spans if {span.name for span in spans} >= _ENDS_OF_THE_TRACE else None

        for span in await until(whole, "the trace in the monitor"):
            text = f"{'  ' * span.depth}{span.name} ({span.service}, {span.duration_ms:.1f} ms)"
            self._screen.say("span", text)

    async def _mail(self, job_id: str) -> None:
        maildir = Path(self._state.mail or "")
        mail = await until(lambda: asyncio.to_thread(mail_of_job, maildir, job_id), "the mail")
        self._mails.append(mail)
        self._screen.say("mail", f"{mail.subject!r} to {mail.to}, {mail.path}")

    def _remember(self, what: str, id_: str, trace_id: str) -> None:
        self._traces.append((what, id_, trace_id))

    def _sum_up(self) -> None:
        self._screen.table("What happened", ("what", "id", "trace id"), self._traces)
        self._screen.table("Mails", ("subject", "to"), [(mail.subject, mail.to) for mail in self._mails])
        if self._state.monitor:
            self._screen.say("see", f"{self._state.monitor}/traces/<trace id> while the system runs")
