"""Schedules at the door: checked, shown, and edited only by who has read what is edited."""
