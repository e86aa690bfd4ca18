"""The closed list of reasons, and what follows from each."""

import re

import pytest

from hantei_api.reasons import EVALUATOR_REASONS, EXIT_REASONS, FACTS, Budget, Reason

DESIGN = """
Completed GateFailed InvalidTask CheckpointMissing CheckpointIncomplete CheckpointInvalid SourceUnavailable VolumeUnavailable
OOMKilled MemoryLimitReached StorageFull DeviceUnavailable DeadlineExceeded StartTimeout QueueTimeout PublishTimeout ImagePullError
Unschedulable PodRejected NodeLost PodLost Evicted Preempted Hung MetricsUnavailable SlaViolated EvaluatorError NameConflict
Superseded Cancelled
"""


def test_the_reasons_are_the_agreed_ones_in_their_order() -> None:
    assert [str(reason) for reason in Reason] == DESIGN.split()


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_says_what_to_do(reason: Reason) -> None:
    facts = FACTS[reason]
    assert facts.advice.endswith(".")
    assert 20 < len(facts.advice) < 200
    assert re.fullmatch(r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?", reason), "no reason of a Kubernetes condition"


def test_no_facts_are_of_a_reason_that_is_gone() -> None:
    assert set(FACTS) == set(Reason)


def test_only_preemption_costs_nothing() -> None:
    assert [reason for reason in Reason if FACTS[reason].budget is Budget.FREE] == [Reason.PREEMPTED]


@pytest.mark.parametrize("reason", EVALUATOR_REASONS)
def test_what_an_evaluator_says_goes_with_a_known_exit_code(reason: Reason) -> None:
    assert EVALUATOR_REASONS[reason] in EXIT_REASONS


@pytest.mark.parametrize("code", [code for code in EXIT_REASONS if code != 1])
def test_an_exit_code_alone_means_a_reason_that_goes_with_it(code: int) -> None:
    assert EVALUATOR_REASONS[EXIT_REASONS[code]] == code
