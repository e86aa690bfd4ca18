"""Who may reserve, and where a pod must run."""

from datetime import UTC, datetime

import pytest

from hantei_operator.domain.queue import Place, runs_ahead, slot_free
from hantei_operator.domain.volumes import ClaimFacts, ClaimUser, placement


def place(second: int, name: str = "run") -> Place:
    return Place(datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC), "team", name)


def test_first_come_first_served_and_a_tie_goes_by_name() -> None:
    waiting = [place(1), place(2, "a"), place(2, "c"), place(3)]

    assert runs_ahead(place(2, "b"), waiting) == 2


@pytest.mark.parametrize(
    ("ahead", "reserved", "most", "free"),
    [(0, 0, 1, True), (0, 1, 1, False), (1, 0, 1, False), (1, 1, 3, True), (0, 0, 0, False)],
)
def test_a_run_may_reserve_while_slots_are_left_for_it(ahead: int, reserved: int, most: int, *, free: bool) -> None:
    assert slot_free(ahead, reserved, most) is free


ONCE = ClaimFacts("data", frozenset({"ReadWriteOnce"}))
MANY = ClaimFacts("data", frozenset({"ReadWriteOnce", "ReadWriteMany"}))
TRAINING = ClaimUser("trainer", "node-1", frozenset({"data"}))


@pytest.mark.parametrize(
    ("claims", "users", "node"),
    [
        ([ONCE], [TRAINING], "node-1"),
        ([ONCE], [], None),
        ([ONCE], [ClaimUser("trainer", "", frozenset({"data"}))], None),
        ([ONCE], [ClaimUser("other", "node-1", frozenset({"else"}))], None),
        ([MANY], [TRAINING], None),
        ([], [TRAINING], None),
    ],
)
def test_a_volume_of_one_node_decides_where_the_pod_runs(
    claims: list[ClaimFacts], users: list[ClaimUser], node: str | None
) -> None:
    found = placement(claims, users)

    assert (found.node if found else None) == node
    assert found is None or "trainer" in found.message
