"""From what a policy returned for a batch to one action for each environment, or a message that says what is wrong."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import batch_space, iterate
from numpy.typing import NDArray

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError

Array = NDArray[Any]


def from_outputs(field: str, space: spaces.Space[Any], outputs: Array, n: int) -> Sequence[Any]:
    """Actions [n, ...] out of a network's outputs.

    Discrete: logits [n, k], of which the largest wins, or whole numbers [n]. MultiDiscrete: the logits of all parts one
    after the other [n, sum of k], or whole numbers [n, parts]. MultiBinary: logits, of which those above 0 are 1. Box: the
    action itself, clipped to the box. Raises InvalidTask for other spaces and shapes, MetricsUnavailable for NaN.
    """
    if outputs.dtype.kind == "f" and not np.isfinite(outputs).all():
        raise EvaluationError(
            Reason.METRICS_UNAVAILABLE, f"{field}: the policy's outputs hold NaN or infinity: look at the checkpoint."
        )
    if outputs.dtype.kind == "f":
        match space:
            case spaces.Discrete() if outputs.shape == (n, int(space.n)):
                outputs = outputs.argmax(axis=1) + space.start
            case spaces.MultiDiscrete() if outputs.shape == (n, int(space.nvec.sum())):
                parts = np.split(outputs, np.cumsum(space.nvec.ravel())[:-1], axis=1)
                best = np.stack([part.argmax(axis=1) for part in parts], axis=1)
                outputs = best.reshape(n, *space.nvec.shape) + space.start
            case spaces.MultiBinary() if outputs.shape == (n, *space.shape):
                outputs = (outputs > 0).astype(np.int8)
    return checked(field, space, outputs, n)


def checked(field: str, space: spaces.Space[Any], actions: Any, n: int) -> Sequence[Any]:
    """Actions [n, ...] that lie in the space, one by one; those of a box are clipped to it. Raises InvalidTask."""
    if not isinstance(space, spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary | spaces.Box):
        return _checked_one_by_one(field, space, actions, n)
    array = np.asarray(actions)
    wanted = (n, *(space.shape or ()))
    whole = not isinstance(space, spaces.Box) or np.issubdtype(space.dtype, np.integer)
    if isinstance(space, spaces.Discrete) and array.shape == (n, 1):
        array = array[:, 0]
    if array.shape != wanted or array.dtype.kind not in ("iub" if whole else "iuf"):
        raise _wrong(field, space, f"shape {array.shape}, type {array.dtype} for {n} observations", n)
    match space:
        case spaces.Box():
            if not np.isfinite(array).all():
                raise _wrong(field, space, "NaN or infinity", n)
            return list(np.clip(array, space.low, space.high).astype(space.dtype))
        case spaces.Discrete():
            inside = (array >= space.start) & (array < space.start + space.n)
        case spaces.MultiDiscrete():
            inside = (array >= space.start) & (array < space.start + space.nvec)
        case _:
            inside = (array == 0) | (array == 1)
    if not inside.all():
        raise _wrong(field, space, f"the action {array[~inside][0]}, which is none of them", n)
    return list(array.astype(space.dtype))


def _checked_one_by_one(field: str, space: spaces.Space[Any], actions: Any, n: int) -> list[Any]:
    try:
        each: Iterable[Any] = iterate(batch_space(space, n), actions)
        found = list(each)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise _wrong(field, space, f"a {type(actions).__name__} ({error})", n) from error
    if len(found) != n or not all(space.contains(action) for action in found):
        raise _wrong(field, space, f"{len(found)} actions for {n} observations, or actions that are none of them", n)
    return found


def _wrong(field: str, space: spaces.Space[Any], what: str, n: int) -> EvaluationError:
    return EvaluationError(
        Reason.INVALID_TASK,
        f"{field}: the policy returned {what}; the environment's actions are {space}: return {_wanted(space, n)}.",
    )


def _wanted(space: spaces.Space[Any], n: int) -> str:
    match space:
        case spaces.Discrete():
            return f"logits [{n}, {space.n}] or whole numbers [{n}]"
        case spaces.MultiDiscrete():
            shape = ", ".join(map(str, (n, *space.shape)))
            return f"logits [{n}, {space.nvec.sum()}] or whole numbers [{shape}]"
        case spaces.Box() | spaces.MultiBinary():
            return f"numbers [{', '.join(map(str, (n, *space.shape)))}]"
        case _:
            return f"a batch of {n} of them, from a function in suite.gymnasium.policy"
