"""The current attempt: its Job, its pod, the clocks that run, and how it is stopped."""

from dataclasses import replace

import pytest

from hantei_api.reasons import Reason
from hantei_api.status import ConditionType, Phase, Progress, RunStatus
from hantei_operator.domain.actions import (
    Announce,
    CreateJob,
    DeleteJob,
    DeletePod,
    LookAtEvents,
    LowerDeadline,
    Plan,
)
from hantei_operator.domain.facts import AttemptMemory, ContainerFacts, EventFacts, Observed
from support.decisions import (
    a_job,
    a_placed_pod,
    a_pod,
    a_running_pod,
    a_spec,
    a_summary,
    an_attempt,
    an_ended_pod,
    at,
    decide,
    ended_attempt,
    kinds,
    observe,
    reserved,
    running,
    written,
)

LOST = AttemptMemory(attempt=1, job_seen=True)
QUOTA = 'pods "run-1" is forbidden: exceeded quota: gpus'
REFUSED = AttemptMemory(attempt=1, job_seen=True, job_events=(EventFacts("FailedCreate", QUOTA),))
NO_NODE = "0/2 nodes are available: 2 Insufficient nvidia.com/gpu."
PULLING = AttemptMemory(attempt=1, waiting_reason="ErrImagePull", waiting_message="i/o timeout")
MOUNTING = AttemptMemory(attempt=1, pod_events=(EventFacts("FailedMount", "no volume"),))
HALF = Progress(done=5, total=10)

LOADING = ContainerFacts(running_since=at(2))


def stopping(reason: Reason, since: float = 20, message: str = "why") -> RunStatus:
    """A running attempt whose stop stands in status."""
    return running(stopping=reason, stopping_since=at(since), message=message)


