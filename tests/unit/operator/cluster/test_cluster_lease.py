"""At most one process may write at any moment, whatever the API server, the clocks and SIGSTOP do."""

import copy
from typing import Any

import pytest

from hantei_operator.cluster.errors import AlreadyExists, Conflict, NotFound, NotLeading, Unavailable
from hantei_operator.cluster.lease import EXIT_CODE, Lease

Body = dict[str, Any]


class Server:
    """Stand-in for the API server: one Lease with compare-and-swap, a clock, and outages on demand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.lease: Body | None = None
        self.down = False
        self.answer_lost = False
        self.call_seconds = 0.0

    def call(self, method: str, path: str, *, body: Body | None = None, timeout_seconds: float) -> Body:
        assert timeout_seconds == 2.0
        self.now += self.call_seconds
        if self.down:
            raise Unavailable(0, "ConnectTimeout", path)
        if method == "POST":
            if self.lease is not None:
                raise AlreadyExists(409, "AlreadyExists", path)
            self._store(body or {}, 1)
        elif self.lease is None:
            raise NotFound(404, "NotFound", path)
        elif method == "PUT":
            assert body is not None
            version = self.lease["metadata"]["resourceVersion"]
            if body["metadata"]["resourceVersion"] != version:
                raise Conflict(409, "Conflict", path)
            self._store(body, int(version) + 1)
        if self.answer_lost and method == "PUT":
            raise Unavailable(0, "ReadTimeout", path)
        return copy.deepcopy(self.lease or {})

    def _store(self, body: Body, version: int) -> None:
        self.lease = copy.deepcopy(body)
        self.lease["metadata"]["resourceVersion"] = str(version)

    def wait(self, seconds: float) -> None:
        self.now += seconds

    @property
    def spec(self) -> Body:
        assert self.lease is not None
        spec: Body = self.lease["spec"]
        return spec


@pytest.fixture
def server() -> Server:
    return Server()


def candidate(server: Server, identity: str, exits: list[int] | None = None) -> Lease:
    leave = (exits if exits is not None else []).append
    return Lease(
        server,  # type: ignore[arg-type]
        "hantei",
        "operator",
        identity,
        clock=lambda: server.now,
        leave=leave,
        pause=server.wait,
    )


def test_the_first_candidate_makes_the_lease_and_may_write(server: Server) -> None:
    one = candidate(server, "one")
    with pytest.raises(NotLeading):
        one.assert_held()
    assert one.attempt()
    one.assert_held()
    assert (server.spec["holderIdentity"], server.spec["leaseDurationSeconds"]) == ("one", 8)


def test_writing_ends_5_s_after_the_start_of_the_last_renewal(server: Server) -> None:
    one = candidate(server, "one")
    server.call_seconds = 1.5
    one.attempt()
    # GET, POST, then the PUT that counts: it started 1.5 s ago.
    server.now += 3.4
    one.assert_held()
    server.now += 0.2
    with pytest.raises(NotLeading, match="5 s ago"):
        one.assert_held()


def test_a_second_candidate_waits_8_s_of_its_own_clock_without_a_renewal(server: Server) -> None:
    one, two = candidate(server, "one"), candidate(server, "two")
    one.attempt()
    assert not two.attempt()
    server.now += 7.9
    assert not two.attempt()
    server.now += 0.2
    assert two.attempt()
    assert server.spec["leaseTransitions"] == 2


def test_a_renewal_starts_the_wait_of_the_second_candidate_again(server: Server) -> None:
    one, two = candidate(server, "one"), candidate(server, "two")
    one.attempt()
    for _ in range(10):
        assert not two.attempt()
        server.now += 4.0
        assert one.attempt()


def test_the_last_write_of_a_holder_that_is_cut_off_has_ended_before_the_next_may_write(server: Server) -> None:
    one, two = candidate(server, "one"), candidate(server, "two")
    one.attempt()
    two.attempt()
    last_write = server.now
    while not two.is_leading:
        server.now += 0.1
        two.attempt()
        if one.is_leading:
            last_write = server.now
    # A write that was allowed last of all takes 2.5 s at most.
    assert last_write + 2.5 < server.now


def test_the_times_in_the_lease_are_not_trusted(server: Server) -> None:
    one, two = candidate(server, "one"), candidate(server, "two")
    one.attempt()
    server.spec["renewTime"] = "2001-01-01T00:00:00.000000Z"
    assert not two.attempt()
    server.now += 7.0
    assert not two.attempt()


def test_a_holder_that_was_stopped_for_30_s_may_not_write_and_ends(server: Server) -> None:
    exits: list[int] = []
    one = candidate(server, "one", exits)
    one.attempt()
    assert one.check() == pytest.approx(5.0)
    assert exits == []
    server.now += 30
    with pytest.raises(NotLeading):
        one.assert_held()
    one.check()
    assert exits == [EXIT_CODE]


def test_a_failed_renewal_gives_no_more_time(server: Server) -> None:
    one = candidate(server, "one")
    one.attempt()
    server.down = True
    server.now += 4.9
    with pytest.raises(Unavailable):
        one.attempt()
    one.assert_held()
    server.now += 0.2
    with pytest.raises(NotLeading):
        one.assert_held()


def test_a_renewal_whose_answer_was_lost_is_not_taken_for_a_loss(server: Server) -> None:
    one = candidate(server, "one")
    one.attempt()
    server.answer_lost = True
    with pytest.raises(Unavailable):
        one.attempt()
    server.answer_lost = False
    server.now += 1
    assert one.attempt()
    assert one.check() == pytest.approx(5.0)


def test_a_holder_notices_that_another_has_taken_over(server: Server) -> None:
    one, two = candidate(server, "one"), candidate(server, "two")
    one.attempt()
    two.attempt()
    server.now += 8.1
    two.attempt()
    assert not one.attempt()


def test_a_released_lease_is_taken_at_once(server: Server) -> None:
    one, two = candidate(server, "one"), candidate(server, "two")
    one.attempt()
    assert not two.attempt()
    one.release()
    with pytest.raises(NotLeading):
        one.assert_held()
    assert server.spec["holderIdentity"] == ""
    assert two.attempt()


def test_a_lease_is_released_when_the_last_write_has_ended(server: Server) -> None:
    one = candidate(server, "one")
    one.attempt()
    server.now += 1
    one.assert_held()
    allowed_at = server.now
    server.now += 1
    one.release()
    assert server.now == allowed_at + 2.5
    assert server.spec["holderIdentity"] == ""


def test_a_candidate_releases_nothing(server: Server) -> None:
    one, two = candidate(server, "one"), candidate(server, "two")
    one.attempt()
    two.attempt()
    two.release()
    assert server.spec["holderIdentity"] == "one"


def test_a_candidate_waits_as_long_as_the_holder_was_promised(server: Server) -> None:
    one, two = candidate(server, "one"), candidate(server, "two")
    one.attempt()
    server.spec["leaseDurationSeconds"] = 20
    assert not two.attempt()
    server.now += 19.0
    assert not two.attempt()
    server.now += 1.1
    assert two.attempt()


def test_a_faster_candidate_wins_and_the_slower_one_goes_on(server: Server) -> None:
    one, two = candidate(server, "one"), candidate(server, "two")
    one.attempt()
    one.release()
    stale = copy.deepcopy(server.lease)
    assert two.attempt()
    three = candidate(server, "three")
    assert stale is not None
    assert not three._take(stale)
    assert not three.is_leading
