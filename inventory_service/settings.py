"""What the inventory service reads from the environment, beside what every process reads."""

import ssl
from datetime import timedelta
from ipaddress import ip_address
from typing import Annotated, Self

import httpx
from pydantic import AfterValidator, Field, model_validator

from inventory_service.egress import Egress
from inventory_service.signing import parse_secrets
from inventory_service.webhook import Endpoint
from shared.settings import Duration, Secret, Settings

LONGEST_ANSWER = timedelta(minutes=1)


def _webhook_url(value: Secret) -> Secret:
    """ValueError says what is wrong and does not repeat the URL, whose path may be a secret."""
    try:
        url = httpx.URL(value.get_secret_value())
    except httpx.InvalidURL:
        raise ValueError("is no URL; give https://host/path") from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise ValueError("give https://host/path")
    if url.userinfo:
        raise ValueError("has a user or password; take them out, messages are signed with WAREHOUSE_SECRET")
    if url.fragment:
        raise ValueError("has a fragment (#...), which no server sees")
    return value


def _secrets(value: Secret) -> Secret:
    parse_secrets(value.get_secret_value())
    return value


def _allow(value: str) -> str:
    Egress.parse(value)
    return value


def _certificates(value: str | None) -> str | None:
    try:
        ssl.create_default_context(cadata=value)
    except ssl.SSLError:
        raise ValueError("holds no certificates in PEM") from None
    return value


class InventorySettings(Settings):
    """The settings of one inventory service process."""

    database_url: Secret = Secret("postgresql://127.0.0.1:5432/trunkline")
    """Postgres: stock, reservations, and which jobs had their effect."""
    database_pool_size: Annotated[int, Field(ge=1, le=50)] = 16
    """How many connections to Postgres are kept: as many as orders and goods are worked on at a time."""

    warehouse_url: Annotated[Secret | None, AfterValidator(lambda url: url and _webhook_url(url))] = None
    """Where the warehouse is told of reservations, `https://host/path`; unset: nowhere."""
    warehouse_secret: Annotated[Secret | None, AfterValidator(lambda text: text and _secrets(text))] = None
    """What signs the messages: `whsec_` and base64 of 24 to 64 bytes; of several, `,` between, each signs."""
    warehouse_allow: Annotated[str, AfterValidator(_allow)] = ""
    """Networks, addresses, hosts, `,` between, that may be called though they are private or without TLS."""
    warehouse_ca: Annotated[str | None, AfterValidator(lambda pem: pem and _certificates(pem))] = None
    """Certificates (PEM) that the warehouse's must come from; unset: the generally trusted ones."""
    warehouse_connect_timeout: Duration = timedelta(seconds=5)
    """How long a connect to the warehouse may take."""
    warehouse_timeout: Annotated[Duration, Field(le=LONGEST_ANSWER)] = timedelta(seconds=20)
    """How long one attempt may take until the warehouse's answer begins, at most 1 min."""

    @model_validator(mode="after")
    def _can_be_told(self) -> Self:
        endpoint = self.warehouse
        if endpoint is None:
            return self
        if not endpoint.secrets:
            raise ValueError("WAREHOUSE_URL is set and WAREHOUSE_SECRET is not: no message goes out unsigned")
        if not endpoint.is_encrypted and not self.warehouse_allow:
            raise ValueError("WAREHOUSE_URL is http://; give https://, or put its host into WAREHOUSE_ALLOW")
        host = endpoint.url.host
        try:
            address = ip_address(host)
        except ValueError:
            return self  # a name: where it leads is looked at in each attempt
        if not endpoint.egress.permits(host, address, encrypted=endpoint.is_encrypted):
            raise ValueError(
                f"WAREHOUSE_URL: {host} must not be called; is it right, put it into WAREHOUSE_ALLOW"
            )
        return self

    @property
    def warehouse(self) -> Endpoint | None:
        """Where and how the warehouse is told; None: nobody is."""
        if not self.warehouse_url:  # unset, or set to nothing
            return None
        secret = self.warehouse_secret
        return Endpoint(
            url=httpx.URL(self.warehouse_url.get_secret_value()),
            secrets=parse_secrets(secret.get_secret_value()) if secret else (),
            egress=Egress.parse(self.warehouse_allow),
            authority=self.warehouse_ca,
            connect=self.warehouse_connect_timeout,
            whole=self.warehouse_timeout,
        )
