"""A service within another program: it works on jobs there, and waits for Redis."""

from datetime import timedelta
from pathlib import Path
from typing import ClassVar

from launcher.servers import RedisServer
from shared.bus import Bus
from shared.contracts import Event, wrap
from shared.hosted import Hosted
from shared.jobs import Handlers
from shared.service import Service
from shared.settings import Secret, Settings
from shared.telemetry import Metrics, configure_tracing
from tests.until import until


class Rung(Event):
    """Somebody rang."""

    type: ClassVar[str] = "hosted.rung"

    n: int


async def test_a_hosted_service_waits_for_redis_works_and_drains(tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "redis", durable=False)
    await server.start()
    url = server.url
    await server.stop()
    seen: list[int] = []
    handlers = Handlers("hosted")

    @handlers.on(Rung)
    async def ring(event: Rung) -> None:
        seen.append(event.n)

    settings = Settings(redis_url=Secret(url), buses="redis", grace=timedelta(seconds=5))
    tracing, metrics = configure_tracing("host", "1", "host-1"), Metrics(service="host", version="1")
    made: list[Service] = []

    def make() -> Service:
        made.append(Service("hosted", handlers, settings))
        return made[-1]

    async def tried_again() -> bool:
        return len(made) > 1

    async def worked() -> bool:
        return seen == [1]

    try:
        async with Hosted(make, tracing=tracing, metrics=metrics):
            await until(tried_again, what="a second try")
            await server.start()
            async with Bus.open(settings, tracing=tracing, metrics=metrics, name="test") as bus:
                await bus.publish([wrap(Rung(n=1), source="/test")])
                await until(worked, what="the job")
    finally:
        await server.delete()

    assert seen == [1]
