"""Whether forward passes take the share of wall time that politeness.dutyCyclePercent sets, on a CPU.

The real shogi suite plays games of a Keisei checkpoint for some seconds at each setting, on one core. The share is measured
here, round every call that computes a batch, and not taken from the pace's own account. At 100 % the suite plays as it can:
the share that its rules leave to forward passes is then the most that any setting can reach.

    python benchmarks/politeness.py [--checkpoint FILE] [--settings 20 50 80 100] [--seconds 8]
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch

from hantei_api.task import EvaluationTask
from hantei_evaluator.performance import ResourceMonitor
from hantei_evaluator.run.deadline import Deadline
from hantei_evaluator.run.pace import pace_of
from hantei_evaluator.run.progress import ProgressTracker
from hantei_evaluator.run.samples import SampleWriter
from hantei_evaluator.suites.protocol import Context
from hantei_evaluator.suites.shogi.forward import CpuForward, Launched
from hantei_evaluator.suites.shogi.positions import Positions
from hantei_evaluator.suites.shogi.suite import ShogiSuite

ROOT = Path(__file__).parents[1]
CHECKPOINT = ROOT / "tests" / "fixtures" / "keisei" / "checkpoint_ts10000.pth"
RESULTS = Path(__file__).parent / "results" / "politeness.json"
ALLOWED_POINTS = 5.0


class Timed:
    """Adds up the time in forward passes, and when the first began and the last ended."""

    def __init__(self) -> None:
        self.seconds = self.first = self.last = 0.0
        self.passes = self.positions = 0
        self._launch = CpuForward.launch

    def __enter__(self) -> Self:
        timed = self

        def launch(forward: CpuForward, positions: Positions, rows: Sequence[int]) -> Launched:
            began = time.monotonic()
            launched = timed._launch(forward, positions, rows)
            timed.last = time.monotonic()
            timed.first = timed.first or began
            timed.seconds += timed.last - began
            timed.passes += 1
            timed.positions += len(rows)
            return launched

        CpuForward.launch = launch  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        CpuForward.launch = self._launch  # type: ignore[method-assign]


def main() -> None:
    """Run, print and keep the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT)
    parser.add_argument("--settings", type=int, nargs="+", default=[20, 50, 80, 100], metavar="PERCENT")
    parser.add_argument("--seconds", type=float, default=8.0, help="how long games are played at each setting")
    arguments = parser.parse_args()
    rows = [measure(arguments.checkpoint, setting, arguments.seconds) for setting in arguments.settings]
    result = {
        "checkpoint": arguments.checkpoint.name,
        "seconds_at_each_setting": arguments.seconds,
        "device": "cpu, 1 core",
        "allowed_points": ALLOWED_POINTS,
        "settings": rows,
    }
    print(json.dumps(result, indent=2))
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")


def measure(checkpoint: Path, setting: int, seconds: float) -> dict[str, Any]:
    """Play games at that duty cycle, and what share of the time forward passes took."""
    task = EvaluationTask.model_validate(
        {
            "checkpoint": {"path": str(checkpoint)},
            "suite": {"shogi": {"numGames": 100_000}},
            "politeness": {"dutyCyclePercent": setting},
            "limits": {"runSeconds": seconds},
        }
    )
    progress, deadline = ProgressTracker(), Deadline(task.limits)
    pace = pace_of(task, deadline, ResourceMonitor(), progress, cuda=False)
    suite = ShogiSuite()
    with tempfile.TemporaryDirectory() as scratch, Timed() as timed:
        context = Context(
            task=task,
            checkpoint=checkpoint,
            inputs=Path(scratch),
            scratch=Path(scratch),
            device=torch.device("cpu"),
            stop=deadline,
            recorder=SampleWriter(progress),
            cpus=1,
            pace=pace,
        )
        suite.load(context)
        deadline.ready()
        suite.evaluate(context)
        paced = pace.finish()
    wall_seconds = timed.last - timed.first
    share_percent = 100 * timed.seconds / wall_seconds
    return {
        "setting_percent": setting,
        "forward_share_percent": round(share_percent, 1),
        "off_by_points": round(share_percent - setting, 1),
        "accounted_share_percent": round(paced.duty_cycle_percent or 0.0, 1),
        "forward_passes": timed.passes,
        "positions_per_second": round(timed.positions / wall_seconds),
        "load_average": round(os.getloadavg()[0], 1),
    }


if __name__ == "__main__":
    main()
