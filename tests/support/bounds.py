"""Bad objects derived from a schema: for every bound one that breaks it, and what the API server is to say about it."""

import copy
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]
Steps = tuple[str | int, ...]

WRONG_TYPE = {"string": 7, "integer": "x", "number": "x", "boolean": "x", "object": "x", "array": "x"}


def _mismatch(pattern: str, node: Schema) -> str:
    least, most = node.get("minLength", 0), node.get("maxLength", 2**31)
    candidates = ("/x/", "no spaces please", "!" * max(least, 1))
    return next(text for text in candidates if least <= len(text) <= most and not re.search(pattern, text))


def _numbered(item: Any, number: int) -> Any:
    if isinstance(item, dict) and "name" in item:
        return {**item, "name": f"item-{number}"}
    return copy.deepcopy(item)


BREAKS: Mapping[str, tuple[str, Callable[[Any, Schema, Any], Any]]] = {
    "minLength": ("should be at least", lambda limit, _, good: str(good)[: limit - 1]),
    "maxLength": ("may not be more than", lambda limit, *_: "1" * (limit + 1)),
    "pattern": ("should match", lambda limit, node, _: _mismatch(limit, node)),
    "enum": ("Unsupported value", lambda *_: "no-such-value"),
    "format": ("must be of type date-time", lambda *_: "yesterday"),
    "minimum": ("should be greater than", lambda limit, node, _: limit - (not node.get("exclusiveMinimum"))),
    "maximum": ("should be less than", lambda limit, node, _: limit + (not node.get("exclusiveMaximum"))),
    "minItems": ("should have at least", lambda limit, _, good: good[: limit - 1]),
    "maxItems": ("must have at most", lambda limit, _, good: [_numbered(good[0], i) for i in range(limit + 1)]),
    "maxProperties": ("must have at most", lambda limit, *_: {f"key-{i}": "v" for i in range(limit + 1)}),
}
"""For each keyword that bounds a value: words of the refusal, and a bad value from limit, schema and good value."""
NO_BOUNDS = frozenset(
    {"type", "description", "properties", "items", "additionalProperties", "required", "anyOf"}
    | {"exclusiveMinimum", "exclusiveMaximum", "x-kubernetes-int-or-string", "x-kubernetes-validations"}
    | {"x-kubernetes-list-type", "x-kubernetes-list-map-keys"}
)
"""Keywords that bound nothing by themselves, or that tests of their own look at."""


@dataclass(frozen=True)
class Bad:
    """An object that one bound forbids."""

    bound: str
    field: str
    """The field as the API server names it."""
    words: str
    """Part of the message."""
    value: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.field}-{self.bound}"


def bad_values(schema: Schema, root: str, good: Sequence[Mapping[str, Any]]) -> Iterator[Bad]:
    """For every bound below ``schema`` a bad object, made from the first of ``good`` that sets the field.

    Raises
    ------
    LookupError
        When none of ``good`` sets a field.
    """
    for steps, node in _nodes(schema, ()):
        base = next((base for base in good if _reaches(base, steps)), None)
        if base is None:
            raise LookupError(f"no good object sets {_field(root, steps)}: add it to the good objects")
        for bound, words, value in _breaks(node, _get(base, steps)):
            yield Bad(bound, _field(root, steps), words, _with(base, steps, value))
        for name in node.get("required", ()):
            rest = {key: value for key, value in _get(base, steps).items() if key != name}
            yield Bad("required", _field(root, (*steps, name)), "Required value", _with(base, steps, rest))


def _nodes(schema: Schema, steps: Steps) -> Iterator[tuple[Steps, Schema]]:
    yield steps, schema
    for name, part in schema.get("properties", {}).items():
        yield from _nodes(part, (*steps, name))
    if "items" in schema:
        yield from _nodes(schema["items"], (*steps, 0))
    if "additionalProperties" in schema:
        yield from _nodes(schema["additionalProperties"], (*steps, "*"))


def _breaks(node: Schema, good: Any) -> Iterator[tuple[str, str, Any]]:
    wrong = True if node.get("x-kubernetes-int-or-string") else WRONG_TYPE[node["type"]]
    yield "type", "must be of type", wrong
    for bound, limit in node.items():
        if bound in BREAKS:
            words, bad_value = BREAKS[bound]
            if not (bound == "minLength" and limit == 0):
                yield bound, words, bad_value(limit, node, good)
        elif bound not in NO_BOUNDS:
            raise LookupError(f"no bad object is derived from {bound!r}: add it to BREAKS")


def _key(value: Any, step: str | int) -> Any:
    return next(iter(value)) if step == "*" else step


def _reaches(value: Any, steps: Steps) -> bool:
    for step in steps:
        if not value or (isinstance(step, str) and step != "*" and step not in value):
            return False
        value = value[_key(value, step)]
    return True


def _get(value: Any, steps: Steps) -> Any:
    for step in steps:
        value = value[_key(value, step)]
    return value


def _with(base: Mapping[str, Any], steps: Steps, value: Any) -> Any:
    if not steps:
        return value
    changed = copy.deepcopy(base)
    holder = _get(changed, steps[:-1])
    holder[_key(holder, steps[-1])] = value
    return changed


def _field(root: str, steps: Steps) -> str:
    field = root
    for step in steps:
        field += f"[{step}]" if isinstance(step, int) else "" if step == "*" else f".{step}"
    return field
