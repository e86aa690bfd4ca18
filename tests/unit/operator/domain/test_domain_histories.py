"""Whatever befalls a run, it ends once, in time, and leaves nothing alive: tried over random histories."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hantei_api.reasons import Reason
from hantei_operator.domain.budgets import seconds
from support.decisions import START, a_spec
from support.simulator import Course, Simulation

SPEC = a_spec(
    clocks={"queueSeconds": 60, "startSeconds": 20, "runSeconds": 30, "wallSeconds": 40, "publishSeconds": 5},
    retries={"infrastructure": 2, "evaluation": 1},
)


def soon_or_never(most: int) -> st.SearchStrategy[int | None]:
    return st.one_of(st.integers(0, most), st.none())


courses = st.builds(
    Course,
    pod=st.one_of(st.just(0), soon_or_never(5)),
    bound=st.one_of(st.just(1), soon_or_never(70)),
    started=soon_or_never(25),
    ready=soon_or_never(25),
    done=soon_or_never(40),
    exit_code=st.sampled_from([0, 0, 66, 70, 137]),
)
disturbances = st.sampled_from(["crash", "delete", "preempt", "lose node", "suspend", "resume", "cancel"])
histories = st.lists(st.tuples(st.integers(0, 200), disturbances), max_size=6)


@given(
    attempts=st.lists(courses, min_size=1, max_size=4),
    history=histories,
    crashes=st.frozensets(st.integers(1, 15), max_size=3),
)
@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_every_run_ends_once_within_its_clocks_and_leaves_nothing_alive(
    attempts: list[Course], history: list[tuple[int, str]], crashes: frozenset[int]
) -> None:
    world = Simulation(SPEC, attempts, crashes)
    for second in range(4000):
        for due, kind in history:
            if due == second:
                if kind in {"suspend", "resume"}:
                    world.set(suspend=kind == "suspend")
                elif kind == "cancel":
                    world.set(cancel=True)
                else:
                    world.disturb(kind)
        if second == 300:
            world.set(suspend=False)
        world.tick()
        if world.run.status.finished and not world.live():
            break
    status = world.run.status
    assert status.finished, f"lies there: {status}"
    assert not world.live(), "a pod outlives its run"
    assert all(attempt.reason is not None for attempt in status.attempts)

    took = seconds(START, status.finished_at) - world.stood_still
    clocks = SPEC.clocks
    assert took <= clocks.queue_seconds + 60 + len(status.attempts) * (clocks.wall_seconds + 60)
    assert status.clocks
    assert status.clocks.queued <= clocks.queue_seconds + 60
    reasons = [attempt.reason for attempt in status.attempts]
    assert sum(reason in {Reason.NODE_LOST, Reason.POD_LOST, Reason.START_TIMEOUT} for reason in reasons) <= 3
    for _ in range(30):
        world.tick()
    assert world.run.status == status, "a finished run changed"
