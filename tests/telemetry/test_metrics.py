"""The page that Prometheus scrapes."""

from prometheus_client.parser import text_string_to_metric_families

from shared.telemetry import Metrics


def page(metrics: Metrics) -> dict[str, float]:
    """Each sample by its name and labels, as Prometheus writes them."""
    return {
        sample.name + "".join(f" {key}={value}" for key, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


def test_jobs_are_counted_timed_and_known_while_they_run() -> None:
    metrics = Metrics(service="email", version="1.2.3")

    for _ in range(3):
        metrics.job_started("send_welcome")
    metrics.job_finished("send_welcome", "succeeded", 0.03)
    metrics.job_finished("send_welcome", "retrying", 20.0)

    samples = page(metrics)
    took = "messaging_process_duration_seconds"
    assert samples["trunkline_jobs_total handler=send_welcome state=succeeded"] == 1
    assert samples["trunkline_jobs_total handler=send_welcome state=retrying"] == 1
    assert samples["trunkline_jobs_in_flight handler=send_welcome"] == 1
    assert samples[f"{took}_bucket handler=send_welcome le=0.025 state=succeeded"] == 0
    assert samples[f"{took}_bucket handler=send_welcome le=0.05 state=succeeded"] == 1
    assert samples[f"{took}_bucket handler=send_welcome le=10.0 state=retrying"] == 0
    assert samples[f"{took}_sum handler=send_welcome state=retrying"] == 20.0


def test_messages_are_counted_both_ways() -> None:
    metrics = Metrics(service="email", version="1.2.3")

    metrics.messages_sent("redis", "email.sent")
    metrics.messages_sent("redis", "email.sent", 4)
    metrics.messages_consumed("nats", "user.registered", 2)

    samples = page(metrics)
    assert samples["messaging_client_sent_messages_total destination=email.sent system=redis"] == 5
    assert samples["messaging_client_consumed_messages_total destination=user.registered system=nats"] == 2


def test_requests_are_timed_by_route_and_status() -> None:
    metrics = Metrics(service="gateway", version="1.2.3")

    metrics.request_finished("POST", "/v1/users", 202, 0.004)
    metrics.request_finished("GET", None, 404, 0.001)

    samples = page(metrics)
    took = "http_server_request_duration_seconds_count"
    assert samples[f"{took} method=POST route=/v1/users status=202"] == 1
    assert samples[f"{took} method=GET route= status=404"] == 1


def test_the_page_says_what_was_built_and_reads_what_is_watched() -> None:
    metrics = Metrics(service="gateway", version="1.2.3")
    backlog = [7.0]

    metrics.watch("trunkline_outbox_events", "Events not yet sent.", lambda: 0.0)
    metrics.watch("trunkline_outbox_events", "Events not yet sent.", lambda: backlog[0])

    assert page(metrics)["trunkline_build_info service=gateway version=1.2.3"] == 1
    assert page(metrics)["trunkline_outbox_events"] == 7
    backlog[0] = 8
    assert page(metrics)["trunkline_outbox_events"] == 8
    assert metrics.content_type.startswith("text/plain; version=0.0.4")


def test_two_processes_worth_of_metrics_may_live_in_one() -> None:
    first, second = Metrics(service="a", version="1"), Metrics(service="b", version="1")

    first.messages_sent("redis", "x")

    assert not any(name.startswith("messaging_client_sent_messages_total") for name in page(second))