ENDS = {
    "the pod was deleted and seen": (
        observe(running(), a_job(), memory=AttemptMemory(attempt=1, last_pod=a_running_pod())),
        20,
        Reason.POD_LOST,
        "not by this operator",
    ),
    "the pod was preempted and is gone": (
        observe(
            running(),
            memory=AttemptMemory(attempt=1, last_pod=a_running_pod(disruption_reason="PreemptionByScheduler")),
        ),
        20,
        Reason.PREEMPTED,
        "PreemptionByScheduler",
    ),
    "the Job was deleted": (observe(reserved(), memory=LOST), 20, Reason.POD_LOST, "the Job was deleted"),
    "the Job was deleted while the operator was away": (observe(running()), 20, Reason.POD_LOST, "the Job was deleted"),
    "the Job failed without a pod": (
        observe(reserved(), a_job(failed=True)),
        20,
        Reason.POD_LOST,
        "the pod was deleted",
    ),
    "a quota, for the whole queue clock": (
        observe(reserved(), a_job(), memory=REFUSED),
        100,
        Reason.POD_REJECTED,
        QUOTA,
    ),
    "no pod and no word, for the whole queue clock": (
        observe(reserved(), a_job()),
        100,
        Reason.POD_REJECTED,
        "no Event says why",
    ),
    "no node, for the whole queue clock": (
        observe(reserved(), a_job(), a_pod(unschedulable=NO_NODE)),
        100,
        Reason.UNSCHEDULABLE,
        NO_NODE,
    ),
    "a silent scheduler, for the whole queue clock": (
        observe(reserved(), a_job(), a_pod()),
        100,
        Reason.UNSCHEDULABLE,
        "the scheduler has not said why",
    ),
    "a claim that is absent, for the whole queue clock": (
        observe(reserved(), a_job(), a_pod(unschedulable='persistentvolumeclaim "x" not found')),
        100,
        Reason.VOLUME_UNAVAILABLE,
        '"x" not found',
    ),
    "a node bound by a volume, and full": (
        observe(
            reserved(), a_job(), a_pod(unschedulable=NO_NODE), memory=AttemptMemory(attempt=1, placement="because of x")
        ),
        100,
        Reason.UNSCHEDULABLE,
        f"{NO_NODE}; because of x",
    ),
    "the start clock, never started": (observe(reserved(), a_job(), a_placed_pod()), 31, Reason.START_TIMEOUT, ""),
    "the start clock, pulling": (
        observe(reserved(), a_job(), a_placed_pod("ErrImagePull"), memory=PULLING),
        31,
        Reason.IMAGE_PULL_ERROR,
        "i/o timeout",
    ),
    "the start clock, found long after": (
        observe(reserved(), a_job(), a_placed_pod()),
        500,
        Reason.START_TIMEOUT,
        "",
    ),
    "a tainted pod whose kubelet is silent": (
        observe(
            running(),
            a_job(),
            a_running_pod(
                deleting_since=at(20), disruption_reason="DeletionByTaintManager", disruption_message="unreachable"
            ),
        ),
        35,
        Reason.NODE_LOST,
        "node node does not answer: unreachable",
    ),
    "a deleted pod whose kubelet is silent": (
        observe(running(), a_job(), a_running_pod(deleting_since=at(20))),
        80,
        Reason.NODE_LOST,
        "did not confirm",
    ),
    "a Job of somebody else's": (
        observe(reserved(), memory=AttemptMemory(attempt=1, name_conflict="Job run-1 belongs to nobody")),
        1,
        Reason.NAME_CONFLICT,
        "belongs to nobody",
    ),
    "a Job that can't be made": (
        observe(reserved(), memory=AttemptMemory(attempt=1, refused="the task is too large")),
        1,
        Reason.INVALID_TASK,
        "the task is too large",
    ),
    "stopped, and over": (
        observe(
            stopping(Reason.CANCELLED), a_job(), an_ended_pod(75, a_summary(Reason.POD_LOST)), spec=a_spec(cancel=True)
        ),
        25,
        Reason.CANCELLED,
        "why",
    ),
    "stopped, though it was done meanwhile": (
        observe(stopping(Reason.DEADLINE_EXCEEDED), a_job(), an_ended_pod(0, a_summary())),
        25,
        Reason.DEADLINE_EXCEEDED,
        "why",
    ),
    "stopped, and gone": (observe(stopping(Reason.DEADLINE_EXCEEDED)), 25, Reason.DEADLINE_EXCEEDED, "why"),
    "stopped, gone, and seen to end": (
        observe(
            stopping(Reason.DEADLINE_EXCEEDED),
            a_job(),
            memory=AttemptMemory(attempt=1, last_pod=an_ended_pod(75, a_summary(Reason.POD_LOST))),
        ),
        25,
        Reason.DEADLINE_EXCEEDED,
        "why",
    ),
    "stopped, and stranded": (
        observe(stopping(Reason.DEADLINE_EXCEEDED), a_job(), a_running_pod()),
        60,
        Reason.DEADLINE_EXCEEDED,
        "why",
    ),
}


@pytest.mark.parametrize(("observed", "now", "reason", "words"), ENDS.values(), ids=ENDS)
def test_an_attempt_ends_in_its_reason_with_the_words(
    observed: Observed, now: float, reason: Reason, words: str
) -> None:
    status = written(decide(observed, now))

    assert status.attempts[-1].reason is reason
    assert words in (status.attempts[-1].message or "")
    assert (status.attempts[-1].ended_at or at(0)) <= at(now)


