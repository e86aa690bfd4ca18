"""Every CEL rule has a bad run here that it refuses, with its message and the field; a rule without one fails."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from kubernetes import client

from hantei_api.crd import FINISHED_STAYS, NAME_IS_A_LABEL, NOT_ITS_OWN_BASELINE, OUTCOME_STAYS, RUN, definition
from hantei_api.crd_schema import walk
from hantei_api.names import GROUP, RUN_PLURAL, VERSION
from support.refusals import Refusal, refusal
from support.runs import (
    BENCHMARK,
    CLASSIFICATION,
    COMMAND,
    CUSTOM,
    FINISHED,
    GYMNASIUM,
    LADDER,
    MINIMAL,
    PLUGIN,
    SHOGI,
    STATUS,
    Body,
    run,
)

SCHEMA = definition(RUN)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


@dataclass(frozen=True)
class Example:
    """A run that is good but for one value."""

    rule: str
    """Path of the rule and the start of its message."""
    base: Body
    at: str
    value: Any
    field: str

    def __str__(self) -> str:
        return self.rule


DROP = object()
"""In an example: the field is left out."""

EXAMPLES = [
    Example("spec: wandb.mode offline needs output", CLASSIFICATION, "output", DROP, "spec.wandb"),
    Example("spec.checkpoint: name exactly one of pvc, uri", COMMAND, "checkpoint.uri", "s3://a/b", "spec.checkpoint"),
    Example("spec.checkpoint: name exactly one of pvc, uri", COMMAND, "checkpoint.pvc", DROP, "spec.checkpoint"),
    Example(
        "spec.checkpoint: credentialsSecretName is for uri",
        COMMAND,
        "checkpoint.credentialsSecretName",
        "hantei-x",
        "spec.checkpoint",
    ),
    Example(
        "spec.checkpoint.pvc.path: must be a path inside",
        COMMAND,
        "checkpoint.pvc.path",
        "a/../../b",
        "spec.checkpoint.pvc.path",
    ),
    Example(
        "spec.checkpoint.credentialsSecretName: must start with hantei-",
        CLASSIFICATION,
        "checkpoint.credentialsSecretName",
        "database",
        "spec.checkpoint.credentialsSecretName",
    ),
    Example("spec.inputs[]: name exactly one of pvc, uri", COMMAND, "inputs.0.uri", "s3://a/b", "spec.inputs[0]"),
    Example(
        "spec.inputs[]: credentialsSecretName is for uri",
        COMMAND,
        "inputs.0.credentialsSecretName",
        "hantei-x",
        "spec.inputs[0]",
    ),
    Example(
        "spec.inputs[].pvc.path: must be a path inside", COMMAND, "inputs.0.pvc.path", "..", "spec.inputs[0].pvc.path"
    ),
    Example(
        "spec.inputs[].credentialsSecretName: must start with hantei-",
        CLASSIFICATION,
        "inputs.0.credentialsSecretName",
        "database",
        "spec.inputs[0].credentialsSecretName",
    ),
    Example("spec.suite: name exactly one of", COMMAND, "suite.shogi", {}, "spec.suite"),
    Example("spec.suite: name exactly one of", COMMAND, "suite.command", DROP, "spec.suite"),
    Example(
        "spec.suite.classification.model: must be NAME/file.py:function",
        CLASSIFICATION,
        "suite.classification.model",
        "code/../../etc/x.py:build",
        "spec.suite.classification.model",
    ),
    Example(
        "spec.suite.classification.data: must be NAME/path",
        CLASSIFICATION,
        "suite.classification.data",
        "data/../../x",
        "spec.suite.classification.data",
    ),
    Example(
        "spec.suite.shogi.opponent: checkpoint is given exactly when",
        SHOGI,
        "suite.shogi.opponent.type",
        "random",
        "spec.suite.shogi.opponent",
    ),
    Example(
        "spec.suite.shogi.opponent: checkpoint is given exactly when",
        SHOGI,
        "suite.shogi.opponent.checkpoint",
        DROP,
        "spec.suite.shogi.opponent",
    ),
    Example(
        "spec.suite.shogi.opponent.checkpoint: must be NAME/path",
        SHOGI,
        "suite.shogi.opponent.checkpoint",
        "rival/../x",
        "spec.suite.shogi.opponent.checkpoint",
    ),
    Example("spec.suite.shogi: opponents is given exactly", LADDER, "suite.shogi.opponents", DROP, "spec.suite.shogi"),
    Example(
        "spec.suite.shogi: opponents is given exactly",
        BENCHMARK,
        "suite.shogi.opponents",
        [{"name": "random"}],
        "spec.suite.shogi",
    ),
    Example("spec.suite.shogi: sequence is given exactly", CUSTOM, "suite.shogi.sequence", DROP, "spec.suite.shogi"),
    Example(
        "spec.suite.shogi: sequence is given exactly",
        LADDER,
        "suite.shogi.sequence",
        [{"opponent": "rival", "numGames": 2}],
        "spec.suite.shogi",
    ),
    Example(
        "spec.suite.shogi: sequence names an opponent",
        CUSTOM,
        "suite.shogi.sequence.0.opponent",
        "nobody",
        "spec.suite.shogi",
    ),
    Example(
        "spec.suite.shogi: openingPlies is for openings random",
        SHOGI,
        "suite.shogi.openings",
        "shipped",
        "spec.suite.shogi",
    ),
    Example(
        "spec.suite.shogi: opponent is for strategy",
        LADDER,
        "suite.shogi.opponent",
        {"type": "random"},
        "spec.suite.shogi",
    ),
    Example("spec.suite.shogi: numGames is for strategy", CUSTOM, "suite.shogi.numGames", 2, "spec.suite.shogi"),
    Example(
        "spec.suite.shogi: ladder is for strategy", CUSTOM, "suite.shogi.ladder", {"kFactor": 8}, "spec.suite.shogi"
    ),
    Example(
        "spec.suite.shogi: benchmark is for strategy",
        LADDER,
        "suite.shogi.benchmark",
        {"gamesPerCase": 1},
        "spec.suite.shogi",
    ),
    Example("spec.suite.shogi: sprt is for strategy", BENCHMARK, "suite.shogi.sprt", {"elo1": 9}, "spec.suite.shogi"),
    Example(
        "spec.suite.shogi.sprt: elo0 (default 0) must be less",
        SHOGI,
        "suite.shogi.sprt.elo0",
        20,
        "spec.suite.shogi.sprt",
    ),
    Example(
        "spec.suite.shogi.sprt: elo0 (default 0) must be less",
        SHOGI,
        "suite.shogi.sprt",
        {"elo1": -1},
        "spec.suite.shogi.sprt",
    ),
    Example(
        "spec.suite.shogi.eloRegistry: must be a path inside",
        SHOGI,
        "suite.shogi.eloRegistry",
        "../elo.json",
        "spec.suite.shogi.eloRegistry",
    ),
    Example("spec: suite.shogi.eloRegistry needs output.pvc", SHOGI, "output", DROP, "spec.suite"),
    Example("spec: suite.shogi.eloRegistry needs output.pvc", SHOGI, "output", {"uri": "s3://a/b"}, "spec.suite"),
    Example(
        "spec.suite.shogi.benchmark.cases: must be NAME/path",
        BENCHMARK,
        "suite.shogi.benchmark.cases",
        "cases/../x",
        "spec.suite.shogi.benchmark.cases",
    ),
    Example(
        "spec.suite.shogi.opponents[]: checkpoint is given exactly when",
        LADDER,
        "suite.shogi.opponents.0.type",
        "random",
        "spec.suite.shogi.opponents[0]",
    ),
    Example(
        "spec.suite.shogi.opponents[].checkpoint: must be NAME/path",
        LADDER,
        "suite.shogi.opponents.0.checkpoint",
        "rival/../x",
        "spec.suite.shogi.opponents[0].checkpoint",
    ),
    Example(
        "spec.suite.shogi.opponents[].name: 'agent' is the evaluated",
        LADDER,
        "suite.shogi.opponents.0.name",
        "agent",
        "spec.suite.shogi.opponents[0].name",
    ),
    Example(
        "spec.suite.gymnasium.policy: must be NAME/file.py:function",
        GYMNASIUM,
        "suite.gymnasium.policy",
        "code/../x.py:load",
        "spec.suite.gymnasium.policy",
    ),
    Example(
        "spec.suite.gymnasium.arguments: a key has at most 64",
        GYMNASIUM,
        "suite.gymnasium.arguments",
        {"k" * 65: "1"},
        "spec.suite.gymnasium.arguments",
    ),
    Example(
        "spec.suite.plugin.name: is a suite of Hantei's own",
        PLUGIN,
        "suite.plugin.name",
        "command",
        "spec.suite.plugin.name",
    ),
    Example(
        "spec.suite.plugin.settings: a key has at most 64",
        PLUGIN,
        "suite.plugin.settings",
        {"k" * 65: "1"},
        "spec.suite.plugin.settings",
    ),
    Example("spec.baseline: name exactly one of run", COMMAND, "baseline", {}, "spec.baseline"),
    Example("spec.baseline: name exactly one of run", CLASSIFICATION, "baseline.run", "a", "spec.baseline"),
    Example(
        "spec.baseline.checkpoint: name exactly one of pvc, uri",
        CLASSIFICATION,
        "baseline.checkpoint.pvc",
        {"claimName": "a", "path": "b"},
        "spec.baseline.checkpoint",
    ),
    Example(
        "spec.baseline.checkpoint: credentialsSecretName is for uri",
        GYMNASIUM,
        "baseline.checkpoint.credentialsSecretName",
        "hantei-x",
        "spec.baseline.checkpoint",
    ),
    Example(
        "spec.baseline.checkpoint.pvc.path: must be a path inside",
        GYMNASIUM,
        "baseline.checkpoint.pvc.path",
        "..",
        "spec.baseline.checkpoint.pvc.path",
    ),
    Example(
        "spec.baseline.checkpoint.credentialsSecretName: must start with hantei-",
        CLASSIFICATION,
        "baseline.checkpoint.credentialsSecretName",
        "database",
        "spec.baseline.checkpoint.credentialsSecretName",
    ),
    Example(
        "spec: baseline.checkpoint is not for the command suite",
        COMMAND,
        "baseline",
        {"checkpoint": {"uri": "s3://a/b"}},
        "spec.baseline",
    ),
    Example("spec.gate: name minimum, or maxDrop", COMMAND, "gate", {"metric": "accuracy"}, "spec.gate"),
    Example("spec: gate.maxDrop needs baseline", COMMAND, "baseline", DROP, "spec.gate"),
    Example("spec.output: name exactly one of pvc, uri", COMMAND, "output.uri", "s3://a/b", "spec.output"),
    Example(
        "spec.output: credentialsSecretName is for uri",
        COMMAND,
        "output.credentialsSecretName",
        "hantei-x",
        "spec.output",
    ),
    Example(
        "spec.output.credentialsSecretName: must start with hantei-",
        CLASSIFICATION,
        "output.credentialsSecretName",
        "database",
        "spec.output.credentialsSecretName",
    ),
    Example(
        "spec.resources: gpuResource must be an extended resource",
        COMMAND,
        "resources.gpuResource",
        "requests.kubernetes.io/gpu",
        "spec.resources",
    ),
    Example(
        "spec.resources.cpu: must be a positive Kubernetes quantity",
        COMMAND,
        "resources.cpu",
        "fast",
        "spec.resources.cpu",
    ),
    Example(
        "spec.resources.cpu: must be a positive Kubernetes quantity", COMMAND, "resources.cpu", 0, "spec.resources.cpu"
    ),
    Example(
        "spec.resources.memory: must be a positive Kubernetes quantity",
        COMMAND,
        "resources.memory",
        "-1Gi",
        "spec.resources.memory",
    ),
    Example(
        "spec.resources.ephemeralStorage: must be a positive Kubernetes quantity",
        COMMAND,
        "resources.ephemeralStorage",
        "2GB",
        "spec.resources.ephemeralStorage",
    ),
    Example(
        "spec.resources.nodeSelector: a key has at most 317",
        COMMAND,
        "resources.nodeSelector",
        {"k" * 318: "v"},
        "spec.resources.nodeSelector",
    ),
    Example(
        "spec.clocks: startSeconds (default 120) must not be more",
        COMMAND,
        "clocks.startSeconds",
        201,
        "spec.clocks.startSeconds",
    ),
    Example(
        "spec.clocks: startSeconds (default 120) must not be more",
        MINIMAL,
        "clocks",
        {"wallSeconds": 119},
        "spec.clocks.startSeconds",
    ),
    Example("spec.clocks: runSeconds must not be more", COMMAND, "clocks.runSeconds", 201, "spec.clocks.runSeconds"),
    Example("spec.output.pvc.path: must be a path inside", COMMAND, "output.pvc.path", "a/..", "spec.output.pvc.path"),
    Example("spec.wandb: online logging needs secretName", COMMAND, "wandb.secretName", DROP, "spec.wandb"),
    Example(
        "spec.wandb.secretName: must start with hantei-",
        COMMAND,
        "wandb.secretName",
        "wandb",
        "spec.wandb.secretName",
    ),
]

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


def changed(body: Body, at: str, value: object) -> Body:
    """A copy of ``body`` with the value at a dotted path changed, added, or dropped."""
    copied = copy.deepcopy(body)
    *above, last = [int(step) if step.isdigit() else step for step in at.split(".")]
    holder: Any = copied
    for step in above:
        holder = holder[step]
    if value is DROP:
        del holder[last]
    else:
        holder[last] = value
    return copied
