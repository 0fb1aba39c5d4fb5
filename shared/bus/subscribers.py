"""A handler made known to FastStream: its function and event type in, a subscriber of ours out.

FastStream keeps the registration, the life cycle, the command line and the AsyncAPI document. Its read
and acknowledge loops are not used: they lose track of messages on a clean stop and acknowledge one by one
(docs/decisions/0003). A contract test holds what is relied on here.
"""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from faststream import AckPolicy
from faststream._internal.broker.broker import BrokerUsecase
from faststream._internal.broker.registrator import Registrator
from faststream._internal.endpoint.subscriber.call_item import CallsCollection
from faststream._internal.endpoint.subscriber.usecase import SubscriberUsecase
from faststream.nats import JStream, NatsBroker, PullSub
from faststream.nats.subscriber.config import NatsSubscriberConfig, NatsSubscriberSpecificationConfig
from faststream.nats.subscriber.specification import NatsSubscriberSpecification
from faststream.nats.subscriber.usecases import PullStreamSubscriber
from faststream.redis import RedisBroker, StreamSub
from faststream.redis.subscriber.config import RedisSubscriberConfig, RedisSubscriberSpecificationConfig
from faststream.redis.subscriber.specification import StreamSubscriberSpecification
from faststream.redis.subscriber.usecases import StreamSubscriber
from nats.js.api import ConsumerConfig

from shared.bus.delivery import Intake
from shared.bus.jetstream import durable_of
from shared.bus.jetstream.wire import STREAM, subject_of
from shared.bus.redis_streams.wire import stream_of

MakeIntake = Callable[[], Intake]
Function = Callable[..., Awaitable[Any]]


class JetStreamBroker(NatsBroker):
    """FastStream's NATS broker without its connection: ours waits for a server that is not there yet."""

    async def start(self) -> None:
        """Start the subscribers, connected or not."""
        self._setup_logger()
        await BrokerUsecase.start(self)


class _ReadsByIntake(SubscriberUsecase[Any]):
    """Known to FastStream as its own kind of subscriber; reads through an intake of ours."""

    make_intake: MakeIntake
    intake: Intake | None = None

    async def start(self) -> None:
        """Begin to take messages."""
        await SubscriberUsecase.start(self)
        self._post_start()
        self.intake = self.make_intake()
        await self.intake.start()

    async def stop(self) -> None:
        """Take no more."""
        self.running = False
        if self.intake is not None:
            await self.intake.stop()


class RedisSubscriber(_ReadsByIntake, StreamSubscriber):
    """A handler on the stream of its event type."""


class NatsSubscriber(_ReadsByIntake, PullStreamSubscriber):
    """A handler on the subject of its event type."""


def subscribe_redis(
    broker: RedisBroker, handler: str, event_type: str, function: Function, make_intake: MakeIntake
) -> RedisSubscriber:
    """Register the handler for the stream of its event type."""
    stream = StreamSub(stream_of(event_type), group=handler, consumer="worker", max_records=1)
    config: Any = broker.config
    calls: CallsCollection[Any] = CallsCollection()
    subscriber = RedisSubscriber(
        RedisSubscriberConfig(
            stream_sub=stream, no_reply=True, _outer_config=config, _ack_policy=AckPolicy.MANUAL
        ),
        StreamSubscriberSpecification(
            config,
            RedisSubscriberSpecificationConfig(
                title_=f"redis:{handler}", description_=inspect.getdoc(function), include_in_schema=True
            ),
            calls,
            stream_sub=stream,
        ),
        calls,
    )
    subscriber.make_intake = make_intake
    Registrator.subscriber(broker, subscriber)
    subscriber.add_call(parser_=None, decoder_=None, dependencies_=())
    subscriber(function)
    return subscriber


def subscribe_nats(
    broker: NatsBroker, handler: str, event_type: str, function: Function, make_intake: MakeIntake
) -> NatsSubscriber:
    """Register the handler for the subject of its event type."""
    subject, durable = subject_of(event_type), durable_of(handler)
    config: Any = broker.config
    calls: CallsCollection[Any] = CallsCollection()
    subscriber = NatsSubscriber(
        NatsSubscriberConfig(
            subject=subject,
            sub_config=ConsumerConfig(durable_name=durable),
            no_reply=True,
            _outer_config=config,
            _ack_policy=AckPolicy.MANUAL,
            extra_options={"durable": durable, "stream": STREAM},
        ),
        NatsSubscriberSpecification(
            _outer_config=config,
            calls=calls,
            specification_config=NatsSubscriberSpecificationConfig(
                subject=subject,
                queue=None,
                title_=f"nats:{handler}",
                description_=inspect.getdoc(function),
                include_in_schema=True,
            ),
        ),
        calls,
        queue="",
        pull_sub=PullSub(batch_size=1),
        stream=JStream(STREAM, declare=False),
    )
    subscriber.make_intake = make_intake
    Registrator.subscriber(broker, subscriber)
    subscriber.add_call(parser_=None, decoder_=None, dependencies_=())
    subscriber(function)
    return subscriber
