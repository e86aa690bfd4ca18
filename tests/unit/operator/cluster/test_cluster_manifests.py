"""The Job of an attempt is the one in golden/NAME.job.yaml; HANTEI_UPDATE_GOLDEN=1 writes the files anew, for a review."""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from hantei_api.names import TASK_ANNOTATION
from hantei_api.spec import EvaluationRunSpec
from hantei_api.status import ResultsLocation, RunStatus
from hantei_api.task import EvaluationTask
from hantei_operator.cluster.manifests import build_job
from hantei_operator.domain.actions import CreateJob
from hantei_operator.domain.facts import RunFacts
from hantei_operator.settings import Evaluations, PodDefaults, Settings

GOLDEN = Path(__file__).parent / "golden"
DEFAULTS = Settings(evaluations=Evaluations(image="hantei/evaluator:1"))
PLATFORM = Settings(
    evaluations=Evaluations(
        image="hantei/evaluator:1",
        image_pull_policy="Always",
        priority_class_name="evaluations",
        pod_defaults=PodDefaults(
            tolerations=[{"key": "dedicated", "operator": "Exists"}],
            node_selector={"zone": "platform"},
            runtime_class_name="nvidia",
            image_pull_secrets=["registry"],
            service_account_name="evaluations",
            run_as_user=1000,
            run_as_group=None,
            fs_group=None,
            supplemental_groups=[2000],
            shared_memory="1Gi",
        ),
    )
)
CASES = {"minimal": DEFAULTS, "volumes": PLATFORM, "uri": DEFAULTS, "baseline": DEFAULTS}
BASELINE = RunFacts(
    namespace="team",
    name="step-2",
    uid="66666666-2222-3333-4444-555555555555",
    resource_version="1",
    generation=1,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    spec=None,
    status=RunStatus(results=ResultsLocation(claim_name="results", path="team/step-2/attempt-1", complete=True)),
)


def job(
    name: str, action: CreateJob, settings: Settings = DEFAULTS, baseline: RunFacts | None = None
) -> dict[str, Any]:
    spec = EvaluationRunSpec.model_validate(yaml.safe_load((GOLDEN / f"{name}.run.yaml").read_text()))
    run = RunFacts(
        namespace="team",
        name="digits-1",
        uid="11111111-2222-3333-4444-555555555555",
        resource_version="1",
        generation=1,
        created_at=datetime(2026, 1, 2, tzinfo=UTC),
        spec=spec,
    )
    return build_job(run, action, settings, baseline=baseline)


def pod_spec(name: str, settings: Settings = DEFAULTS) -> dict[str, Any]:
    spec: dict[str, Any] = job(name, CreateJob(1, None, 300), settings)["spec"]["template"]["spec"]
    return spec


def task(body: dict[str, Any]) -> EvaluationTask:
    return EvaluationTask.model_validate_json(body["spec"]["template"]["metadata"]["annotations"][TASK_ANNOTATION])


@pytest.mark.parametrize("name", CASES)
def test_the_job_is_the_golden_one(name: str) -> None:
    body = job(name, CreateJob(2, 42.5, 250), CASES[name], BASELINE if name == "baseline" else None)
    # People read the task as a part of the file, the API server as a string.
    annotations = body["spec"]["template"]["metadata"]["annotations"]
    readable = json.loads(json.dumps(body))
    readable["spec"]["template"]["metadata"]["annotations"][TASK_ANNOTATION] = json.loads(annotations[TASK_ANNOTATION])
    path = GOLDEN / f"{name}.job.yaml"
    if os.environ.get("HANTEI_UPDATE_GOLDEN"):
        path.write_text(yaml.safe_dump(readable, sort_keys=False, width=120))
    assert readable == yaml.safe_load(path.read_text())


def test_every_claim_is_one_volume_and_what_is_read_is_mounted_read_only() -> None:
    spec = pod_spec("volumes")
    claims = {
        volume["name"]: volume["persistentVolumeClaim"]["claimName"]
        for volume in spec["volumes"]
        if "persistentVolumeClaim" in volume
    }
    mounts = {
        (claims[mount["name"]], mount["mountPath"]): mount.get("readOnly", False)
        for mount in spec["containers"][0]["volumeMounts"]
        if mount["name"] in claims
    }
    assert sorted(claims.values()) == ["data", "models"]
    assert mounts == {
        ("models", "/volumes/models"): True,
        ("data", "/volumes/data"): True,
        ("models", "/output"): False,
    }


