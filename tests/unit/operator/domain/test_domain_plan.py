"""The run as a whole: accepted or refused, queued, reserved, suspended, retried, ended and cleared away."""

from dataclasses import replace
from typing import Any

import pytest

from hantei_api.reasons import FACTS, Budget, Reason, Verdict
from hantei_api.result import WandbOutcome
from hantei_api.status import MAX_ATTEMPTS, ClockReadings, ConditionType, Phase, Progress, RunStatus
from hantei_operator.domain.actions import Announce, CreateJob, DeleteJob, DeletePod, DeleteRun, Plan
from hantei_operator.domain.facts import AttemptMemory, RunFacts
from hantei_operator.domain.names import job_name
from support.decisions import (
    a_condition,
    a_job,
    a_pod,
    a_run,
    a_running_pod,
    a_spec,
    a_summary,
    an_attempt,
    an_ended_pod,
    at,
    between,
    decide,
    ended_attempt,
    kinds,
    observe,
    reserved,
    running,
    written,
)

CLOCKS = {"queueSeconds": 100, "startSeconds": 30, "wallSeconds": 60}


def a_finished(reason: Reason = Reason.COMPLETED, seconds: float = 20) -> RunStatus:
    """A run that ended at 20 s."""
    pod = an_ended_pod(0, a_summary()) if reason is Reason.COMPLETED else an_ended_pod(66)
    return written(decide(observe(running(), pod), seconds))


REFUSALS = {
    "an image from elsewhere": (a_spec(image="docker.io/x"), "", "docker.io/x", "hantei/"),
    "an image whose name only begins like an allowed one": (
        a_spec(image="hantei-evil/x"),
        "",
        "hantei-evil/x",
        "hantei/",
    ),
    "a node selector of its own": (
        a_spec(resources={"nodeSelector": {"zone": "a"}}),
        "",
        "spec.resources.nodeSelector key 'zone'",
        "allowed: pool",
    ),
    "a wall above the most": (
        a_spec(clocks={"wallSeconds": 301}),
        "",
        "spec.clocks.wallSeconds is 301 s",
        "the most is 300 s",
    ),
    "a spec of another version": (None, "spec.suite: Field required", "spec.suite", "Field required"),
}


@pytest.mark.parametrize(("spec", "error", "field", "limit"), REFUSALS.values(), ids=REFUSALS)
def test_a_run_that_can_never_be_launched_is_refused_with_field_limit_and_way_out(
    spec: Any, error: str, field: str, limit: str
) -> None:
    run = replace(a_run(), spec=spec, spec_error=error)
    status = written(decide(observe(run, slot_free=True), 1))

    assert (status.reason, status.phase) == (Reason.INVALID_TASK, Phase.FAILED)
    assert field in (status.message or "")
    assert limit in (status.message or "")
    accepted = status.condition(ConditionType.ACCEPTED)
    assert accepted
    assert accepted.status == "False"


def test_an_allowed_image_and_node_selector_are_accepted() -> None:
    spec = a_spec(image="hantei/mine:1", resources={"nodeSelector": {"pool": "a"}})

    assert CreateJob in kinds(decide(observe(spec=spec, slot_free=True), 1))


def test_a_run_that_runs_is_not_refused_when_the_chart_lowers_a_limit() -> None:
    spec = a_spec(image="docker.io/x")

    assert decide(observe(running(), a_job(), a_running_pod(), spec=spec), 11).status is None


def test_a_run_that_goes_or_that_only_a_newer_version_can_read_is_left_alone() -> None:
    assert decide(observe(a_run(deleting=True), slot_free=True), 1) == Plan()
    assert decide(observe(a_run(unreadable_status="phase: Paused"), slot_free=True), 1) == Plan()


