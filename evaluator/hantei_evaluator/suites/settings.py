"""Settings that a spec holds as JSON text, because a custom resource has no type for "any value"."""

import json
from collections.abc import Mapping
from typing import Any

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError


def decode(field: str, settings: Mapping[str, str]) -> dict[str, Any]:
    """The values by name; raises InvalidTask that names ``field`` and the setting whose text is no JSON."""
    return {name: _value(f"{field}.{name}", text) for name, text in settings.items()}


def _value(field: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise EvaluationError(
            Reason.INVALID_TASK,
            f"{field}: {text[:100]} is no JSON ({error}). Write text with its quotes: '\"human\"'; numbers as they are: '0.5'.",
        ) from error