WAITS = {
    "the Job was just created": (observe(reserved(), a_job()), 0.5, (), 1.5),
    "the pod was just created": (observe(reserved(), a_job(), a_pod()), 0.5, (), 2),
    "the pod waits without a word": (observe(reserved(), a_job(), a_pod()), 99, (), 1),
    "the container is being created": (observe(reserved(), a_job(), a_placed_pod()), 4, (), 10),
    "the start clock is near": (observe(reserved(), a_job(), a_placed_pod(container=LOADING)), 29, (), 2),
    "the image came after all": (
        observe(reserved(), a_job(), a_placed_pod(container=LOADING), memory=PULLING),
        12,
        (),
        10,
    ),
    "a start that takes long asks the Events": (
        observe(reserved(), a_job(), a_placed_pod()),
        12,
        (LookAtEvents("Pod", "pod-uid"),),
        10,
    ),
    "the wall of a running pod": (observe(running(), a_job(), a_running_pod()), 11, (), 60),
    "the run clock of a running pod": (
        observe(
            running(),
            a_job(),
            a_running_pod(),
            spec=a_spec(clocks={"runSeconds": 5, "startSeconds": 30, "wallSeconds": 200, "publishSeconds": 20}),
        ),
        11,
        (),
        27,
    ),
    "a Job that makes no pod asks the Events": (
        observe(reserved(), a_job()),
        3,
        (LookAtEvents("Job", "job-1"),),
        2,
    ),
    "a pod being deleted has its grace": (
        observe(running(), a_job(), a_running_pod(deleting_since=at(20))),
        30,
        (),
        50,
    ),
    "a reservation without a Job makes it": (observe(reserved()), 1, (CreateJob(1, None, 60),), 2),
    "a stop lowers the deadline of a running pod": (
        observe(stopping(Reason.HUNG), a_job(), a_running_pod()),
        20,
        (LowerDeadline("pod", "pod-uid"),),
        10,
    ),
    "a stop lowers a deadline once": (
        observe(stopping(Reason.HUNG), a_job(), a_running_pod(active_deadline_seconds=1)),
        21,
        (),
        9,
    ),
    "a stop deletes what does not stop": (
        observe(stopping(Reason.HUNG), a_job(), a_running_pod(active_deadline_seconds=1)),
        30,
        (DeleteJob("run-1", "job-1"),),
        30,
    ),
    "a stop deletes a pod that never started": (
        observe(stopping(Reason.HUNG), a_job(), a_placed_pod()),
        20,
        (DeleteJob("run-1", "job-1"),),
        40,
    ),
    "a stop deletes a pod that lost its Job": (
        observe(stopping(Reason.HUNG), a_placed_pod()),
        20,
        (DeletePod("pod", "pod-uid"),),
        40,
    ),
    "a stop deletes a Job that has no pod yet": (
        observe(stopping(Reason.HUNG), a_job()),
        20,
        (DeleteJob("run-1", "job-1"),),
        40,
    ),
    "a stop deletes a Job once": (observe(stopping(Reason.HUNG), a_job(deleting=True), a_placed_pod()), 21, (), 39),
    "a stop waits for a pod that is being deleted": (
        observe(stopping(Reason.HUNG), a_job(deleting=True), a_running_pod(deleting_since=at(30))),
        35,
        (),
        25,
    ),
}


@pytest.mark.parametrize(("observed", "now", "actions", "wake"), WAITS.values(), ids=WAITS)
def test_an_attempt_that_waits_writes_nothing_and_looks_again_when_its_clock_strikes(
    observed: Observed, now: float, actions: tuple[object, ...], wake: float
) -> None:
    assert decide(observed, now) == Plan(actions=actions, wake_after_seconds=wake)  # type: ignore[arg-type]


WORDS = {
    "a quota": (observe(reserved(), a_job(), memory=REFUSED), 3, Phase.QUEUED, f"PodRejected: {QUOTA}"),
    "a scheduler": (
        observe(reserved(), a_job(), a_pod(unschedulable=NO_NODE)),
        3,
        Phase.QUEUED,
        f"Unschedulable: {NO_NODE}",
    ),
    "a pull": (
        observe(reserved(), a_job(), a_placed_pod("ErrImagePull"), memory=PULLING),
        3,
        Phase.STARTING,
        "ErrImagePull: i/o timeout",
    ),
    "an Event of the pod": (
        observe(reserved(), a_job(), a_placed_pod(), memory=MOUNTING),
        12,
        Phase.STARTING,
        "FailedMount: no volume",
    ),
}


@pytest.mark.parametrize(("observed", "now", "phase", "words"), WORDS.values(), ids=WORDS)
def test_the_words_of_whoever_holds_a_run_up_are_copied_once_in_thirty_seconds(
    observed: Observed, now: float, phase: Phase, words: str
) -> None:
    status = written(decide(observed, now))
    assert (status.phase, status.message) == (phase, words)

    again = replace(observed, run=replace(observed.run, status=status))
    assert decide(again, now + 1).status is None
    other = status.model_copy(update={"message": "other words"})
    just_written = replace(
        observed, run=replace(observed.run, status=other), memory=replace(observed.memory, written_at=at(now))
    )
    assert decide(just_written, now + 1).status is None


