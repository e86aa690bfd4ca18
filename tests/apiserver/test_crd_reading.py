"""What people and programs read: kubectl explain, kubectl get, the models again."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client

from hantei_api.crd import RUN, definition
from hantei_api.crd_schema import walk
from hantei_api.names import GROUP, RUN_KIND, RUN_PLURAL, VERSION
from hantei_api.spec import EvaluationRunSpec
from hantei_api.status import RunStatus
from support.controlplane import ControlPlane
from support.runs import SPECS, STATUS, run

ROOT = Path(__file__).parents[2]
EXAMPLES = [
    pytest.param(body, id=f"{path.relative_to(ROOT)}-{body['metadata']['name']}")
    for path in sorted((ROOT / "examples").rglob("*.yaml"))
    for body in yaml.safe_load_all(path.read_text())
    if body and body["kind"] == RUN_KIND
]
SCHEMA = definition(RUN)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]


@pytest.fixture
def objects(api: client.ApiClient) -> client.CustomObjectsApi:
    return client.CustomObjectsApi(api)


@pytest.mark.parametrize("body", EXAMPLES)
def test_the_examples_are_accepted(objects: client.CustomObjectsApi, body: dict[str, Any]) -> None:
    body["metadata"].pop("namespace", None)
    objects.create_namespaced_custom_object(
        GROUP, VERSION, "default", RUN_PLURAL, body, dry_run="All", field_validation="Strict"
    )


@pytest.mark.parametrize("name", SPECS)
def test_a_run_reads_back_as_the_model_that_was_written(
    objects: client.CustomObjectsApi, namespace: str, name: str
) -> None:
    at = (GROUP, VERSION, namespace, RUN_PLURAL)
    spec, status = EvaluationRunSpec.model_validate(SPECS[name]), RunStatus.model_validate(STATUS)
    body = run(spec.model_dump(mode="json", by_alias=True, exclude_none=True))
    created = objects.create_namespaced_custom_object(*at, body, field_validation="Strict")
    objects.replace_namespaced_custom_object_status(
        *at, "run", {**created, "status": status.to_body()}, field_validation="Strict"
    )
    read = objects.get_namespaced_custom_object(*at, "run")
    assert EvaluationRunSpec.model_validate(read["spec"]) == spec
    assert RunStatus.model_validate(read["status"]) == status


@pytest.mark.parametrize("part", ["spec", "status"])
@pytest.mark.usefixtures("api")
def test_kubectl_explain_describes_every_field(control_plane: ControlPlane, part: str) -> None:
    said = control_plane.kubectl("explain", f"er.{part}", "--recursive")
    assert said.returncode == 0, said.stderr
    for path, node in walk(SCHEMA[part], part):
        if path.endswith(("[]", "{}")):
            continue
        assert node["description"], path
        assert f"{path.rpartition('.')[2]}\t" in said.stdout or path == part, path


def test_kubectl_get_reads_well_at_120_columns(
    control_plane: ControlPlane, objects: client.CustomObjectsApi, namespace: str
) -> None:
    at = (GROUP, VERSION, namespace, RUN_PLURAL)
    created = objects.create_namespaced_custom_object(*at, run(SPECS["minimal"], "digits"))
    shown = {
        "suite": "classification",
        "reason": "Completed",
        "progress": {"done": 360, "total": 360, "text": "100%"},
        "score": "0.961±0.010",
        "verdict": "None",
        "nodeName": "hantei-worker",
    }
    objects.replace_namespaced_custom_object_status(*at, "digits", {**created, "status": {**STATUS, **shown}})
    short = control_plane.kubectl("get", "er", "-n", namespace).stdout.splitlines()
    wide = control_plane.kubectl("get", "hantei", "-n", namespace, "-o", "wide").stdout.splitlines()
    assert short[0].split() == ["NAME", "SUITE", "PHASE", "REASON", "DONE", "SCORE", "VERDICT", "AGE"]
    assert short[1].split()[:-1] == [
        *("digits", "classification", "Succeeded", "Completed"),
        *("100%", "0.961±0.010", "None"),
    ]
    assert wide[0].split()[-4:] == ["NODE", "GPU", "DEV", "TOOK"]
    assert wide[1].split()[-4:] == ["hantei-worker", "1", "cpu", "6s"]
    assert max(map(len, wide)) <= 120
