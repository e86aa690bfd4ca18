"""Batches on their way to the model: read ahead where reading takes work, and copied while the last one computes."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from hantei_evaluator.suites.classification.data import ArraySamples, ImageSamples, Rows, Samples

BATCHES_AHEAD = 2
"""Batches that are read while one computes: enough to hide the reading, and memory for no more."""


@dataclass(frozen=True)
class Batch:
    """Some of the samples, on the device."""

    rows: Rows
    inputs: Tensor


def batches(samples: Samples, rows: list[Rows], device: torch.device, workers: int) -> Iterator[Batch]:
    """The inputs of those rows, one after the other.

    Arrays are sliced where they lie. Images are decoded by ``workers`` threads, which share each batch: a decoder leaves
    the interpreter's lock alone, and worker processes would need shared memory, of which a pod has 64 MB.
    """
    mover = _Mover(device)
    if isinstance(samples, ArraySamples):
        for each in rows:
            yield Batch(each, mover.to_device(samples.batch(each)))
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="images") as pool:
        ahead: deque[tuple[Rows, list[Future[Tensor]]]] = deque()
        try:
            for each in rows:
                ahead.append((each, [pool.submit(samples.batch, part) for part in _split(each, workers)]))
                if len(ahead) > BATCHES_AHEAD:
                    yield _joined(samples, ahead.popleft(), mover)
            while ahead:
                yield _joined(samples, ahead.popleft(), mover)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _split(rows: Rows, parts: int) -> list[Rows]:
    size = -(-len(rows) // parts)
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _joined(samples: ImageSamples, entry: tuple[Rows, list[Future[Tensor]]], mover: "_Mover") -> Batch:
    rows, parts = entry
    return Batch(rows, mover.to_device(samples.join([part.result() for part in parts])))


class _Mover:
    """Copies to a GPU from pinned memory on a stream of its own, so that copying and computing overlap."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def to_device(self, inputs: Tensor) -> Tensor:
        """The batch, for the current stream to use."""
        if self._stream is None:
            return inputs.to(self._device)
        current = torch.cuda.current_stream(self._device)
        pinned = inputs.pin_memory()
        with torch.cuda.stream(self._stream):
            moved = pinned.to(self._device, non_blocking=True)
        current.wait_stream(self._stream)
        # Its memory must not be given to another batch before the current stream is done with it.
        moved.record_stream(current)
        return moved
