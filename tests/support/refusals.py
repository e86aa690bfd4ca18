"""What an API server said when it refused an object."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException


@dataclass(frozen=True)
class Refusal:
    """The causes of a 422: field and message of each."""

    causes: tuple[tuple[str, str], ...]

    def names(self, field: str, words: str) -> bool:
        """Whether a cause is of that field (or below it) and has these words in its message."""
        return any(_is_at(field, found) and words in message for found, message in self.causes)


def refusal(write: Callable[[], Any]) -> Refusal:
    """The refusal that ``write`` meets; the test fails when it is accepted."""
    with pytest.raises(ApiException) as caught:
        write()
    assert caught.value.status == 422, caught.value
    details = json.loads(caught.value.body)["details"]
    return Refusal(tuple((cause.get("field", ""), cause["message"]) for cause in details["causes"]))


def _is_at(field: str, found: str) -> bool:
    return found == field or found.startswith((f"{field}.", f"{field}["))