def test_one_status_write_stands_before_the_job_and_it_is_the_reservation() -> None:
    decided = decide(observe(slot_free=True), 1)
    status = written(decided)

    assert kinds(decided) == [CreateJob, Announce]
    assert decided.actions[0] == CreateJob(1, None, 60)
    assert status.attempts == [an_attempt(job_name=job_name("run", "run-uid", 1), reserved_at=at(1))]
    assert [(c.type, c.status) for c in status.conditions] == [
        (ConditionType.ACCEPTED, "True"),
        (ConditionType.CAPACITY_RESERVED, "True"),
    ]
    assert (status.suite, status.gpus, status.queued_since) == ("command", 1, at(0))


def test_a_waiting_run_says_so_once_and_wakes_when_its_queue_clock_strikes() -> None:
    first = decide(observe(runs_ahead=8), 1)
    status = written(first)
    assert (status.phase, status.queue_position) == (Phase.QUEUED, 8)
    assert status.message == "waiting for capacity, 8 runs ahead"
    assert first.wake_after_seconds == 99

    for ahead, written_at, now, writes in [(8, 1, 2, False), (7, 1, 40, False), (3, 39, 40, False), (3, 1, 40, True)]:
        memory = AttemptMemory(written_at=at(written_at))
        assert (decide(observe(status, memory=memory, runs_ahead=ahead), now).status is not None) is writes


def test_a_queue_without_end_is_a_queue_timeout_and_its_clock_is_shown() -> None:
    status = written(decide(observe(runs_ahead=3, slot_free=True), 100))

    assert status.reason is Reason.QUEUE_TIMEOUT
    assert "3 runs ahead" in (status.message or "")
    assert status.clocks == ClockReadings(queued=100)


@pytest.mark.parametrize("flag", [{"cancel": True}, {"suspend": True}])
def test_cancel_ends_a_queued_run_and_suspend_stops_its_clock(flag: dict[str, bool]) -> None:
    waiting = written(decide(observe(), 1))
    decided = decide(observe(waiting, spec=a_spec(**flag), slot_free=True), 10)
    status = written(decided)

    assert status.clocks == ClockReadings(queued=10)
    if "cancel" in flag:
        assert (status.finished, status.reason) == (True, Reason.CANCELLED)
        return
    assert decided.actions == ()
    assert not status.finished
    assert status.queued_since is None
    assert decide(observe(status, spec=a_spec(suspend=True), slot_free=True), 5000) == Plan()
    resumed = decide(observe(status), 5000)
    assert resumed.wake_after_seconds == 90
    assert written(resumed).queued_since == at(5000)


def test_a_resumed_run_that_waits_no_longer_says_suspended() -> None:
    status = between(ended_attempt(1, Reason.CANCELLED))
    suspended = written(decide(observe(status, spec=a_spec(suspend=True)), 20))
    resumed = written(decide(observe(suspended, runs_ahead=2), 30))

    assert resumed.message == "waiting for capacity, 2 runs ahead"


def test_a_run_between_attempts_keeps_the_words_of_the_last_one() -> None:
    status = between(ended_attempt(1, Reason.EVICTED), message="attempt 1 ended with Evicted")

    assert written(decide(observe(status), 30)).message == "attempt 1 ended with Evicted"


BACK_OFFS = {
    "after one failure": ([Reason.EVICTED], 5),
    "after two failures": ([Reason.EVICTED, Reason.PREEMPTED], 10),
    "after many failures": ([Reason.PREEMPTED] * 8, 60),
    "a suspend is no failure": ([Reason.EVICTED, Reason.CANCELLED], 0),
}


@pytest.mark.parametrize(("reasons", "seconds"), BACK_OFFS.values(), ids=BACK_OFFS)
def test_the_next_attempt_waits_twice_as_long_after_each_failure(reasons: list[Reason], seconds: float) -> None:
    attempts = [ended_attempt(n + 1, reason, 0, 1) for n, reason in enumerate(reasons)]
    status = between(*attempts)
    if seconds:
        early = decide(observe(status, slot_free=True), 1)
        assert CreateJob not in kinds(early)
        assert early.wake_after_seconds == seconds
    launched = decide(observe(status, slot_free=True), 1 + seconds)
    assert CreateJob in kinds(launched)
    assert written(launched).attempts[-1].number == len(attempts) + 1


