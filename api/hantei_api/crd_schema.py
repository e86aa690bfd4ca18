"""From a pydantic model to the structural schema of a CRD (``apiextensions.k8s.io/v1``).

What differs: a structural schema knows no ``$ref``, ``const``, ``title``, ``propertyNames`` or type ``null``;
``exclusiveMinimum`` is a boolean; ``additionalProperties: false`` excludes ``properties``. Defaults are left out on
purpose: the API server would write them into every stored object, where a later default could not reach them.
"""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from hantei_api.base import cel

_KNOWN = frozenset(
    {"type", "properties", "items", "additionalProperties", "required", "enum", "format", "description", "anyOf"}
    | {"minLength", "maxLength", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
    | {"minItems", "maxItems", "minProperties", "maxProperties"}
)
_DROPPED = frozenset({"title", "default", "examples", "$defs"})
_RULES = "x-kubernetes-validations"


class SchemaError(ValueError):
    """A model says something that a CRD can't, or leaves out something that a CRD should have."""


def structural(model: type[BaseModel], path: str, *, bounded_numbers: bool) -> dict[str, Any]:
    """The structural schema of ``model``, which stands at ``path`` (``spec``) of the resource.

    Raises
    ------
    SchemaError
        For a keyword that has no counterpart, a field without a description, a recursive model, and a string, list or
        map without an upper bound; with ``bounded_numbers`` also for a number without both bounds.
    """
    source = model.model_json_schema(by_alias=True, mode="validation")
    schema = _convert(source, source.get("$defs", {}), path, ())
    for at, part in walk(schema, path):
        _check(at, part, bounded_numbers=bounded_numbers)
    return schema


def walk(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema in ``schema`` with its path: ``spec.inputs``, ``spec.inputs[]``, ``spec.resources.nodeSelector{}``."""
    yield path, dict(schema)
    for name, part in schema.get("properties", {}).items():
        yield from walk(part, f"{path}.{name}")
    if "items" in schema:
        yield from walk(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from walk(schema["additionalProperties"], f"{path}{{}}")


def _convert(
    source: Mapping[str, Any], definitions: Mapping[str, Any], path: str, inside: tuple[str, ...]
) -> dict[str, Any]:
    schema = _in_crd_words(_resolved(source, definitions, path, inside), path)
    if "$ref" in source:
        inside = (*inside, source["$ref"])
    if properties := schema.get("properties"):
        schema["properties"] = {
            name: _convert(part, definitions, f"{path}.{name}", inside) for name, part in properties.items()
        }
    if "items" in schema:
        schema["items"] = _convert(schema["items"], definitions, f"{path}[]", inside)
    if "additionalProperties" in schema:
        schema["additionalProperties"] = _convert(schema["additionalProperties"], definitions, f"{path}{{}}", inside)
    return schema


def _in_crd_words(source: Mapping[str, Any], path: str) -> dict[str, Any]:
    """One schema without what is below it: every keyword translated, dropped or refused."""
    schema = copy.deepcopy({keyword: value for keyword, value in source.items() if keyword not in _DROPPED})
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    for bound, flag in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if flag in schema:
            schema[bound], schema[flag] = schema[flag], True
    values = schema.get("additionalProperties")
    if values is False:
        del schema["additionalProperties"]
    elif values is True:
        raise SchemaError(f"{path}: a map needs a type of its values")
    if keys := schema.pop("propertyNames", None):
        schema.setdefault(_RULES, []).append(_key_rule(keys, path))
    if "description" in schema:
        schema["description"] = " ".join(schema["description"].replace("``", "").split())
    for keyword, value in schema.items():
        if keyword not in _KNOWN and not keyword.startswith("x-kubernetes-"):
            raise SchemaError(f"{path}: a CRD schema has no counterpart of {keyword!r}: {value!r}")
    return schema


def _resolved(
    source: Mapping[str, Any], definitions: Mapping[str, Any], path: str, inside: tuple[str, ...]
) -> dict[str, Any]:
    """``source`` with its reference inlined and its null branch dropped; what stands beside them wins, CEL rules add up."""
    schema = dict(source)
    reference = schema.pop("$ref", None)
    if reference is not None:
        if reference in inside:
            raise SchemaError(f"{path}: {reference} contains itself, which a structural schema can't say")
        return _merged(_resolved(definitions[reference.rpartition("/")[2]], definitions, path, inside), schema)
    if "anyOf" in schema and not schema.get("x-kubernetes-int-or-string"):
        branches = [branch for branch in schema.pop("anyOf") if branch.get("type") != "null"]
        if len(branches) != 1:
            raise SchemaError(f"{path}: a union of {len(branches)} types; only one type and null can be said")
        return _merged(_resolved(branches[0], definitions, path, inside), schema)
    return schema


def _merged(inner: Mapping[str, Any], outer: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**inner, **outer}
    if _RULES in inner and _RULES in outer:
        merged[_RULES] = [*inner[_RULES], *outer[_RULES]]
    return merged


def _key_rule(keys: Mapping[str, Any], path: str) -> dict[str, str]:
    limit = keys.get("maxLength")
    if limit is None or keys.keys() - {"maxLength", "type", "title"}:
        raise SchemaError(f"{path}: of the keys of a map only maxLength can be said, got {dict(keys)!r}")
    return cel(f"self.all(key, size(key) <= {limit})", f"a key has at most {limit} characters: shorten it")


def _check(path: str, schema: Mapping[str, Any], *, bounded_numbers: bool) -> None:
    if not path.endswith(("[]", "{}")) and not schema.get("description"):
        raise SchemaError(f"{path}: no description; kubectl explain is the manual")
    if schema.get("x-kubernetes-int-or-string"):
        missing = {"maxLength"} - schema.keys()
    else:
        missing = _upper_bounds(schema, bounded_numbers=bounded_numbers) - schema.keys()
    if missing:
        raise SchemaError(f"{path}: needs {', '.join(sorted(missing))}")


def _upper_bounds(schema: Mapping[str, Any], *, bounded_numbers: bool) -> set[str]:
    match schema.get("type"):
        case "string":
            return set() if "enum" in schema or "format" in schema else {"maxLength"}
        case "array":
            return {"maxItems"}
        case "object":
            return {"maxProperties"} if "additionalProperties" in schema else {"properties"}
        case "integer" | "number":
            return {"minimum", "maximum"} if bounded_numbers else set()
        case "boolean":
            return set()
        case _:
            return {"type"}
