"""The warehouse's settings: what cannot work stops the start and says why, without telling a secret."""

import pytest

from inventory_service.settings import InventorySettings
from shared.errors import SettingsError

SECRET = "whsec_" + "A" * 43 + "="
URL = "https://warehouse.example.com/hooks/s3cr3t"


def load(monkeypatch: pytest.MonkeyPatch, **variables: str) -> InventorySettings:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return InventorySettings.load()


def test_without_an_url_nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch).warehouse is None
    assert load(monkeypatch, WAREHOUSE_URL="").warehouse is None


def test_a_public_host_needs_its_url_and_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = load(monkeypatch, WAREHOUSE_URL=URL, WAREHOUSE_SECRET=f"{SECRET},{SECRET}").warehouse

    assert endpoint is not None
    assert (endpoint.url.host, endpoint.port, len(endpoint.secrets)) == ("warehouse.example.com", 443, 2)
    assert "AAAA" not in repr(endpoint)


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"WAREHOUSE_URL": "ftp://a/b"}, "WAREHOUSE_URL: .*give https://host/path"),
        ({"WAREHOUSE_URL": "https://"}, "WAREHOUSE_URL: .*give https://host/path"),
        ({"WAREHOUSE_URL": "https://[::1/s3cr3t"}, "WAREHOUSE_URL: .*is no URL"),
        ({"WAREHOUSE_URL": "https://user:s3cr3t@a/b"}, "WAREHOUSE_URL: .*has a user or password"),
        ({"WAREHOUSE_URL": "https://a/b#c"}, "WAREHOUSE_URL: .*has a fragment"),
        ({"WAREHOUSE_URL": URL, "WAREHOUSE_SECRET": ""}, "WAREHOUSE_SECRET is not"),
        ({"WAREHOUSE_SECRET": "s3cr3t"}, "WAREHOUSE_SECRET: .*give whsec_ and 24 to 64 random bytes"),
        ({"WAREHOUSE_SECRET": "whsec_s3cr3tAA"}, "WAREHOUSE_SECRET: .*give whsec_"),
        ({"WAREHOUSE_SECRET": f"{SECRET},x"}, "WAREHOUSE_SECRET: .*give whsec_"),
        ({"WAREHOUSE_URL": "http://a/b"}, "is http://; give https://"),
        ({"WAREHOUSE_URL": "https://10.0.0.5/b"}, "10.0.0.5 must not be called; .*WAREHOUSE_ALLOW"),
        ({"WAREHOUSE_URL": "https://[::ffff:169.254.169.254]/"}, "must not be called"),
        ({"WAREHOUSE_ALLOW": "10.0.0.0/99"}, "WAREHOUSE_ALLOW: .*'10.0.0.0/99' is no network"),
        ({"WAREHOUSE_CA": "s3cr3t"}, "WAREHOUSE_CA: .*no certificates in PEM"),
        ({"WAREHOUSE_TIMEOUT": "61"}, "WAREHOUSE_TIMEOUT"),
    ],
)
def test_what_cannot_work_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], complaint: str
) -> None:
    with pytest.raises(SettingsError, match=complaint) as refused:
        load(monkeypatch, **{"WAREHOUSE_SECRET": SECRET, **variables})

    assert "s3cr3t" not in str(refused.value)