def test_suspends_and_preemptions_add_up_to_one_wall_and_one_run_clock() -> None:
    clocks = CLOCKS | {"runSeconds": 50}
    status = between(ended_attempt(1, Reason.CANCELLED, 0, 10), ended_attempt(2, Reason.PREEMPTED, 10, 30))
    decided = decide(observe(status, spec=a_spec(clocks=clocks), slot_free=True), 45)
    assert decided.actions[0] == CreateJob(3, 20, 30)

    fault = between(ended_attempt(1, Reason.EVICTED, 0, 50))
    fresh = decide(observe(fault, spec=a_spec(clocks=clocks), slot_free=True), 60)
    assert fresh.actions[0] == CreateJob(2, 50, 60)


@pytest.mark.parametrize(
    ("clocks", "end", "words"),
    [(CLOCKS, 46, "14 s of clocks.wallSeconds (60 s)"), (CLOCKS | {"runSeconds": 20}, 20, "clocks.runSeconds (20 s)")],
)
def test_a_used_up_clock_ends_the_run_and_is_named(clocks: dict[str, int], end: float, words: str) -> None:
    status = between(ended_attempt(1, Reason.CANCELLED, 0, end))
    ended = written(decide(observe(status, spec=a_spec(clocks=clocks), slot_free=True), end))

    assert ended.reason is Reason.DEADLINE_EXCEEDED
    assert words in (ended.message or "")


OWN_FAULT = an_ended_pod(137, word="OOMKilled")
DRAINED = an_ended_pod(75, disruption_reason="EvictionByEvictionAPI")
TAKEN = an_ended_pod(75, disruption_reason="PreemptionByScheduler")
DENIED = AttemptMemory(attempt=1, waiting_reason="ErrImagePull", waiting_message="unauthorized")


def again(pod: Any, earlier: list[Reason], **spec: Any) -> bool:
    attempts = [ended_attempt(n + 1, reason) for n, reason in enumerate(earlier)]
    number = len(attempts) + 1
    status = reserved(*attempts, an_attempt(number))
    decided = decide(observe(status, a_job(number), replace(pod, attempt=number), spec=a_spec(**spec)), 20)
    ended = written(decided)
    if not ended.finished:
        assert (ended.phase, ended.attempts[-1].ended_at, ended.queued_since) == (Phase.QUEUED, at(13), at(20))
        assert ended.metrics == []
    return not ended.finished


RETRIES = {
    "an eviction, first": (DRAINED, [], {}, True),
    "an eviction, third": (DRAINED, [Reason.NODE_LOST] * 2, {}, True),
    "an eviction, fourth": (DRAINED, [Reason.NODE_LOST] * 3, {}, False),
    "an eviction after preemptions and own faults": (
        DRAINED,
        [Reason.PREEMPTED, Reason.EVALUATOR_ERROR],
        {"retries": {"infrastructure": 1}},
        True,
    ),
    "an own fault without a budget": (OWN_FAULT, [], {}, False),
    "an own fault with one": (OWN_FAULT, [], {"retries": {"evaluation": 1}}, True),
    "an own fault after infrastructure's": (OWN_FAULT, [Reason.EVICTED] * 3, {"retries": {"evaluation": 1}}, True),
    "a second own fault": (OWN_FAULT, [Reason.HUNG], {"retries": {"evaluation": 1}}, False),
    "a preemption without any budget": (TAKEN, [], {"retries": {"infrastructure": 0}}, True),
    "a preemption to be dropped": (TAKEN, [], {"onPreemption": "Drop"}, False),
    "the twentieth preemption": (TAKEN, [Reason.PREEMPTED] * 19, {}, True),
    "the twenty-first preemption": (TAKEN, [Reason.PREEMPTED] * 20, {}, False),
    "more attempts than status holds": (DRAINED, [Reason.CANCELLED] * (MAX_ATTEMPTS - 1), {}, False),
}


