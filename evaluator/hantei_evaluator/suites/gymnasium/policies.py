"""The policy: a TorchScript module out of the checkpoint, or what a function of the user's makes of it."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.suites.gymnasium.actions import checked, from_outputs

FIELD = "suite.gymnasium.policy"
ARRAY_SPACES = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)
"""Spaces whose batches are one array."""
Policy = Callable[[Any, int], Sequence[Any]]
"""Observations of n environments, stacked as the observation space stacks, and n, to n actions."""


def torchscript_policy(
    path: Path, device: torch.device, observed: spaces.Space[Any], acted: spaces.Space[Any]
) -> Policy:
    """The module in the file.

    It takes observations [n, ...], fractions as float32 and whole numbers in their own type, and returns logits or
    actions; of several outputs the first counts. Raises InvalidTask for observations that are no single array, and
    CheckpointInvalid for a file that holds no module.
    """
    if not isinstance(observed, ARRAY_SPACES):
        raise EvaluationError(
            Reason.INVALID_TASK,
            f"{FIELD}: the environment's observations are {str(observed)[:300]}, and a TorchScript module takes one array. "
            "Name a function (FILE.py:FUNCTION) whose policy takes them.",
        )
    module = _load_module(path, device)

    @torch.inference_mode()
    def act(observations: Any, n: int) -> Sequence[Any]:
        batch = torch.from_numpy(observations)
        if batch.is_floating_point():
            batch = batch.float()
        try:
            outputs = module(batch.to(device))
        except RuntimeError as error:
            raise EvaluationError(
                Reason.INVALID_TASK,
                f"checkpoint: the policy can't take observations of shape {tuple(batch.shape)}, type {batch.dtype}: "
                f"{_last_line(error)}.",
            ) from error
        if isinstance(outputs, tuple | list) and outputs:
            outputs = outputs[0]
        if not isinstance(outputs, Tensor):
            raise EvaluationError(
                Reason.INVALID_TASK, f"checkpoint: the policy returned a {type(outputs).__name__}, a tensor is needed."
            )
        if outputs.dtype in {torch.bfloat16, torch.float16}:
            outputs = outputs.float()
        return from_outputs("checkpoint", acted, outputs.cpu().numpy(), n)

    return act


def user_policy(function: Callable[..., Any], path: Path, device: torch.device, acted: spaces.Space[Any]) -> Policy:
    """The policy that the user's function makes of the checkpoint.

    It takes observations as NumPy arrays [n, ...], in a dict or tuple where the observation space is one, and returns actions
    [n, ...] as an array or a tensor. Raises InvalidTask when the function returns none.
    """
    policy = function(path, device)
    if not callable(policy):
        raise EvaluationError(
            Reason.INVALID_TASK,
            f"{FIELD}: the function returned a {type(policy).__name__}, a policy is needed: a function of observations.",
        )

    @torch.inference_mode()
    def act(observations: Any, n: int) -> Sequence[Any]:
        actions = policy(observations)
        if isinstance(actions, Tensor):
            actions = actions.detach().cpu().numpy()
        return checked(FIELD, acted, actions, n)

    return act


def _load_module(path: Path, device: torch.device) -> torch.jit.ScriptModule:
    try:
        with warnings.catch_warnings():
            # TorchScript is what policies are exported as, for all that torch would rather see torch.export.
            warnings.simplefilter("ignore", DeprecationWarning)
            module: torch.jit.ScriptModule = torch.jit.load(path, map_location=device)  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise EvaluationError(
            Reason.CHECKPOINT_INVALID,
            f"{path}: holds no TorchScript module ({_last_line(error)}). Save torch.jit.script(policy) with its save method, "
            f"or name in {FIELD} a function that makes a policy of this file.",
        ) from error
    broken = [name for name, tensor in module.state_dict().items() if tensor.is_floating_point() and _has_nan(tensor)]
    if broken:
        raise EvaluationError(
            Reason.CHECKPOINT_INVALID,
            f"{path}: {len(broken)} tensors hold NaN (first: {broken[0]}): the training diverged. Evaluate an earlier checkpoint.",
        )
    module.eval()
    return module


def _has_nan(tensor: Tensor) -> bool:
    return bool(tensor.isnan().any())


def _last_line(error: Exception) -> str:
    """TorchScript tells the way through its code first, and what went wrong last; torch the other way round."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = next((line for line in reversed(lines) if line.startswith("RuntimeError: ")), lines[0] if lines else "")
    return told.removeprefix("RuntimeError: ").rstrip(".")[:300]
