"""Every CEL rule has a bad run here that it refuses, with its message and the field; a rule without one fails."""

import copy
from collections.abc import Callable

import pytest
from kubernetes import client

from hantei_api.crd import FINISHED_STAYS, NAME_IS_A_LABEL, NOT_ITS_OWN_BASELINE, OUTCOME_STAYS, RUN, definition
from hantei_api.crd_schema import walk
from hantei_api.names import GROUP, RUN_PLURAL, VERSION
from support.bad_runs import DROP, EXAMPLES, Example, changed
from support.refusals import Refusal, refusal
from support.runs import (
    CLASSIFICATION,
    COMMAND,
    FINISHED,
    MINIMAL,
    STATUS,
    Body,
    run,
)

SCHEMA = definition(RUN)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]

ELSEWHERE = {
    f": {NAME_IS_A_LABEL['message']}",
    f": {NOT_ITS_OWN_BASELINE['message']}",
    f": {FINISHED_STAYS['message']}",
    f": {OUTCOME_STAYS['message']}",
    "spec: a cancelled run stays cancelled: create a new run",
    "status.provenance.versions: a key has at most 256 characters: shorten it",
}
"""Rules of the whole object, of changes and of status: each has its own test below."""

FIELDS = list(SCHEMA["properties"]["spec"]["properties"])
IMMUTABLE = [field for field in FIELDS if field not in RUN.mutable_fields]
REQUIRED = SCHEMA["properties"]["spec"]["required"]


def rules_of_the_schema() -> set[str]:
    """Path and message of every rule that was written by hand."""
    found = set()
    for path, node in walk(SCHEMA, ""):
        for rule in node.get("x-kubernetes-validations", ()):
            if not rule["message"].startswith("spec.") or "can't be changed" not in rule["message"]:
                found.add(f"{path.removeprefix('.')}: {rule['message']}")
    return found


class Runs:
    """EvaluationRuns in one namespace."""

    def __init__(self, api: client.ApiClient, namespace: str) -> None:
        self._objects = client.CustomObjectsApi(api)
        self._at = (GROUP, VERSION, namespace, RUN_PLURAL)

    def create(self, body: Body, *, dry_run: bool = False) -> Body:
        options = {"dry_run": "All"} if dry_run else {}
        return self._objects.create_namespaced_custom_object(*self._at, body, **options)

    def put(self, body: Body) -> Body:
        return self._objects.replace_namespaced_custom_object(*self._at, body["metadata"]["name"], body, dry_run="All")

    def patch(self, name: str, patch: Body) -> Body:
        return self._objects.patch_namespaced_custom_object(*self._at, name, patch, dry_run="All")

    def put_status(self, body: Body, *, dry_run: bool = True) -> Body:
        options = {"dry_run": "All"} if dry_run else {}
        return self._objects.replace_namespaced_custom_object_status(
            *self._at, body["metadata"]["name"], body, **options
        )

    def patch_status(self, name: str, patch: Body) -> Body:
        return self._objects.patch_namespaced_custom_object_status(*self._at, name, patch, dry_run="All")


@pytest.fixture
def runs(api: client.ApiClient, namespace: str) -> Runs:
    return Runs(api, namespace)


def test_every_rule_has_a_bad_example() -> None:
    written = rules_of_the_schema()
    covered = {rule for rule in written for example in EXAMPLES if rule.startswith(example.rule)} | ELSEWHERE
    assert written == covered
    assert len({example.rule for example in EXAMPLES}) + len(ELSEWHERE) == len(written), "an example names no rule"


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_a_rule_refuses_its_bad_example(runs: Runs, example: Example) -> None:
    body = run(example.base)
    assert runs.create(body, dry_run=True)
    bad = run(example.base)
    bad["spec"] = changed(bad["spec"], example.at, example.value)
    refused = refusal(lambda: runs.create(bad, dry_run=True))
    assert refused.names(example.field, example.rule.partition(": ")[2]), refused


def test_every_rule_says_what_to_do_in_one_line() -> None:
    for _, node in walk(SCHEMA, ""):
        for rule in node.get("x-kubernetes-validations", ()):
            assert 20 < len(rule["message"]) < 200
            assert "\n" not in rule["message"]


def test_a_name_that_is_no_label_value_is_refused(runs: Runs) -> None:
    assert runs.create(run(MINIMAL, "n" * 63), dry_run=True)
    refused = refusal(lambda: runs.create(run(MINIMAL, "n" * 64), dry_run=True))
    assert refused.names("<nil>", NAME_IS_A_LABEL["message"]), refused


def test_a_run_is_not_its_own_baseline(runs: Runs) -> None:
    compared = {**MINIMAL, "baseline": {"run": "step-2"}}
    assert runs.create(run(compared, "step-3"), dry_run=True)
    refused = refusal(lambda: runs.create(run(compared, "step-2"), dry_run=True))
    assert refused.names("<nil>", NOT_ITS_OWN_BASELINE["message"]), refused


def test_a_long_key_in_versions_is_refused(runs: Runs) -> None:
    created = runs.create(run(MINIMAL))
    bad = {**created, "status": changed(STATUS, "provenance.versions", {"k" * 257: "1"})}
    refused = refusal(lambda: runs.put_status(bad))
    assert refused.names("status.provenance.versions", "a key has at most 256 characters"), refused


