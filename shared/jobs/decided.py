"""Ends a handler whose job's outcome is known already: an Outcome in, on its way to the executor out."""

from shared.jobs.verdict import Outcome


class Decided(BaseException):
    """The outcome is known: the handler has nothing to do. No `except Exception` of a handler holds it up."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.state.value)
        self.outcome = outcome


def decided_in(error: BaseException) -> Outcome | None:
    """The known outcome that ended the handler, also out of a TaskGroup; None when something else did."""
    if isinstance(error, Decided):
        return error.outcome
    if isinstance(error, BaseExceptionGroup):
        inner = (decided_in(one) for one in error.exceptions)
        return next((outcome for outcome in inner if outcome is not None), None)
    return None
