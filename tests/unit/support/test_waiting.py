"""The waits of the tests: they end, and say what they saw."""

import pytest

from support.waiting import consistently, eventually


def test_eventually_returns_the_first_true_answer() -> None:
    answers = iter([0, "", "found"])
    assert eventually(lambda: next(answers)) == "found"


def test_eventually_says_the_last_answer_and_what_describe_says() -> None:
    with pytest.raises(AssertionError, match=r"not within \S+ s: the last answer was 0\nthe events"):
        eventually(lambda: 0, 0.05, describe=lambda: "the events")


def test_eventually_says_the_assertion_that_did_not_hold() -> None:
    def check() -> bool:
        raise AssertionError("2 pods, not 1")

    with pytest.raises(AssertionError, match="2 pods, not 1"):
        eventually(check, 0.05)


def test_consistently_fails_at_the_first_false_answer() -> None:
    answers = iter([1, 1, 0])
    with pytest.raises(AssertionError, match="no longer: 0\nthe log"):
        consistently(lambda: next(answers), 5, describe=lambda: "the log")
    consistently(lambda: True, 0.05)
