"""A group of mails through the whole system: the last mail goes out when all others are done with."""

from uuid import uuid4

from tests.e2e.conftest import Outside, System


async def test_a_mail_follows_when_all_mails_of_a_group_are_done_with(
    system: System, outside: Outside
) -> None:
    run = uuid4().hex[:8]
    guests = [f"{name}.{run}@example.com" for name in ("ada", "grace", "mary")]
    group = {
        "events": [_mail(guest, "Invitation") for guest in guests],
        "then": _mail(f"host.{run}@example.com", "All are asked"),
    }

    opened = await outside.http.post("/v1/groups", json=group)
    assert opened.status_code == 202, opened.text
    followed = await system.mail_to(f"host.{run}@example.com", within=30)
    shown = (await outside.http.get(opened.headers["location"])).json()
    following = (await outside.http.get(f"/v1/events/{shown['then']['id']}")).json()

    assert followed["Subject"] == "All are asked"
    assert [len(system.mails_to(guest)) for guest in guests] == [1, 1, 1]
    assert (shown["state"], shown["members"], shown["settled"], shown["failed"]) == ("completed", 3, 3, 0)
    assert following["attributes"]["groupsize"] == "3"
    assert following["correlation_id"] == shown["id"]


def _mail(to: str, subject: str) -> dict[str, object]:
    data = {"email_id": uuid4().hex, "to": to, "subject": subject, "text": "Come, all of you."}
    return {"type": "email.requested", "data": data}
