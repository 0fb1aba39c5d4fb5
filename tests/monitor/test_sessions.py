"""Who may read, once API_KEYS is set."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from pydantic import SecretStr

from monitor.door.sessions import COOKIE, Sessions, secret_of
from tests.monitor.bodies import Made, otlp
from tests.monitor.running import Running, running

KEYS = "reader-key==read,boss=admin,sender=publish+operate"


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncGenerator[Running]:
    async with running(tmp_path, api_keys=SecretStr(KEYS)) as started:
        yield started


async def test_nobody_reads_without_a_key(guarded: Running) -> None:
    page = await guarded.get("/traces", service="a b")
    query = await guarded.get("/api/services")

    assert (page.status_code, query.status_code) == (303, 401)
    assert page.headers["location"] == "/login?next=%2Ftraces%3Fservice%3Da%2Bb"
    assert query.headers["www-authenticate"] == "Bearer"
    assert query.json()["errors"][0]["code"] == 401


async def test_a_key_reads_when_it_has_the_scope(guarded: Running) -> None:
    statuses = {
        key: (
            await guarded.client.get("/api/services", headers={"Authorization": f"Bearer {key}"})
        ).status_code
        for key in ("reader-key=", "boss", "sender", "nobody", "reader-key")
    }

    assert statuses == {"reader-key=": 200, "boss": 200, "sender": 403, "nobody": 401, "reader-key": 401}


async def test_probes_numbers_and_the_collector_stay_open(guarded: Running) -> None:
    paths = ("/livez", "/readyz", "/metrics", "/login", "/static/monitor.css")

    assert [(await guarded.get(path)).status_code for path in paths] == [200] * 5
    assert (await guarded.post(otlp(Made(trace=1, span=1)))).status_code == 200


async def test_the_form_turns_a_key_into_a_session(guarded: Running) -> None:
    login = await guarded.client.post("/login", data={"key": "reader-key=", "next": "/traces?service=shop"})
    page = await guarded.get("/traces")

    cookie = login.headers["set-cookie"]
    assert (login.status_code, login.headers["location"]) == (303, "/traces?service=shop")
    assert all(part in cookie for part in (COOKIE, "HttpOnly", "SameSite=strict", "Path=/"))
    assert "Secure" not in cookie
    assert "reader-key" not in cookie
    assert page.status_code == 200


async def test_the_cookie_is_secure_behind_https(guarded: Running) -> None:
    login = await guarded.client.post("/login", data={"key": "boss"}, headers={"X-Forwarded-Proto": "https"})

    assert "Secure" in login.headers["set-cookie"]


async def test_the_form_refuses_other_keys_and_says_why(guarded: Running) -> None:
    unknown = await guarded.client.post("/login", data={"key": "guess"})
    without_scope = await guarded.client.post("/login", data={"key": "sender"})
    oversized = await guarded.client.post("/login", data={"key": "x" * 100_000})

    assert [answer.status_code for answer in (unknown, without_scope, oversized)] == [401, 403, 401]
    assert "is not known" in unknown.text
    assert "lacks the scope read" in without_scope.text
    assert "set-cookie" not in unknown.headers
    assert (await guarded.get("/traces")).status_code == 303


async def test_the_login_leads_to_no_other_site(guarded: Running) -> None:
    for goal in ("//evil.example", "/\\evil.example", "https://evil.example", "/\tx", ""):
        login = await guarded.client.post("/login", data={"key": "boss", "next": goal})

        assert login.headers["location"] == "/"


async def test_a_made_up_cookie_is_no_session(guarded: Running) -> None:
    page = await guarded.client.get("/traces", headers={"Cookie": f"{COOKIE}=guess"})

    assert page.status_code == 303


async def test_ten_wrong_keys_in_a_minute_are_enough(guarded: Running) -> None:
    statuses = [
        (await guarded.client.post("/login", data={"key": f"guess-{number}"})).status_code
        for number in range(11)
    ]

    assert statuses == [401] * 10 + [429]


async def test_the_end_of_a_session_takes_the_token_of_the_session(guarded: Running) -> None:
    await guarded.client.post("/login", data={"key": "boss"})
    page = await guarded.get("/traces")
    token = page.text.partition('data-csrf="')[2].partition('"')[0]

    without = await guarded.client.post("/logout")
    still = await guarded.get("/traces")
    out = await guarded.client.post("/logout", data={"csrf": token})

    assert (without.status_code, still.status_code, out.status_code) == (403, 200, 303)
    assert (await guarded.get("/traces")).status_code == 303


async def test_no_form_of_another_site_counts(guarded: Running) -> None:
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        login = await guarded.client.post("/login", data={"key": "boss"}, headers=headers)

        assert login.status_code == 403


async def test_no_script_and_no_style_within_a_page_would_run(guarded: Running) -> None:
    await guarded.client.post("/login", data={"key": "boss"})
    page = await guarded.get("/traces")

    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "style=" not in page.text
    assert page.text.count("<script") == 1


def test_a_session_ends_after_12_hours_and_is_opened_with_its_own_secret_only() -> None:
    now = [1000.0]
    sessions = Sessions(b"one", now=lambda: now[0])
    session = sessions.begin("the-key", name="ada", scopes=frozenset({"read"}))
    cookie = sessions.seal(session)

    assert sessions.opened(cookie) == session
    assert "the-key" not in cookie
    assert Sessions(b"one", now=lambda: now[0]).opened(cookie) == session, "another replica"
    assert Sessions(b"two", now=lambda: now[0]).opened(cookie) is None
    assert sessions.opened(cookie[:-4] + "AAAA") is None
    now[0] += 12 * 3600
    assert sessions.opened(cookie) is None
    assert sessions.opened(None) is None


def test_a_token_is_of_one_session() -> None:
    sessions = Sessions(b"secret")
    one, other = (sessions.begin(None, name="x", scopes=frozenset({"read"})) for _ in range(2))

    assert sessions.is_token(one, sessions.token(one))
    assert not sessions.is_token(one, sessions.token(other))
    assert not sessions.is_token(one, "\N{SNOWMAN}")


def test_the_secret_is_made_once_and_kept_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "monitor"

    first = secret_of("", folder)

    assert secret_of("", folder) == first
    assert len(first) == 32
    assert (folder / "secret").stat().st_mode & 0o077 == 0
    assert secret_of("given", folder) == b"given"


async def test_while_the_gateway_is_away_the_holders_of_api_keys_log_in_and_read_traces(
    tmp_path: Path,
) -> None:
    nowhere = "http://127.0.0.1:1"
    async with running(tmp_path, api_keys=SecretStr(KEYS), gateway_url=nowhere) as monitor:
        start = await monitor.get("/")
        login = await monitor.client.post("/login", data={"key": "boss"})
        jobs, traces = await monitor.get("/jobs"), await monitor.get("/traces")
        other = await monitor.client.post("/login", data={"key": "made-later"})

    assert (start.status_code, start.headers["location"]) == (303, "/login?next=%2F")
    assert (login.status_code, traces.status_code) == (303, 200)
    assert jobs.status_code == 503
    assert "no answer from the gateway" in jobs.text
    assert other.status_code == 503
    assert "cannot be checked" in other.text


async def test_where_everybody_may_look_a_browser_without_cookies_is_not_sent_in_circles(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as monitor:
        page = await monitor.client.get("/traces", headers={"Accept": "text/html"})
        again = await monitor.client.get("/traces", headers={"Accept": "text/html"})
        program = await monitor.client.get("/api/services", headers={"Cookie": ""})

    assert page.status_code == 200
    assert COOKIE in page.headers["set-cookie"]
    assert "set-cookie" not in again.headers
    assert "set-cookie" not in program.headers
