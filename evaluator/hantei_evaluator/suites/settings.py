"""Settings that a spec holds as JSON text, because a custom resource has no type for "any value"."""

import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.suites.protocol import Context


def decode(field: str, settings: Mapping[str, str]) -> dict[str, Any]:
    """The values by name; raises InvalidTask that names ``field`` and the setting whose text is no JSON."""
    return {name: _value(f"{field}.{name}", text) for name, text in settings.items()}


def plugin_settings(
    context: Context, *, required: AbstractSet[str] = frozenset(), optional: AbstractSet[str] = frozenset()
) -> dict[str, Any]:
    """The settings of ``suite.plugin`` by name; raises InvalidTask for one that is missing, unknown or no JSON."""
    plugin = context.task.suite.plugin
    given = plugin.settings if plugin is not None else {}
    problems = [f"{name} is missing" for name in sorted(required - given.keys())]
    problems += [f"{name} is unknown" for name in sorted(given.keys() - required - optional)]
    if problems:
        known = ", ".join(sorted(required | optional)) or "none"
        raise EvaluationError(
            Reason.INVALID_TASK, f"suite.plugin.settings: {'; '.join(problems)}. The suite's settings are: {known}."
        )
    return decode("suite.plugin.settings", given)


def _value(field: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise EvaluationError(
            Reason.INVALID_TASK,
            f"{field}: {text[:100]} is no JSON ({error}). Write text with its quotes: '\"human\"'; numbers as they are: '0.5'.",
        ) from error
