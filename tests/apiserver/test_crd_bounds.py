"""Every bound of the schema is one that the API server holds, and its refusal names the field."""

from typing import Any

import pytest
from kubernetes import client

from hantei_api.crd import RUN, definition
from hantei_api.names import GROUP, RUN_PLURAL, VERSION
from support.bounds import Bad, bad_values
from support.refusals import refusal
from support.runs import MINIMAL, SPECS, STATUS, run

SCHEMA = definition(RUN)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]


@pytest.fixture(scope="module")
def objects(api: client.ApiClient) -> client.CustomObjectsApi:
    return client.CustomObjectsApi(api)


@pytest.fixture(scope="module")
def stored(objects: client.CustomObjectsApi) -> dict[str, Any]:
    """A run whose status is written to."""
    return objects.create_namespaced_custom_object(GROUP, VERSION, "default", RUN_PLURAL, run(MINIMAL, "bounds"))


@pytest.mark.parametrize("name", SPECS)
def test_a_good_run_is_accepted(objects: client.CustomObjectsApi, name: str) -> None:
    body = run(SPECS[name], f"good-{name}")
    created = objects.create_namespaced_custom_object(GROUP, VERSION, "default", RUN_PLURAL, body, dry_run="All")
    assert created["spec"] == SPECS[name], "something was pruned or defaulted"


def test_a_good_status_is_accepted(objects: client.CustomObjectsApi, stored: dict[str, Any]) -> None:
    body = {**stored, "status": STATUS}
    written = objects.replace_namespaced_custom_object_status(
        GROUP, VERSION, "default", RUN_PLURAL, "bounds", body, dry_run="All"
    )
    assert written["status"] == STATUS, "something was pruned or defaulted"


@pytest.mark.parametrize("bad", [*bad_values(SCHEMA["spec"], "spec", list(SPECS.values()))], ids=str)
def test_a_bad_spec_is_refused_by_field(objects: client.CustomObjectsApi, bad: Bad) -> None:
    body = {**run({}, "bad"), "spec": bad.value}
    refused = refusal(
        lambda: objects.create_namespaced_custom_object(GROUP, VERSION, "default", RUN_PLURAL, body, dry_run="All")
    )
    assert refused.names(bad.field, bad.words), refused


@pytest.mark.parametrize("bad", [*bad_values(SCHEMA["status"], "status", [STATUS])], ids=str)
def test_a_bad_status_is_refused_by_field(objects: client.CustomObjectsApi, stored: dict[str, Any], bad: Bad) -> None:
    body = {**stored, "status": bad.value}
    refused = refusal(
        lambda: objects.replace_namespaced_custom_object_status(
            GROUP, VERSION, "default", RUN_PLURAL, "bounds", body, dry_run="All"
        )
    )
    assert refused.names(bad.field, bad.words), refused


def test_a_bound_without_a_bad_object_is_an_error() -> None:
    with pytest.raises(LookupError, match="multipleOf"):
        list(bad_values({"type": "integer", "multipleOf": 2}, "spec", [{"x": 1}]))
    with pytest.raises(LookupError, match=r"no good object sets spec\.a"):
        list(bad_values({"type": "object", "properties": {"a": {"type": "string"}}}, "spec", [{"x": 1}]))
