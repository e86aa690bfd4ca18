"""Forward passes over positions, always of the same shape, so that a game's moves don't depend on what ran beside it."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Final, Protocol

import torch
from torch import Tensor
from typing_extensions import override

from hantei_api.base import Precision
from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.run.precision import autocast
from hantei_evaluator.suites.shogi.network import ResTower
from hantei_evaluator.suites.shogi.planes import CONSTANTS, core46
from hantei_evaluator.suites.shogi.positions import MOST_LEGAL_MOVES, Positions

GPU_BATCH: Final = 128
"""Positions in a pass on a GPU: two such batches are 256 games, one computed while the other's rules run."""
CPU_BATCH: Final = 32
CPU_BATCH_OF_LARGE: Final = 8
"""Positions in a pass of one thread: few, so that few games fill them. On one core a network of 2 x 32 runs at 85 % of its
best with 32 positions, one of 9 x 256 at 94 % with 8."""
LARGE_PARAMETERS: Final = 1_000_000
"""In the tower; it then computes for so long that the rules are no part of the time."""


class Launched(Protocol):
    """A forward pass that was started."""

    def done(self) -> bool:
        """Whether ``places`` returns at once."""

    def places(self) -> list[int]:
        """For each row the place of its best move in its list of legal moves.

        Raises
        ------
        EvaluationError
            EvaluatorError when a position's logits are NaN or infinite.
        """


class Forward(AbstractContextManager["Forward"]):
    """The forward passes of one network on one device."""

    capacity: int
    """Most positions that ``launch`` takes."""
    unit: int
    """Positions are computed in multiples of this."""
    in_flight: int
    """How many launched passes make sense: 2 where they run beside this process, else 1."""
    overlaps: bool
    """Whether it pays to compute one half of the games while the rules of the other half run."""

    def launch(self, positions: Positions, rows: Sequence[int]) -> Launched:
        """Choose a move for each row; rows may be written to again once this returns."""
        raise NotImplementedError

    @override
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


def forward_of(network: ResTower, precision: Precision, cpus: int) -> Forward:
    """The passes of a network where its weights are."""
    if network.stem.weight.device.type == "cuda":
        return CudaForward(network, precision)
    return CpuForward(network, precision, cpus)


class _Staging:
    """Input of one pass: rows are copied here, and those beyond keep what they held, as padding."""

    def __init__(self, batch: int, *, pinned: bool) -> None:
        self.pieces = torch.zeros((batch, 81), dtype=torch.uint8, pin_memory=pinned)
        self.constants = torch.zeros((batch, CONSTANTS), dtype=torch.float32, pin_memory=pinned)
        self.legal = torch.zeros((batch, MOST_LEGAL_MOVES), dtype=torch.int16, pin_memory=pinned)
        self.count = torch.ones(batch, dtype=torch.int16, pin_memory=pinned)
        self.best = torch.zeros(batch, dtype=torch.int16, pin_memory=pinned)
        self._arrays = Positions(
            pieces=self.pieces.numpy(),
            constants=self.constants.numpy(),
            legal=self.legal.numpy(),
            count=self.count.numpy(),
        )

    def fill(self, positions: Positions, rows: Sequence[int]) -> None:
        n, mine = len(rows), self._arrays
        mine.pieces[:n] = positions.pieces[rows]
        mine.constants[:n] = positions.constants[rows]
        mine.count[:n] = positions.count[rows]
        width = self.width
        mine.legal[:n, :width] = positions.legal[rows, :width]

    @property
    def width(self) -> int:
        """The most legal moves of a position."""
        return int(self._arrays.count.max())


def best_places(logits: Tensor, legal: Tensor, count: Tensor) -> Tensor:
    """Place of the highest logit among each row's ``count`` indices [n, width]; -1 where it is NaN or infinite.

    Only the legal moves' indices come to the device, not a mask over all 13,527 actions.
    """
    among = logits.gather(1, legal.long()).float()
    beyond = torch.arange(legal.shape[1], device=legal.device) >= count.unsqueeze(1)
    values, places = among.masked_fill_(beyond, -torch.inf).max(1)
    return torch.where(values.isfinite(), places, -1).to(torch.int16)


