"""What a forward pass computes in: fp32, or fewer bits where the answers stay the same."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from hantei_api.base import Precision

MIN_AGREEMENT: Final = 0.99
"""Share of samples whose most likely answer must be fp32's. Answers that nearly tie may change places."""
CHECK_SAMPLES: Final = 256
"""How many samples of the real data the check wants."""

_DTYPES: Final = {Precision.BF16: torch.bfloat16, Precision.FP16: torch.float16}
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """What is used, and why."""

    precision: Precision
    """fp32, bf16 or fp16."""
    why: str
    """For the log and the provenance."""
    agreement: float | None = None
    """Share of the checked samples whose argmax is fp32's; None where nothing was checked."""


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Computes in that precision, inside; for one forward pass."""
    dtype = _DTYPES.get(precision)
    return nullcontext() if dtype is None else torch.autocast(device.type, dtype)


def choose(wanted: Precision, device: torch.device, outputs: Callable[[], Tensor]) -> Choice:
    """Decide once, before the first sample counts, and say so in the log.

    ``auto`` means bf16 on a GPU that has it and whose answers agree with fp32's there, else fp32. An explicit bf16 or
    fp16 is used whatever the check finds, which is reported.

    ``outputs`` computes [n, classes] of real samples, about ``CHECK_SAMPLES``; it is called inside ``autocast``. What can
    be no answer holds -inf.
    """
    if device.type == "cuda":
        # cuDNN would compute convolutions in TF32 and call it fp32.
        torch.backends.cudnn.allow_tf32 = False
    choice = _choose(wanted, device, outputs)
    logger.log(
        logging.WARNING if choice.agreement is not None and choice.agreement < MIN_AGREEMENT else logging.INFO,
        "The forward pass computes in %s: %s",
        choice.precision,
        choice.why,
    )
    return choice


def _choose(wanted: Precision, device: torch.device, outputs: Callable[[], Tensor]) -> Choice:
    if wanted is Precision.FP32:
        return Choice(Precision.FP32, "asked for")
    if wanted is Precision.AUTO:
        if device.type != "cuda":
            return Choice(Precision.FP32, "auto on a CPU")
        if not torch.cuda.is_bf16_supported(including_emulation=False):
            return Choice(Precision.FP32, f"auto, and {torch.cuda.get_device_name(device)} has no bf16")
    tried = Precision.BF16 if wanted is Precision.AUTO else wanted
    agreement, n = _agreement(tried, device, outputs)
    found = f"argmax agrees with fp32 for {agreement:.1%} of {n} samples, at least {MIN_AGREEMENT:.0%} is wanted"
    if wanted is Precision.AUTO and agreement < MIN_AGREEMENT:
        return Choice(Precision.FP32, f"auto, and with {tried} {found}", agreement)
    return Choice(tried, f"{'auto' if wanted is Precision.AUTO else 'asked for'}, and its {found}", agreement)


def _agreement(precision: Precision, device: torch.device, outputs: Callable[[], Tensor]) -> tuple[float, int]:
    """Share of samples with the same argmax, NaN never; and their number."""
    answers = []
    for each in (Precision.FP32, precision):
        with torch.inference_mode(), autocast(each, device):
            answers.append(outputs().float())
    exact, fewer_bits = answers
    same = (exact.argmax(1) == fewer_bits.argmax(1)) & ~fewer_bits.isnan().any(1)
    return float(same.double().mean()), len(same)
