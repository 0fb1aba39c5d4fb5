"""What the monitor takes from the bus: cron.health_check in; who answers and who does not out."""

from datetime import timedelta

from monitor.survey import Health, Survey
from shared.contracts import HealthCheckDue
from shared.jobs import Handlers
from shared.telemetry import get_logger

handlers = Handlers("monitor")


@handlers.on(HealthCheckDue, time_limit=timedelta(seconds=20))
async def check_health(_: HealthCheckDue, survey: Survey) -> Health:
    """Ask each service whether it answers. One that does not is a finding, not a failure of the check."""
    health = await survey.health()
    if not health["ok"]:
        missing = [name for name, finding in health["services"].items() if not finding["ok"]]
        get_logger().warning("health.missing", services=missing)
    return health