@pytest.mark.parametrize(("pod", "earlier", "spec", "retried"), RETRIES.values(), ids=RETRIES)
def test_two_budgets_are_never_mixed_and_a_preemption_spends_neither(
    pod: Any, earlier: list[Reason], spec: dict[str, Any], *, retried: bool
) -> None:
    assert again(pod, earlier, **spec) is retried


def test_what_is_known_to_end_the_same_way_is_not_tried_again() -> None:
    pod = a_running_pod(phase="Failed", reason="DeadlineExceeded", container=a_pod().container)

    assert written(decide(observe(reserved(), pod, memory=DENIED), 20)).reason is Reason.IMAGE_PULL_ERROR


def test_no_reason_is_without_advice_and_only_good_ends_and_known_ones_have_no_budget() -> None:
    assert set(FACTS) == set(Reason)
    assert FACTS[Reason.CANCELLED].budget is Budget.NONE
    assert FACTS[Reason.PREEMPTED].budget is Budget.FREE


@pytest.mark.parametrize(("earlier", "finished"), [(0, False), (MAX_ATTEMPTS - 1, True)])
def test_a_suspend_spends_no_retry_until_status_holds_no_more_attempts(earlier: int, *, finished: bool) -> None:
    attempts = [ended_attempt(n + 1, Reason.CANCELLED, 0, 0) for n in range(earlier)]
    stopped = an_attempt(earlier + 1, stopping=Reason.CANCELLED, stopping_since=at(1), message="stopped")
    decided = decide(observe(reserved(*attempts, stopped), spec=a_spec(suspend=True)), 2)

    assert written(decided).finished is finished
    if not finished:
        released = written(decided).condition(ConditionType.CAPACITY_RESERVED)
        assert released
        assert (released.status, released.reason) == ("False", "Stopped")


def test_an_attempt_that_ends_alive_has_its_job_deleted_and_a_dead_one_keeps_its_log() -> None:
    lost = a_running_pod(deleting_since=at(20))
    assert DeleteJob("run-1", "job-1") in decide(observe(running(), a_job(), lost), 90).actions
    assert DeleteJob not in kinds(decide(observe(running(), a_job(), DRAINED), 20))


def test_a_crash_before_the_clearing_away_leaves_no_earlier_attempt_alive_beside_the_next() -> None:
    status = between(ended_attempt(1, Reason.START_TIMEOUT))
    decided = decide(observe(status, a_job(), a_running_pod(), slot_free=True), 60)

    assert kinds(decided) == [DeleteJob, CreateJob, Announce]
    later = reserved(ended_attempt(1, Reason.START_TIMEOUT), an_attempt(2))
    assert DeleteJob("run-1", "job-1") in decide(observe(later, a_job(), a_running_pod(), a_job(2)), 60).actions


def test_a_good_evaluation_says_what_was_measured_on_what() -> None:
    summary = a_summary(
        published=True,
        provenance={"device": "cpu", "seed": 3},
        wandb=WandbOutcome(synced=False, message="timed out", url="https://wandb.example/run"),
        verdict=Verdict.PASS,
    )
    spec = a_spec(output={"pvc": {"claimName": "results", "path": "/evals/".strip("/")}})
    decided = decide(observe(running(), a_job(), an_ended_pod(0, summary), spec=spec), 14)
    status = written(decided)

    assert (status.phase, status.reason, status.verdict) == (Phase.SUCCEEDED, Reason.COMPLETED, Verdict.PASS)
    assert status.message == "accuracy 0.96±0.01 (n = 360), computed on cpu"
    assert status.results
    assert (status.results.path, status.results.complete) == ("evals/team/run/attempt-1", True)
    assert {c.type.value: (c.status, c.reason) for c in status.conditions} == {
        "Accepted": ("True", "Accepted"),
        "CapacityReserved": ("False", "Released"),
        "ResultsPublished": ("True", "Published"),
        "WandbSynced": ("False", "NotSynced"),
        "Finished": ("True", "Completed"),
    }
    assert status.clocks == ClockReadings(queued=0, starting=2, running=10)
    assert status.gpu_seconds
    assert (status.gpu_seconds.starting, status.gpu_seconds.running, status.gpu_seconds.wasted) == (2, 10, 0)
    assert (status.duration, status.failure) == ("12s", None)
    assert kinds(decided) == [Announce]


