from hashlib import sha256

from httpx import AsyncClient

from gateway.settings import GatewaySettings
from tests.gateway.door.conftest import served


async def test_any_key_learns_what_it_may_do(client: AsyncClient) -> None:
    answer = await client.get("/v1/me", headers={"authorization": "Bearer only-publish"})

    name = f"sha256:{sha256(b'only-publish').hexdigest()[:12]}"
    assert answer.status_code == 200
    assert answer.json() == {"id": name, "name": name, "scopes": ["publish"], "source": "setting"}


async def test_with_auth_off_everybody_is_admin(settings: GatewaySettings) -> None:
    async with served(settings.model_copy(update={"api_auth": "off"})) as client:
        answer = await client.get("/v1/me", headers={"authorization": ""})

    assert answer.json() == {
        "id": "everybody",
        "name": "everybody",
        "scopes": ["admin"],
        "source": "off",
    }