STOPS = {
    "cancel": (observe(running(), a_job(), a_running_pod(), spec=a_spec(cancel=True)), 20, Reason.CANCELLED),
    "suspend": (observe(running(), a_job(), a_running_pod(), spec=a_spec(suspend=True)), 20, Reason.CANCELLED),
    "the wall that the kubelet did not keep": (
        observe(running(), a_job(), a_running_pod()),
        71,
        Reason.DEADLINE_EXCEEDED,
    ),
    "the run clock that the evaluator did not keep": (
        observe(
            running(),
            a_job(),
            a_running_pod(),
            spec=a_spec(clocks={"runSeconds": 5, "startSeconds": 30, "wallSeconds": 200, "publishSeconds": 20}),
        ),
        38,
        Reason.DEADLINE_EXCEEDED,
    ),
    "a start that hangs": (
        observe(reserved(), a_job(), a_placed_pod(container=LOADING)),
        31,
        Reason.START_TIMEOUT,
    ),
}


@pytest.mark.parametrize(("observed", "now", "reason"), STOPS.values(), ids=STOPS)
def test_the_reason_of_a_stop_is_written_before_the_pod_is_touched(
    observed: Observed, now: float, reason: Reason
) -> None:
    decided = decide(observed, now)

    assert decided.actions == ()
    assert decided.wake_after_seconds == 0
    assert written(decided).attempts[-1].stopping is reason
    assert written(decided).attempts[-1].reason is None


def test_the_wall_of_a_second_attempt_is_what_suspends_have_left() -> None:
    second = an_attempt(2, scheduled_at=at(40), ready_at=at(40), pod_name="pod")
    status = reserved(ended_attempt(1, Reason.CANCELLED, 0, 30), second)

    assert decide(observe(status, a_job(2), a_running_pod(attempt=2)), 79).wake_after_seconds == pytest.approx(1)
    assert written(decide(observe(status, a_job(2), a_running_pod(attempt=2)), 80)).attempts[-1].stopping


def test_readiness_starts_the_run_clock_and_stops_the_queue_clock() -> None:
    decided = decide(observe(reserved(), a_job(), a_running_pod()), 4)
    status = written(decided)

    assert (status.phase, status.node_name, status.pod_name) == (Phase.RUNNING, "node", "pod")
    assert (status.attempts[-1].scheduled_at, status.attempts[-1].ready_at) == (at(1), at(3))
    assert status.clocks
    assert status.clocks.queued == 1
    assert status.queued_since is None
    assert kinds(decided) == [Announce]
    started = status.condition(ConditionType.STARTED)
    assert started
    assert started.status == "True"


def test_a_ready_time_ahead_of_our_clock_is_cut_to_it() -> None:
    ahead = written(decide(observe(reserved(), a_job(), a_running_pod(ready_at=at(9), scheduled_at=at(8))), 4))

    assert (ahead.attempts[-1].scheduled_at, ahead.attempts[-1].ready_at) == (at(4), at(4))


def test_progress_is_written_at_most_once_in_thirty_seconds() -> None:
    moved = AttemptMemory(attempt=1, progress=HALF)
    assert written(decide(observe(running(), a_job(), a_running_pod(), memory=moved), 20)).progress == HALF

    just_written = replace(moved, written_at=at(15))
    assert decide(observe(running(), a_job(), a_running_pod(), memory=just_written), 20).status is None
    assert decide(observe(running(), a_job(), a_running_pod(), memory=just_written), 45).status is not None
    same = running().model_copy(update={"progress": HALF})
    assert decide(observe(same, a_job(), a_running_pod(), memory=moved), 20).status is None


def test_a_live_pod_counts_before_an_ended_one_of_the_same_attempt() -> None:
    ended = an_ended_pod(75, name="old", uid="old", created_at=at(5))

    assert decide(observe(running(), a_job(), ended, a_running_pod()), 11).status is None


def test_a_container_that_never_started_and_failed_at_the_wall_is_no_deadline() -> None:
    pod = a_placed_pod(phase="Failed", reason="DeadlineExceeded")
    status = written(decide(observe(reserved(), a_job(), pod, memory=PULLING), 62))

    assert status.attempts[-1].reason is Reason.IMAGE_PULL_ERROR