def _checked(places: list[int]) -> list[int]:
    if min(places) < 0:
        raise EvaluationError(
            Reason.EVALUATOR_ERROR,
            f"The network's logits are NaN or infinite in {sum(place < 0 for place in places)} of {len(places)} positions: "
            "the training diverged, or suite.shogi.precision has too small a range (set fp32).",
        )
    return places


class _Computed:
    """A pass that ended as it was launched."""

    def __init__(self, places: list[int]) -> None:
        self._places = places

    def done(self) -> bool:
        return True

    def places(self) -> list[int]:
        return _checked(self._places)


class CpuForward(Forward):
    """Batches side by side, each computed by one thread.

    Threads that share a batch wait for each other at every layer, and on a CPU that others use too for far longer than
    they compute; see docs/decisions.
    """

    def __init__(self, network: ResTower, precision: Precision, cpus: int) -> None:
        torch.set_num_threads(1)
        large = network.tower_parameters >= LARGE_PARAMETERS
        self.unit = CPU_BATCH_OF_LARGE if large else CPU_BATCH
        self.capacity = self.unit * cpus
        self.in_flight = 1
        self.overlaps = not large
        self._network = network
        self._precision = precision
        self._staging = [_Staging(self.unit, pinned=False) for _ in range(cpus)]
        self._threads = ThreadPoolExecutor(cpus, "forward", torch.set_num_threads, (1,)) if cpus > 1 else None

    @override
    def launch(self, positions: Positions, rows: Sequence[int]) -> Launched:
        batches = [rows[start : start + self.unit] for start in range(0, len(rows), self.unit)]
        jobs = zip(batches, self._staging, strict=False)
        if self._threads is None or len(batches) == 1:
            parts = [self._compute(positions, batch, staging) for batch, staging in jobs]
        else:
            futures = [self._threads.submit(self._compute, positions, batch, staging) for batch, staging in jobs]
            parts = [future.result() for future in futures]
        return _Computed([place for part in parts for place in part])

    def _compute(self, positions: Positions, rows: Sequence[int], staging: _Staging) -> list[int]:
        staging.fill(positions, rows)
        with torch.inference_mode():
            planes = core46(staging.pieces, staging.constants)
            with autocast(self._precision, planes.device):
                logits, _ = self._network(planes)
            best = best_places(logits, staging.legal[:, : staging.width], staging.count)
        return best[: len(rows)].tolist()

    @override
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._threads is not None:
            self._threads.shutdown()


class CudaForward(Forward):
    """Passes that are queued on the GPU while this process goes on; input and output lie in pinned memory."""

    def __init__(self, network: ResTower, precision: Precision) -> None:
        self.unit = 1
        self.capacity = GPU_BATCH
        self.in_flight = 2
        self.overlaps = True
        self._network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's stubs
        self._precision = precision
        self._device = network.stem.weight.device
        self._staging = deque(_Staging(GPU_BATCH, pinned=True) for _ in range(self.in_flight))

    @override
    def launch(self, positions: Positions, rows: Sequence[int]) -> Launched:
        # A buffer comes round again only when its pass was taken: no more than in_flight are launched.
        staging = self._staging[0]
        self._staging.rotate(-1)
        staging.fill(positions, rows)
        with torch.inference_mode():
            pieces, constants, legal, count = (
                each.to(self._device, non_blocking=True)
                for each in (staging.pieces, staging.constants, staging.legal, staging.count)
            )
            planes = core46(pieces, constants).contiguous(memory_format=torch.channels_last)
            with autocast(self._precision, self._device):
                logits, _ = self._network(planes)
            staging.best.copy_(best_places(logits, legal[:, : staging.width], count), non_blocking=True)
        event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        event.record()
        return _Queued(event, staging.best[: len(rows)])


class _Queued:
    """A pass that the GPU computes."""

    def __init__(self, event: torch.cuda.Event, best: Tensor) -> None:
        self._event = event
        self._best = best

    def done(self) -> bool:
        return bool(self._event.query())  # type: ignore[no-untyped-call]

    def places(self) -> list[int]:
        self._event.synchronize()
        return _checked(self._best.tolist())