def test_the_task_says_where_the_mounts_are() -> None:
    told = task(job("volumes", CreateJob(3, 42.5, 150), DEFAULTS))
    assert told.checkpoint.path == "/volumes/models/step-1/model.pt"
    assert {each.name: each.path for each in told.inputs} == {
        "data": "/volumes/data/digits.npz",
        "code": "/volumes/models/code",
    }
    assert told.output_directory == "/output/results/team/digits-1/attempt-3"
    assert (told.limits.run_seconds, told.limits.wall_seconds, told.limits.gpus) == (42.5, 150, 2)


def test_only_suites_that_report_progress_can_hang() -> None:
    assert "livenessProbe" not in pod_spec("minimal")["containers"][0]
    assert "livenessProbe" in pod_spec("volumes")["containers"][0]
    assert task(job("minimal", CreateJob(1, None, 300), DEFAULTS)).limits.stall_seconds is None
    assert task(job("volumes", CreateJob(1, None, 300), DEFAULTS)).limits.stall_seconds == 30


def test_the_node_selector_of_the_platform_wins() -> None:
    assert pod_spec("volumes", PLATFORM)["nodeSelector"] == {"gpu": "small", "zone": "platform"}


def test_a_run_without_gpus_asks_for_no_gpu_resource() -> None:
    resources = pod_spec("uri")["containers"][0]["resources"]
    assert resources["requests"] == resources["limits"]
    assert set(resources["limits"]) == {"cpu", "memory", "ephemeral-storage"}


def test_a_secret_is_named_and_never_read() -> None:
    container = pod_spec("uri")["containers"][0]
    assert container["envFrom"] == [{"secretRef": {"name": "hantei-models"}}, {"secretRef": {"name": "hantei-rival"}}]
    wandb = {each["name"]: each for each in pod_spec("volumes")["containers"][0]["env"]}
    assert wandb["WANDB_API_KEY"]["valueFrom"]["secretKeyRef"] == {"name": "hantei-wandb", "key": "WANDB_API_KEY"}
    assert wandb["WANDB_BASE_URL"]["valueFrom"]["secretKeyRef"]["optional"] is True


def test_a_baselines_results_are_mounted_read_only_and_named_in_the_task() -> None:
    body = job("baseline", CreateJob(1, None, 300), baseline=BASELINE)
    told = task(body)
    assert told.baseline is not None
    assert (told.baseline.name, told.baseline.directory) == ("run step-2", "/volumes/results/team/step-2/attempt-1")
    mounts = body["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    assert {"name": "claim-1", "mountPath": "/volumes/results", "readOnly": True} in mounts
    assert (told.output_directory, told.output_root) == (None, None)
    assert told.output_uri == "s3://results/evaluations/team/digits-1/attempt-1"


def test_a_baseline_at_a_uri_is_read_with_its_credentials_and_the_runs_own_come_last() -> None:
    output = {"uri": "s3://old", "credentialsSecretName": "hantei-old"}
    spec = EvaluationRunSpec.model_validate(
        {
            "checkpoint": {"uri": "s3://a/b"},
            "suite": {"command": {"argv": ["x"]}},
            "output": output,
        }
    )
    status = RunStatus(results=ResultsLocation(uri="s3://old/team/step-2/attempt-1", complete=True))
    body = job("baseline", CreateJob(1, None, 300), baseline=replace(BASELINE, spec=spec, status=status))
    told = task(body)
    assert told.baseline is not None
    assert told.baseline.directory == "s3://old/team/step-2/attempt-1"
    names = [each["secretRef"]["name"] for each in body["spec"]["template"]["spec"]["containers"][0]["envFrom"]]
    assert names == ["hantei-old", "hantei-data", "hantei-results"]


def test_a_baseline_whose_results_are_gone_gets_no_job() -> None:
    with pytest.raises(ValueError, match="results of baseline run step-2 are gone"):
        job("baseline", CreateJob(1, None, 300))


def test_an_invalid_spec_gets_no_job() -> None:
    run = RunFacts("team", "run", "uid", "1", 1, datetime(2026, 1, 2, tzinfo=UTC), spec=None, spec_error="spec.suite")
    with pytest.raises(ValueError, match=r"spec\.suite"):
        build_job(run, CreateJob(1, None, 300), DEFAULTS)
