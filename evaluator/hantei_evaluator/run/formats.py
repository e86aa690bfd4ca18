"""What a checkpoint file is, and whether it is whole: by its first bytes and its tables, before it is hashed or loaded.

Needs no torch, and reads a few kilobytes of a file of any size.
"""

import json
import struct
import zipfile
from enum import Enum
from pathlib import Path

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.run.unreadable import unreadable

WAY_OUT = "Save it with torch.save(model.state_dict(), path) or safetensors.torch.save_file(model.state_dict(), path)."
SAFETENSORS_HEADER_LIMIT_BYTES = 100_000_000
"""The format's own limit: a longer header length means that the file is something else."""

_HEAD_BYTES = 4096
_ZIP = b"PK\x03\x04"
_MAGIC = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"
"""torch.serialization.MAGIC_NUMBER, the first object in a file of the old format, as a pickled integer."""


class Format(Enum):
    """The formats that weights are read from."""

    SAFETENSORS = "safetensors"
    TORCH_ZIP = "torch.save"
    TORCH_PICKLE = "torch.save before torch 1.6"


def format_of(path: Path) -> Format:
    """The format of a checkpoint file.

    Raises CheckpointMissing when it isn't there or can't be opened, CheckpointIncomplete when it is empty, was reserved
    and not written, or is cut off, and CheckpointInvalid when it is something else.
    """
    try:
        size_bytes = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise unreadable(path, error) from error
    if size_bytes == 0:
        raise EvaluationError(Reason.CHECKPOINT_INCOMPLETE, f"{path}: the file is empty. Wait until it is written.")
    if not any(head):
        raise EvaluationError(
            Reason.CHECKPOINT_INCOMPLETE,
            f"{path}: the file has {size_bytes} bytes and begins with {len(head)} zeros: its space was reserved, and nothing "
            f"was written. {WAY_OUT}",
        )
    if _looks_like_safetensors(path, head):
        _check_safetensors(path, head, size_bytes)
        return Format.SAFETENSORS
    if head.startswith(_ZIP):
        _check_zip(path, size_bytes)
        return Format.TORCH_ZIP
    if head.startswith(b"\x80"):
        if _MAGIC in head[:32]:
            return Format.TORCH_PICKLE
        raise EvaluationError(
            Reason.CHECKPOINT_INVALID,
            f"{path}: a pickle that torch.save did not write, and no code out of a checkpoint is run. {WAY_OUT}",
        )
    raise EvaluationError(
        Reason.CHECKPOINT_INVALID, f"{path}: neither a torch.save nor a safetensors file ({start_of(head)}). {WAY_OUT}"
    )


def start_of(head: bytes) -> str:
    """The first bytes of a file, for a message."""
    shown = head[:9]
    kind = "the text " if shown.isascii() and shown.decode("ascii").isprintable() else "the bytes "
    return f"the file starts with {kind}{shown!r}"


def _looks_like_safetensors(path: Path, head: bytes) -> bool:
    return path.suffix == ".safetensors" or (
        head[8:9] == b"{" and _header_bytes(head) <= SAFETENSORS_HEADER_LIMIT_BYTES
    )


def _header_bytes(head: bytes) -> int:
    return int(struct.unpack("<Q", head[:8])[0]) if len(head) >= 8 else 0


def _check_safetensors(path: Path, head: bytes, size_bytes: int) -> None:
    """The format: 8 bytes of header length, a JSON header with each tensor's offsets, the data."""
    header_bytes = _header_bytes(head)
    if len(head) < 9 or size_bytes < 8 + header_bytes <= SAFETENSORS_HEADER_LIMIT_BYTES:
        raise _cut_off(path, size_bytes, f"its header alone needs {8 + header_bytes} bytes")
    wanted = _safetensors_size(path, header_bytes)
    if wanted is None:
        raise EvaluationError(
            Reason.CHECKPOINT_INVALID, f"{path}: not a safetensors file ({start_of(head)}). {WAY_OUT}"
        )
    if size_bytes < wanted:
        raise _cut_off(path, size_bytes, f"its header speaks of {wanted} bytes")


def _safetensors_size(path: Path, header_bytes: int) -> int | None:
    """Bytes that the header promises, or None when the header is none."""
    if header_bytes > SAFETENSORS_HEADER_LIMIT_BYTES:
        return None
    try:
        with path.open("rb") as file:
            file.seek(8)
            header = json.loads(file.read(header_bytes))
        ends = [int(entry["data_offsets"][1]) for name, entry in header.items() if name != "__metadata__"]
        return 8 + header_bytes + max(ends, default=0)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return None


def _check_zip(path: Path, size_bytes: int) -> None:
    if not zipfile.is_zipfile(path):
        raise _cut_off(path, size_bytes, "a torch.save file ends with a zip directory, which is not there")
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked_bytes = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise EvaluationError(
            Reason.CHECKPOINT_INVALID, f"{path}: its zip directory is damaged ({error}). {WAY_OUT}"
        ) from error
    if unpacked_bytes > size_bytes:
        raise EvaluationError(
            Reason.CHECKPOINT_INVALID,
            f"{path}: its entries unpack to {unpacked_bytes} bytes, and the file has {size_bytes}: torch.save compresses "
            f"nothing. {WAY_OUT}",
        )


def _cut_off(path: Path, size_bytes: int, evidence: str) -> EvaluationError:
    return EvaluationError(
        Reason.CHECKPOINT_INCOMPLETE,
        f"{path}: the file is cut off: it has {size_bytes} bytes, and {evidence}. "
        "Write checkpoints under another name and rename them when they are complete.",
    )
