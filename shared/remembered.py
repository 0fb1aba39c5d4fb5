"""A question about a short text, whose answer is remembered: for names that come again with each message."""

from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeVar

Text = TypeVar("Text", str, bytes)
Answer = TypeVar("Answer")

_ANSWERS_MOST: Final = 1024
_LENGTH_MOST: Final = 128
"""Longer texts are asked about each time: what strangers send must not fill the memory."""


def remembered(ask: Callable[[Text], Answer]) -> Callable[[Text], Answer]:
    """`ask`, with the answers to the texts that came last."""
    answer = lru_cache(_ANSWERS_MOST)(ask)
    return lambda text: answer(text) if len(text) <= _LENGTH_MOST else ask(text)
