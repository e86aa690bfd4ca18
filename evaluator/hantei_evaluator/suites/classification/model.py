"""The classifier: built by the user's function, fitted with the checkpoint, asked a batch at a time."""

import torch
from torch import Tensor, nn

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError

FIELD = "suite.classification.model"
_NAMES_SHOWN = 5


def checked_model(built: object, entry_point: str) -> nn.Module:
    """What the user's function returned; raises InvalidTask when it is no module."""
    if not isinstance(built, nn.Module):
        raise EvaluationError(
            Reason.INVALID_TASK,
            f"{FIELD}: {entry_point} returned a {type(built).__name__}, a torch.nn.Module is needed.",
        )
    return built


def fit(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Load the weights, strictly: a checkpoint that fits another model must not be evaluated in part."""
    own = model.state_dict()
    missing = [name for name in own if name not in weights]
    unexpected = [name for name in weights if name not in own]
    shapes = [
        f"{name} {tuple(weights[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in own.items()
        if name in weights and weights[name].shape != tensor.shape
    ]
    problems = [
        f"{len(names)} {what} ({', '.join(names[:_NAMES_SHOWN])})"
        for what, names in (("missing", missing), ("not in the model", unexpected), ("of another shape", shapes))
        if names
    ]
    if problems:
        raise EvaluationError(
            Reason.CHECKPOINT_INVALID,
            f"checkpoint: its tensors don't fit the model of {FIELD}: {'; '.join(problems)}. "
            "Name the model that was trained.",
        )
    model.load_state_dict(weights)


def number_type(model: nn.Module) -> torch.dtype:
    """What the model computes in: NumPy's float64, and integers, become it."""
    return next((each.dtype for each in model.parameters() if each.is_floating_point()), torch.float32)


def forward(model: nn.Module, inputs: Tensor) -> Tensor:
    """Logits [n, classes] of inputs [n, ...] on the inputs' device. Raises InvalidTask for what doesn't fit."""
    n = len(inputs)
    try:
        logits = model(inputs)
    except torch.OutOfMemoryError as error:
        raise EvaluationError(
            Reason.EVALUATOR_ERROR,
            f"The GPU ran out of memory in a batch of {n}: lower suite.classification.batchSize.",
        ) from error
    except RuntimeError as error:
        raise EvaluationError(
            Reason.INVALID_TASK,
            f"suite.classification: the model can't take a batch of shape {tuple(inputs.shape)}, type {inputs.dtype}: "
            f"{str(error).splitlines()[0]}.",
        ) from error
    if not isinstance(logits, Tensor) or logits.ndim != 2 or logits.shape[0] != n or logits.shape[1] < 2:
        what = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
        raise EvaluationError(
            Reason.INVALID_TASK, f"{FIELD}: the model returned {what} for {n} samples, [{n}, classes] is needed."
        )
    return logits
