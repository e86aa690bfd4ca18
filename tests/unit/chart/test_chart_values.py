"""values.yaml and its schema: every value is known, described and of the right type."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from support.chart import CHART, Helm

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = (CHART / "values.yaml").read_text()


def objects(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object schema with its path."""
    if "properties" in schema:
        yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from objects(child, f"{path}.{name}")
    for name, child in schema.get("definitions", {}).items():
        yield from objects(child, f"{path}#{name}")
    if "items" in schema:
        yield from objects(schema["items"], f"{path}[]")


def test_lint_finds_nothing(helm: Helm) -> None:
    result = helm.lint()
    assert result.returncode == 0, result.stdout + result.stderr
    assert "WARNING" not in result.stdout


def test_every_object_is_closed_and_every_value_described() -> None:
    for path, schema in objects(SCHEMA):
        assert schema.get("additionalProperties") is False, f"{path or 'the top level'} takes unknown keys"
        for name, child in schema["properties"].items():
            assert child.get("description"), f"{path}.{name} has no description"


def test_schema_and_defaults_have_the_same_keys() -> None:
    def compare(schema: dict[str, Any], values: dict[str, Any], path: str) -> None:
        schema = SCHEMA["definitions"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema
        if "properties" not in schema:
            return
        assert set(schema["properties"]) - {"global"} == set(values), path
        for name, value in values.items():
            if isinstance(value, dict):
                compare(schema["properties"][name], value, f"{path}.{name}")

    compare(SCHEMA, yaml.safe_load(VALUES), "values")


def test_every_default_is_commented() -> None:
    lines = VALUES.splitlines()
    for number, line in enumerate(lines):
        key = line.strip()
        if key.startswith(("#", "-")) or not key or key.endswith(":"):
            continue
        above = lines[number - 1].strip()
        grouped = key.split(":")[0] in {
            "runAsGroup",
            "cpu",
            "memory",
            "ephemeral-storage",
            "operator",
            "effect",
            "nvidia.com/gpu.present",
        }
        assert above.startswith("#") or grouped, f"line {number + 1} has no comment: {line}"


@pytest.mark.parametrize(
    ("values", "path", "words"),
    [
        ({"replica": 2}, "", "'replica' not allowed"),
        ({"replicas": "two"}, "/replicas", "got string, want integer"),
        ({"replicas": 0}, "/replicas", "got 0, want 1"),
        ({"watchNamespaces": "team-a"}, "/watchNamespaces", "got string, want array"),
        ({"watchNamespaces": ["Team"]}, "/watchNamespaces/0", "does not match pattern"),
        ({"logLevel": "verbose"}, "/logLevel", "value must be one of"),
        ({"image__digest": "latest"}, "/image/digest", "does not match pattern"),
        ({"image__repository": "hantei/operator@sha256"}, "/image/repository", "does not match pattern"),
        ({"evaluations__maxConcurrent": -1}, "/evaluations/maxConcurrent", "got -1, want 0"),
        ({"evaluations__image": "hantei/evaluator:dev"}, "/evaluations/image", "got string, want object"),
        ({"evaluations__podDefaults__runAsUser": 0}, "/evaluations/podDefaults/runAsUser", "got 0, want 1"),
        ({"evaluations__podDefaults__hostNetwork": True}, "/evaluations/podDefaults", "'hostNetwork' not allowed"),
        (
            {"evaluations__podDefaults__tolerations": [{"key": "a", "operator": "Exist"}]},
            "/evaluations/podDefaults/tolerations/0/operator",
            "value must be one of",
        ),
        ({"evaluations__podDefaults__sharedMemory": "lots"}, "/evaluations/podDefaults/sharedMemory", "does not match"),
        ({"resources__limits": {"memory": "-1Gi"}}, "/resources/limits/memory", "does not match pattern"),
    ],
)
def test_wrong_values_are_refused_with_path_and_reason(
    helm: Helm, values: dict[str, Any], path: str, words: str
) -> None:
    refusal = helm.refusal(**values)
    assert f"at '{path}'" in refusal
    assert words in refusal
