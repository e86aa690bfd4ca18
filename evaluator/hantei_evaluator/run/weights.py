"""Reading the weights out of a checkpoint file without running any code that came with it."""

import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.run.formats import WAY_OUT, Format, format_of, start_of

STATE_DICT_KEYS = ("model_state_dict", "state_dict")
"""Where training scripts put the weights beside optimiser state and counters; without either, the file is the dict."""

_NAN_BLOCK = 1 << 22
"""Numbers that are looked at together: a tensor of the checkpoint may be as large as the memory."""


def load_state_dict(path: Path) -> dict[str, Tensor]:
    """Read a model's state dict onto the CPU from a safetensors file or one that ``torch.save`` wrote.

    The weights are taken from ``model_state_dict`` or ``state_dict``, or the file is a bare state dict; all else
    (optimiser state, counters) is dropped. ``torch.compile``'s ``_orig_mod.`` and the ``module.`` that data-parallel
    wrappers put before every key are stripped. Tensors may be memory-mapped from the file: copy before writing to them.

    Raises
    ------
    EvaluationError
        CheckpointMissing when it isn't there or can't be opened, CheckpointIncomplete when it is visibly cut off,
        CheckpointInvalid when it holds no weights, code, or NaN.
    """
    if format_of(path) is Format.SAFETENSORS:
        weights = _read_safetensors(path)
    else:
        weights = _state_dict_in(path, _read_torch(path))
    weights = _strip_wrappers(path, weights)
    _refuse_nan(path, weights)
    return weights


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, ValueError, KeyError) as error:
        raise EvaluationError(
            Reason.CHECKPOINT_INVALID, f"{path}: not a safetensors file ({_first_line(error)}). {WAY_OUT}"
        ) from error


def _read_torch(path: Path) -> Any:
    with path.open("rb") as file:
        head = file.read(9)
    try:
        with warnings.catch_warnings():
            # torch warns of a pickle protocol before it refuses it; the refusal says enough.
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True, mmap=head.startswith(b"PK"))
    except MemoryError:
        raise
    except pickle.UnpicklingError as error:
        raise EvaluationError(
            Reason.CHECKPOINT_INVALID,
            f"{path}: holds no plain state dict, and no code out of a checkpoint is run "
            f"({_refused(error)}; {start_of(head)}). {WAY_OUT}",
        ) from error
    except Exception as error:
        # Damaged bytes make the reader raise nearly anything, from RuntimeError to struct.error.
        raise EvaluationError(
            Reason.CHECKPOINT_INVALID,
            f"{path}: not a checkpoint that torch can read: {type(error).__name__}: {_first_line(error)} "
            f"({start_of(head)}). {WAY_OUT}",
        ) from error


def _refused(error: pickle.UnpicklingError) -> str:
    """What the weights-only reader stumbled over, without its advice to switch the protection off."""
    named = re.search(r"GLOBAL (\S+)", str(error))
    return f"it names {named[1]}" if named else "its pickle holds more than tensors, numbers and text"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:300]


def _state_dict_in(path: Path, content: Any) -> dict[str, Tensor]:
    if not isinstance(content, Mapping):
        raise EvaluationError(
            Reason.CHECKPOINT_INVALID, f"{path}: holds a {type(content).__name__}, no state dict. {WAY_OUT}"
        )
    where = next((key for key in STATE_DICT_KEYS if isinstance(content.get(key), Mapping)), None)
    found = content if where is None else content[where]
    wrong = [str(name) for name, value in found.items() if not (isinstance(name, str) and isinstance(value, Tensor))]
    if wrong or not found:
        place = "at the top" if where is None else f"in {where}"
        what = f"entries that are no tensors ({', '.join(wrong[:8])})" if wrong else "nothing"
        raise EvaluationError(
            Reason.CHECKPOINT_INVALID,
            f"{path}: {place} there is {what} where a state dict is looked for. "
            f"Put the weights under {' or '.join(STATE_DICT_KEYS)}, or save the state dict alone. {WAY_OUT}",
        )
    return dict(found)


def _strip_wrappers(path: Path, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    stripped = {name.replace("_orig_mod.", ""): tensor for name, tensor in weights.items()}
    while stripped and all(name.startswith("module.") for name in stripped):
        stripped = {name.removeprefix("module."): tensor for name, tensor in stripped.items()}
    if len(stripped) < len(weights):
        raise EvaluationError(
            Reason.CHECKPOINT_INVALID,
            f"{path}: holds the same weights with and without the prefix _orig_mod. Save one of the two. {WAY_OUT}",
        )
    return stripped


def _refuse_nan(path: Path, weights: dict[str, Tensor]) -> None:
    """Infinity passes: masks kept as buffers hold it rightly."""
    broken = [name for name, tensor in weights.items() if tensor.is_floating_point() and _holds_nan(tensor)]
    if broken:
        raise EvaluationError(
            Reason.CHECKPOINT_INVALID,
            f"{path}: {len(broken)} of {len(weights)} tensors hold NaN (first: {broken[0]}): the training diverged. "
            "Evaluate an earlier checkpoint.",
        )


def _holds_nan(tensor: Tensor) -> bool:
    if tensor.is_sparse:
        return bool(tensor.coalesce().values().isnan().any())
    flat = tensor.reshape(-1)
    return any(bool(flat[start : start + _NAN_BLOCK].isnan().any()) for start in range(0, flat.numel(), _NAN_BLOCK))
