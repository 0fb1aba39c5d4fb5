"""What visitors of a shop do: a chance in, one request after the other out, mixed as in life."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

PRODUCTS = 20
_STOCK = 100_000
_ITEMS_MAX = 3
_WORDS = ("late", "lovely", "broken", "blue", "urgent", "fragile")


@dataclass(frozen=True)
class Step:
    """One request; `name` is what the tables call it."""

    name: str
    method: str
    path: str
    how: dict[str, Any]


@dataclass
class Traffic:
    """Chooses what is sent next. Orders and notifications need users, so the first steps register some."""

    chance: random.Random
    today: date
    users: list[str] = field(default_factory=list[str])

    def first(self) -> list[Step]:
        """What has to be there before orders make sense: products, and stock of them."""
        steps: list[Step] = []
        for number in range(PRODUCTS):
            product = _json(name=f"Thing {number}", unit_price_cents=500 + 37 * number)
            steps.append(Step("product", "PUT", f"/v1/products/{sku(number)}", product))
            steps.append(Step("stock", "POST", f"/v1/products/{sku(number)}/stock", _json(quantity=_STOCK)))
        return steps

    def next(self) -> Step:
        """One request of the mix."""
        makers: dict[Callable[[], Step], int] = {
            self._user: 25,
            self._order: 40,
            self._notification: 15,
            self._mail: 12,
            self._file: 6,
            self._report: 2,
        }
        make = self.chance.choices(list(makers), weights=list(makers.values()))[0]
        return make() if self.users else self._user()

    def learn(self, step: Step, answer: dict[str, Any]) -> None:
        """Keep what later steps build on."""
        if step.name == "user":
            self.users.append(answer["id"])

    def _user(self) -> Step:
        number = uuid4().hex[:12]
        return Step("user", "POST", "/v1/users", _json(name=f"Load {number}", email=f"{number}@load.example"))

    def _order(self) -> Step:
        chosen = self.chance.sample(range(PRODUCTS), self.chance.randint(1, _ITEMS_MAX))
        items = [{"sku": sku(n), "quantity": self.chance.randint(1, 4)} for n in chosen]
        return Step("order", "POST", "/v1/orders", _json(user_id=self._somebody(), items=items))

    def _notification(self) -> Step:
        body = _json(user_id=self._somebody(), subject="Something changed", text=self._text())
        return Step("notification", "POST", "/v1/notifications", body)

    def _mail(self) -> Step:
        body = _json(to=f"{uuid4().hex[:8]}@load.example", subject="A mail", text=self._text())
        return Step("mail", "POST", "/v1/emails", body)

    def _file(self) -> Step:
        rows = "".join(f"{n},{self.chance.gauss(10, 3):.2f},{self._text()}\n" for n in range(200))
        how: dict[str, Any] = {
            "params": {"name": "load.csv"},
            "headers": {"Content-Type": "text/csv"},
            "content": f"n,value,word\n{rows}",
        }
        return Step("file", "POST", "/v1/files", how)

    def _report(self) -> Step:
        day = self.today.isoformat()
        body = _json(kind="orders_summary", format="csv", first_day=day, last_day=day)
        return Step("report", "POST", "/v1/reports", body)

    def _somebody(self) -> str:
        return self.chance.choice(self.users)

    def _text(self) -> str:
        return " ".join(self.chance.choices(_WORDS, k=3))


def sku(number: int) -> str:
    """The product's name in the catalogue."""
    return f"load-{number:02d}"


def _json(**body: Any) -> dict[str, Any]:
    return {"json": body}
