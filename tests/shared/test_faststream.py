"""What we rely on inside FastStream: a new version that breaks it fails here, not in production."""

from typing import Any, cast

from faststream.nats import NatsBroker, TestNatsBroker
from faststream.redis import RedisBroker, TestRedisBroker

from shared.bus.subscribers import NatsSubscriber, RedisSubscriber
from shared.contracts import UserRegistered
from shared.jobs import Handlers
from shared.service import Service
from shared.settings import Settings


def make() -> tuple[Service, list[UserRegistered]]:
    handlers, seen = Handlers("lab"), list[UserRegistered]()

    @handlers.on(UserRegistered)
    async def greet(event: UserRegistered) -> None:
        """Greet whoever is new."""
        seen.append(event)

    return Service("lab", handlers, Settings()), seen


def test_each_handler_is_a_subscriber_of_ours_on_both_brokers() -> None:
    service, _ = make()
    redis, nats = service.brokers

    assert [type(subscriber) for subscriber in redis.subscribers] == [RedisSubscriber]
    assert [type(subscriber) for subscriber in nats.subscribers] == [NatsSubscriber]


def test_the_asyncapi_document_shows_each_channel_with_the_events_schema() -> None:
    service, _ = make()

    document: dict[str, Any] = service.schema.to_specification().to_jsonable()

    addresses = {channel["address"] for channel in document["channels"].values()}
    assert addresses == {"events:user.registered", "events.user.registered"}
    assert "UserRegistered" in document["components"]["schemas"]
    assert document["info"]["title"] == "Trunkline lab"


async def test_faststreams_test_brokers_call_the_handler() -> None:
    service, seen = make()
    redis, nats = cast("tuple[RedisBroker, NatsBroker]", tuple(service.brokers))
    ada: Any = {"user_id": "1", "name": "Ada", "email": "ada@example.com"}

    async with TestRedisBroker(redis), TestNatsBroker(nats):
        await redis.publish(ada, stream="events:user.registered")
        await nats.publish(ada, "events.user.registered", stream="EVENTS")

    assert [user.name for user in seen] == ["Ada", "Ada"]
