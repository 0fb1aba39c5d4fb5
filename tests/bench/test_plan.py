"""The order of a run: steps and rounds in, who is measured when out."""

from bench.plan import Step, interleaved, take
from bench.result import Measurement


def step(figure: str, name: str, *, rounds: int | None = None, fails_in: int | None = None) -> Step:
    async def measure(round_: int) -> list[Measurement]:
        if round_ == fails_in:
            raise RuntimeError("its worker exited with 1")
        return [
            Measurement(
                figure=figure, contender=name, title=name, unit="jobs/s", values=[round_ + 1], load=[]
            )
        ]

    return Step(figure, name, measure, rounds)


def order(steps: list[Step], rounds: int) -> list[tuple[str, int, str]]:
    return [(step.figure, round_, step.name) for round_, step in interleaved(steps, rounds)]


def test_all_contenders_of_a_figure_take_turns() -> None:
    steps = [step("drain", "a"), step("drain", "b"), step("pickup", "a"), step("pickup", "b")]

    assert order(steps, 2) == [
        ("drain", 0, "a"),
        ("drain", 0, "b"),
        ("drain", 1, "a"),
        ("drain", 1, "b"),
        ("pickup", 0, "a"),
        ("pickup", 0, "b"),
        ("pickup", 1, "a"),
        ("pickup", 1, "b"),
    ]


def test_a_step_that_needs_one_round_is_taken_once() -> None:
    steps = [step("drain", "a"), step("drain", "b", rounds=1)]

    assert order(steps, 3) == [("drain", 0, "a"), ("drain", 0, "b"), ("drain", 1, "a"), ("drain", 2, "a")]


async def test_rounds_become_the_values_of_one_measurement_with_the_load_of_each() -> None:
    measurements, failures = await take([step("drain", "a"), step("drain", "b")], 3)

    assert [(one.contender, one.values, len(one.load)) for one in measurements] == [
        ("a", [1, 2, 3], 3),
        ("b", [1, 2, 3], 3),
    ]
    assert all(0 <= load <= 1 for one in measurements for load in one.load)
    assert failures == []


async def test_what_fails_is_told_and_costs_no_other_figure() -> None:
    measurements, failures = await take([step("drain", "a", fails_in=1), step("drain", "b")], 2)

    assert [(one.contender, one.values) for one in measurements] == [("a", [1]), ("b", [1, 2])]
    assert failures == ["drain, a, round 2: its worker exited with 1"]
