"""Schedules in; an event at each of their ticks out, once."""