def test_a_good_evaluation_that_was_not_published_is_still_good() -> None:
    summary = a_summary(published=False, publish_message="volume full", wandb=WandbOutcome(synced=True))
    spec = a_spec(output={"pvc": {"claimName": "results"}})
    status = written(decide(observe(running(), an_ended_pod(0, summary), spec=spec), 14))

    assert status.reason is Reason.COMPLETED
    published = status.condition(ConditionType.RESULTS_PUBLISHED)
    assert published
    assert (published.status, published.reason, published.message) == ("False", "PublishTimeout", "volume full")
    assert status.results
    assert status.results.wandb_url is None


def test_the_longest_uri_of_an_output_fits_the_status() -> None:
    uri = "s3://" + "x" * 2043
    spec = a_spec(output={"uri": uri})
    run = a_run(spec, running(), namespace="n" * 63, name="r" * 63)
    pod = an_ended_pod(0, a_summary(published=True))
    status = written(decide(observe(run, pod, spec=spec), 20))
    assert status.results is not None
    assert status.results.uri == f"{uri}/{'n' * 63}/{'r' * 63}/attempt-1"


def test_partial_metrics_at_a_deadline_are_kept_and_marked() -> None:
    summary = a_summary(Reason.DEADLINE_EXCEEDED, complete=False, message="100 of 360 samples", log_tail="late")
    status = written(decide(observe(running(), an_ended_pod(75, summary)), 14))

    assert (status.phase, status.reason) == (Phase.FAILED, Reason.DEADLINE_EXCEEDED)
    assert (status.score, status.metrics_partial, len(status.metrics)) == ("0.96±0.01", True, 1)
    assert (status.message or "").startswith("100 of 360 samples. Raise spec.clocks.runSeconds")
    assert status.failure
    assert (status.failure.exit_code, status.failure.log_tail, status.failure.node) == (75, "late", "node")


def test_a_run_that_was_never_ready_takes_the_evaluators_word_for_when_it_was_and_never_past_its_end() -> None:
    for load, ready in [(4, 6), (400, 13)]:
        summary = a_summary(timings={"load_seconds": load})
        status = written(decide(observe(reserved(), an_ended_pod(0, summary)), 14))
        assert status.attempts[-1].ready_at == at(ready)


def test_a_wasted_attempt_is_counted_as_wasted() -> None:
    status = written(decide(observe(running(), a_job(), DRAINED), 20))

    assert status.gpu_seconds
    assert status.gpu_seconds.wasted == 12


def test_progress_stays_on_a_good_end_and_goes_on_a_bad_one() -> None:
    done = running().model_copy(update={"progress": Progress(done=1)})

    assert written(decide(observe(done, an_ended_pod(0, a_summary())), 14)).progress
    assert written(decide(observe(done, an_ended_pod(66)), 14)).progress is None


@pytest.mark.parametrize(
    ("metric", "score"),
    [
        (["accuracy", 0.9612, 0.0101, 10], "0.96±0.01"),
        (["elo", 1512.4, 31.0, 10], "1512±31"),
        (["accuracy", 1.0, None, 10], "1"),
        (["accuracy", 1.0, 0.0, 10], "1"),
    ],
)
def test_a_score_has_as_many_digits_as_its_error_allows(metric: list[Any], score: str) -> None:
    row = dict(zip(("name", "value", "stderr", "n"), metric, strict=True))

    assert written(decide(observe(running(), an_ended_pod(0, a_summary(metrics=[row]))), 14)).score == score


def test_every_failure_says_its_advice_once() -> None:
    advice = FACTS[Reason.EVALUATOR_ERROR].advice
    for words in ("x" * 2048, "", f"it broke. {advice}"):
        pod = an_ended_pod(70, a_summary(Reason.EVALUATOR_ERROR, message=words, metrics=[]))
        message = written(decide(observe(running(), pod), 14)).message or ""
        assert message.endswith(advice)
        assert message.count(advice) == 1
        assert len(message) <= 2048


