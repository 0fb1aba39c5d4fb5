"""For the tests of who writes handlers: run one without any server; wait until a whole system has settled.

    run = Run(handlers)
    job = await run(EmailRequested(...), mailer=FakeMailer(RelayBusy(timedelta(seconds=5))))
    assert (job.state, job.due_at) == (State.RETRYING, run.now + timedelta(seconds=5))

No service imports it.
"""

from shared.testing.clock import StillClock
from shared.testing.run import Progress, Ran, Run
from shared.testing.settle import NotSettled, settle

__all__ = ["NotSettled", "Progress", "Ran", "Run", "StillClock", "settle"]