def assert_immutable(refused: Refusal, field: str) -> None:
    words = f"spec.{field} can't be changed after creation: create a new EvaluationRun"
    assert refused.names(f"spec.{field}", words), refused


@pytest.mark.parametrize("field", IMMUTABLE)
def test_an_immutable_field_is_neither_changed_nor_removed_nor_added(runs: Runs, field: str) -> None:
    full = runs.create(run({**COMMAND, "suspend": False}, "full"))
    other = CLASSIFICATION[field]
    assert other != full["spec"][field]
    change = copy.deepcopy(full)
    change["spec"][field] = other
    assert_immutable(refusal(lambda: runs.put(change)), field)
    if field in REQUIRED:
        return
    removal = copy.deepcopy(full)
    del removal["spec"][field]
    assert_immutable(refusal(lambda: runs.put(removal)), field)
    assert_immutable(refusal(lambda: runs.patch("full", {"spec": {field: None}})), field)
    bare = runs.create(run(MINIMAL, "bare"))
    addition = copy.deepcopy(bare)
    addition["spec"][field] = other
    assert_immutable(refusal(lambda: runs.put(addition)), field)


@pytest.mark.parametrize("field", sorted(RUN.mutable_fields))
def test_a_mutable_field_is_added_changed_and_removed(runs: Runs, field: str) -> None:
    full = runs.create(run({**COMMAND, "cancel": False}, "full"))
    runs.put(changed(full, f"spec.{field}", CLASSIFICATION[field]))
    runs.put(changed(full, f"spec.{field}", DROP))
    bare = runs.create(run(MINIMAL, "bare"))
    runs.put(changed(bare, f"spec.{field}", CLASSIFICATION[field]))


@pytest.mark.parametrize("value", [False, DROP], ids=["false", "dropped"])
def test_a_cancelled_run_stays_cancelled(runs: Runs, value: object) -> None:
    cancelled = runs.create(run({**MINIMAL, "cancel": True}))
    refused = refusal(lambda: runs.put(changed(cancelled, "spec.cancel", value)))
    assert refused.names("spec.cancel", "a cancelled run stays cancelled: create a new run"), refused


@pytest.fixture
def finished(runs: Runs) -> Body:
    created = runs.create(run(MINIMAL, "finished"))
    return runs.put_status({**created, "status": STATUS}, dry_run=False)


CONDITION = FINISHED_STAYS["message"]
OUTCOME = OUTCOME_STAYS["message"]


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        ("status", DROP, CONDITION),
        ("status", {}, CONDITION),
        ("status.conditions", DROP, CONDITION),
        ("status.conditions", [], CONDITION),
        ("status.conditions.0.type", "Started", CONDITION),
        ("status.conditions.0.status", "False", CONDITION),
        ("status.conditions.0.status", "Unknown", CONDITION),
        ("status.conditions.0.reason", "Completed", CONDITION),
        ("status.conditions.0.lastTransitionTime", "2026-01-02T03:04:06Z", CONDITION),
        ("status", DROP, OUTCOME),
        ("status.phase", DROP, OUTCOME),
        ("status.phase", "Running", OUTCOME),
        ("status.reason", DROP, OUTCOME),
        ("status.reason", "Completed", OUTCOME),
        ("status.verdict", DROP, OUTCOME),
        ("status.verdict", "Pass", OUTCOME),
    ],
)
def test_a_finished_run_stays_as_it_ended(runs: Runs, finished: Body, at: str, value: object, message: str) -> None:
    refused = refusal(lambda: runs.put_status(changed(finished, at, value)))
    assert refused.names("<nil>", message), refused


@pytest.mark.parametrize("patch", [{"status": None}, {"status": {"conditions": None}}, {"status": {"phase": None}}])
def test_a_patch_cannot_unfinish_a_run(runs: Runs, finished: Body, patch: Body) -> None:
    refused = refusal(lambda: runs.patch_status("finished", patch))
    assert refused.names("<nil>", "a finished run stays as it ended"), refused


def test_a_finished_run_without_a_verdict_gets_none(runs: Runs) -> None:
    created = runs.create(run(MINIMAL))
    finished = runs.put_status({**created, "status": changed(STATUS, "verdict", DROP)}, dry_run=False)
    refused = refusal(lambda: runs.put_status(changed(finished, "status.verdict", "Pass")))
    assert refused.names("<nil>", OUTCOME), refused


@pytest.mark.parametrize(
    "change",
    [
        lambda body: changed(body, "status.message", "another"),
        lambda body: changed(body, "status.conditions.0.message", "another"),
        lambda body: changed(
            body, "status.conditions", [{**FINISHED, "type": "WandbSynced", "reason": "Synced"}, FINISHED]
        ),
        lambda body: changed(body, "status.results", DROP),
    ],
    ids=["message", "condition-message", "wandb-synced", "results"],
)
def test_what_is_no_outcome_may_change_after_the_end(
    runs: Runs, finished: Body, change: Callable[[Body], Body]
) -> None:
    assert runs.put_status(change(finished))


def test_a_run_that_is_not_finished_may_change_its_mind(runs: Runs) -> None:
    created = runs.create(run(MINIMAL))
    running = changed(STATUS, "conditions.0.status", "False")
    written = runs.put_status({**created, "status": running}, dry_run=False)
    assert runs.put_status(changed(written, "status", DROP))
    assert runs.put_status(changed(written, "status.phase", "Running"))
