"""The part of shogi_play.py that needs a GPU: play beside the bare forward. Not yet measured: no GPU was at hand."""

import time
from collections.abc import Callable
from typing import Any

import torch

from hantei_api.base import Precision
from hantei_api.shogi import ActionPerspective
from hantei_evaluator.run.allotment import cores
from hantei_evaluator.suites.shogi.agreement import choose_precision
from hantei_evaluator.suites.shogi.forward import forward_of
from hantei_evaluator.suites.shogi.network import ResTower
from hantei_evaluator.suites.shogi.positions import Positions

Played = Callable[..., int]
PASSES = 500
PLIES = 200
GAMES = 1024


def measure(network: ResTower, positions: Positions, played: Played) -> dict[str, Any]:
    """Positions/s in play over those of full passes alone, in the precision that ``auto`` chooses."""
    precision = choose_precision(network, Precision.AUTO, ActionPerspective.ABSOLUTE).precision
    cpus = cores()
    with forward_of(network, precision, cpus) as forward:
        rows = list(range(forward.capacity))
        for _ in range(10):
            forward.launch(positions, rows).places()
        began = time.perf_counter()
        before = forward.launch(positions, rows)
        for _ in range(PASSES):
            following = forward.launch(positions, rows)
            before.places()
            before = following
        before.places()
        bare = (PASSES + 1) * forward.capacity / (time.perf_counter() - began)
    began = time.perf_counter()
    plies = played(network, cpus, total=GAMES, max_moves=PLIES, precision=precision)
    loop = plies / 2 / (time.perf_counter() - began)
    return {
        "promise": "ratio >= 0.6",
        "device": torch.cuda.get_device_name(),
        "cpus": cpus,
        "precision": precision.value,
        "ratio": round(loop / bare, 3),
        "whole_loop_positions_per_second": round(loop),
        "bare_forward_positions_per_second": round(bare),
    }