def test_finished_is_set_once_whatever_is_seen_afterwards() -> None:
    status = a_finished()
    for parts in [(), (a_job(),), (a_job(), a_running_pod()), (an_ended_pod(66),)]:
        for spec in (a_spec(), a_spec(cancel=True), a_spec(suspend=True)):
            assert decide(observe(status, *parts, spec=spec, slot_free=True), 30).status is None


LEFT = {
    "a log within its retention": ((a_job(), an_ended_pod(66)), 30, (), 590),
    "a log after its retention": ((a_job(), an_ended_pod(66)), 620, (DeleteJob("run-1", "job-1"),), None),
    "a Job that still lives": ((a_job(), a_running_pod()), 30, (DeleteJob("run-1", "job-1"),), None),
    "a Job that still tries to make a pod": ((a_job(),), 30, (DeleteJob("run-1", "job-1"),), None),
    "a Job that is being deleted": ((a_job(deleting=True), a_running_pod()), 30, (), None),
    "a pod that lost its Job": ((a_running_pod(),), 30, (DeletePod("pod", "pod-uid"),), None),
    "a pod that is being deleted": ((a_running_pod(deleting_since=at(25)),), 30, (), None),
    "nothing": ((), 30, (), None),
}


@pytest.mark.parametrize(("parts", "now", "actions", "wake"), LEFT.values(), ids=LEFT)
def test_nothing_that_lives_outlasts_its_run_and_logs_stay_for_their_retention(
    parts: Any, now: float, actions: Any, wake: float | None
) -> None:
    assert decide(observe(a_finished(), *parts), now) == Plan(actions=actions, wake_after_seconds=wake)


@pytest.mark.parametrize(("reason", "ttl"), [(Reason.COMPLETED, 100), (Reason.CHECKPOINT_MISSING, 200)])
def test_a_finished_run_stays_for_the_time_to_live_of_its_outcome(reason: Reason, ttl: float) -> None:
    spec = a_spec(ttlSecondsAfterFinished={"succeeded": 100, "failed": 200})
    status = a_finished(reason)

    assert decide(observe(status, spec=spec), 30) == Plan(wake_after_seconds=ttl - 10)
    assert decide(observe(status, spec=spec), 20 + ttl) == Plan(actions=(DeleteRun(),))
    assert decide(observe(status), 10**6) == Plan()
    unreadable = RunFacts(**{**vars(a_run(status=status)), "spec": None})
    assert decide(observe(unreadable), 10**6) == Plan()


def test_the_name_of_a_job_is_a_function_of_uid_and_attempt_and_fits_a_label() -> None:
    names = {job_name("r" * 63, uid, attempt) for uid in ("a", "b") for attempt in (1, 32)}

    assert len(names) == 4
    assert max(map(len, names)) <= 63
    assert job_name("a.b", "a", 1).startswith("a-b-")
    assert job_name("a" * 39 + ".b", "a", 1).startswith("a" * 39 + "-")


def test_a_condition_keeps_its_time_while_its_status_stays() -> None:
    waiting = written(
        decide(observe(reserved(conditions=[a_condition(ConditionType.ACCEPTED, "Old")], attempts=[])), 9)
    )
    accepted = waiting.condition(ConditionType.ACCEPTED)

    assert accepted
    assert (accepted.reason, accepted.last_transition_time) == ("Accepted", at(0))


def test_advice_that_the_evaluator_has_given_is_not_given_twice() -> None:
    advice = FACTS[Reason.DEVICE_UNAVAILABLE].advice
    summary = a_summary(Reason.DEVICE_UNAVAILABLE, metrics=[], message=f"The pod holds 1 GPU(s). {advice}")
    status = written(decide(observe(running(), a_job(), an_ended_pod(69, summary)), 14))
    assert (status.message or "").count(advice.rstrip(".")) == 1
