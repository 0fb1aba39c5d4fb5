"""What is remembered of short texts, and that nobody fills the memory with long ones."""

from shared.remembered import remembered


def test_a_short_text_is_asked_about_once_and_a_long_one_each_time() -> None:
    asked: list[str] = []

    @remembered
    def length(text: str) -> int:
        asked.append(text)
        return len(text)

    long = "x" * 1000
    answers = [length(text) for text in ("short", "short", long, long)]

    assert answers == [5, 5, 1000, 1000]
    assert asked == ["short", long, long]
