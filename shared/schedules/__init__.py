"""What the scheduler, which keeps to schedules, and the gateway, which edits them, both know of them.

times.py and misfire.py are the rules, definition.py what a schedule may be, tick_event.py what a tick
publishes, book.py and ledger.py the rows of schedules and ticks. The tables are the scheduler's.
"""

from shared.schedules import book, ledger
from shared.schedules.book import Entry, due_of
from shared.schedules.definition import Definition, Instant, Note
from shared.schedules.ledger import TickEntry
from shared.schedules.misfire import Cause, Decided, Due, Policy, decide
from shared.schedules.tick_event import SOURCE, check_definition, tick_event
from shared.schedules.times import Fire, Timing, TimingError, zone_of

__all__ = [
    "SOURCE",
    "Cause",
    "Decided",
    "Definition",
    "Due",
    "Entry",
    "Fire",
    "Instant",
    "Note",
    "Policy",
    "TickEntry",
    "Timing",
    "TimingError",
    "book",
    "check_definition",
    "decide",
    "due_of",
    "ledger",
    "tick_event",
    "zone_of",
]
