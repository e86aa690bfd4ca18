"""Reading the weights out of a checkpoint file without running any code that came with it."""

import json
import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.run.unreadable import unreadable

STATE_DICT_KEYS = ("model_state_dict", "state_dict")
"""Where training scripts put the weights beside optimiser state and counters; without either, the file is the dict."""

SAFETENSORS_HEADER_LIMIT_BYTES = 100_000_000
"""The format's own limit: a longer header length means that the file is something else."""

WAY_OUT = "Save it with torch.save(model.state_dict(), path) or safetensors.torch.save_file(model.state_dict(), path)."


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
    try:
        size_bytes = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(9)
    except OSError as error:
        raise unreadable(path, error) from error
    if size_bytes == 0:
        raise EvaluationError(Reason.CHECKPOINT_INCOMPLETE, f"{path}: the file is empty. Wait until it is written.")
    if _is_safetensors(path, head):
        weights = _read_safetensors(path, head, size_bytes)
    else:
        weights = _state_dict_in(path, _read_torch(path, head, size_bytes))
    weights = _strip_wrappers(path, weights)
    _refuse_nan(path, weights)
    return weights


def _is_safetensors(path: Path, head: bytes) -> bool:
    return path.suffix == ".safetensors" or (
        len(head) == 9 and head[8:9] == b"{" and struct.unpack("<Q", head[:8])[0] <= SAFETENSORS_HEADER_LIMIT_BYTES
    )


def _read_safetensors(path: Path, head: bytes, size_bytes: int) -> dict[str, Tensor]:
    """Read safetensors: 8 bytes of header length, a JSON header with each tensor's offsets, the data."""
    header_bytes = struct.unpack("<Q", head[:8])[0] if len(head) >= 8 else 0
    if len(head) < 9 or size_bytes < 8 + header_bytes <= SAFETENSORS_HEADER_LIMIT_BYTES:
        raise _cut_off(path, size_bytes, f"its header alone needs {8 + header_bytes} bytes")
    try:
        return load_file(path)
    except (SafetensorError, ValueError, KeyError) as error:
        wanted = _safetensors_size(path, header_bytes)
        if wanted is not None and size_bytes < wanted:
            raise _cut_off(path, size_bytes, f"its header speaks of {wanted} bytes") from error
        raise EvaluationError(
            Reason.CHECKPOINT_INVALID, f"{path}: not a safetensors file ({_first_line(error)}). {WAY_OUT}"
        ) from error


def _safetensors_size(path: Path, header_bytes: int) -> int | None:
    """Bytes that the header promises, or None when the header is none."""
    if header_bytes > SAFETENSORS_HEADER_LIMIT_BYTES:
        return None
    try:
        with path.open("rb") as file:
            file.seek(8)
            header = json.loads(file.read(header_bytes))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        return 8 + header_bytes + max(ends, default=0)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        return None


def _cut_off(path: Path, size_bytes: int, evidence: str) -> EvaluationError:
    return EvaluationError(
        Reason.CHECKPOINT_INCOMPLETE,
        f"{path}: the file is cut off: it has {size_bytes} bytes, and {evidence}. "
        "Write checkpoints under another name and rename them when they are complete.",
    )


def _read_torch(path: Path, head: bytes, size_bytes: int) -> Any:
    is_zip = zipfile.is_zipfile(path)
    if head.startswith(b"PK\x03\x04") and not is_zip:
        raise _cut_off(path, size_bytes, "a torch.save file ends with a zip directory, which is not there")
    try:
        with warnings.catch_warnings():
            # torch warns of a pickle protocol before it refuses it; the refusal says enough.
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except MemoryError:
        raise
    except pickle.UnpicklingError as error:
        raise EvaluationError(
            Reason.CHECKPOINT_INVALID,
            f"{path}: holds no plain state dict, and no code out of a checkpoint is run "
            f"({_refused(error)}; {_start(head)}). {WAY_OUT}",
        ) from error
    except Exception as error:
        # Damaged bytes make the reader raise nearly anything, from RuntimeError to struct.error.
        raise EvaluationError(
            Reason.CHECKPOINT_INVALID,
            f"{path}: not a checkpoint that torch can read: {type(error).__name__}: {_first_line(error)} "
            f"({_start(head)}). {WAY_OUT}",
        ) from error


def _refused(error: pickle.UnpicklingError) -> str:
    """What the weights-only reader stumbled over, without its advice to switch the protection off."""
    named = re.search(r"GLOBAL (\S+)", str(error))
    return f"it names {named[1]}" if named else "its pickle holds more than tensors, numbers and text"


def _start(head: bytes) -> str:
    kind = "the text " if head.isascii() and head.decode("ascii").isprintable() else "the bytes "
    return f"the file starts with {kind}{head!r}"


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
    broken = [name for name, tensor in weights.items() if tensor.is_floating_point() and bool(tensor.isnan().any())]
    if broken:
        raise EvaluationError(
            Reason.CHECKPOINT_INVALID,
            f"{path}: {len(broken)} of {len(weights)} tensors hold NaN (first: {broken[0]}): the training diverged. "
            "Evaluate an earlier checkpoint.",
        )
