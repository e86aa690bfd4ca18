"""Wakes the reconciler when an EvaluationRun changes.

``on.event`` alone: no create, update, delete, timer, daemon or index handler, so kopf writes nothing, no annotation and
no finalizer, and a run can be deleted while the operator is down.
"""

from collections.abc import Callable
from typing import Any

import kopf
from kopf._core.intents.registries import SmartOperatorRegistry

from hantei_api.names import GROUP, RUN_PLURAL, VERSION

Wake = Callable[[tuple[str, str]], None]


def registry(wake: Wake) -> kopf.OperatorRegistry:
    """The handlers of this operator; ``wake`` may be called from kopf's thread."""
    handlers = SmartOperatorRegistry()

    @kopf.on.event(GROUP, VERSION, RUN_PLURAL, registry=handlers)
    async def run_event(namespace: str | None, name: str | None, **_: Any) -> None:
        if namespace and name:
            wake((namespace, name))

    return handlers
