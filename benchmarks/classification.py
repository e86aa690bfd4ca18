"""The classification suite beside the bare forward pass, in one run: samples a second of both, at the same batch.

The bare forward pass is the model alone over float32 batches that lie ready. The suite reads an .npz file of uint8 pixels,
scores, and writes samples.jsonl. Both take turns, so that other work on the machine meets them alike; the ratio is the
median over the rounds. The residual network stands for models that are evaluated; next to the perceptron the suite's own
work per sample shows.

    python benchmarks/classification.py [--samples 1024] [--rounds 21] [--threads N]

Where other work competes for the cores, look at the ratio of CPU seconds, with one thread: two that wait for each other
measure the competition.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from hantei_api.task import EvaluationTask, TaskLimits
from hantei_evaluator.run.deadline import Deadline
from hantei_evaluator.run.progress import ProgressTracker
from hantei_evaluator.run.samples import SAMPLES_FILE, SampleWriter
from hantei_evaluator.suites.classification import ClassificationSuite
from hantei_evaluator.suites.protocol import Context

RESULTS = Path(__file__).parent / "results" / "classification.json"
BATCH = 256
CLASSES = 10


class Took(NamedTuple):
    """Seconds, by the wall clock and of all cores."""

    wall: float
    cpu: float

    @classmethod
    def now(cls) -> "Took":
        """Both clocks."""
        return cls(time.perf_counter(), time.process_time())

    @classmethod
    def since(cls, start: "Took") -> "Took":
        """What passed."""
        now = cls.now()
        return cls(now.wall - start.wall, now.cpu - start.cpu)


class Block(nn.Module):
    """A residual block of two 3x3 convolutions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()),
            *(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)),
        )

    @override
    def forward(self, planes: Tensor) -> Tensor:
        """Planes [n, width, rows, columns] in and out."""
        return torch.relu(planes + self.body(planes))


def residual() -> nn.Module:
    """A small residual network for images [n, 3, 32, 32]."""
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 3, padding=1), Block(16), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), Block(32)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, CLASSES)),
    )


def perceptron() -> nn.Module:
    """Two layers: next to it everything else is slow."""
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 64), nn.ReLU(), nn.Linear(64, CLASSES))


def main() -> None:
    """Run, print and keep the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    result = {
        "batch": BATCH,
        "threads": torch.get_num_threads(),
        "rounds": arguments.rounds,
        "residual": measure("residual", arguments.samples, arguments.rounds),
        "perceptron": measure("perceptron", 16 * arguments.samples, arguments.rounds),
    }
    print(json.dumps(result, indent=2))
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")


def measure(name: str, samples: int, rounds: int) -> dict[str, Any]:
    """Samples a second of the bare pass and of the suite, and their ratio."""
    torch.manual_seed(0)
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (samples, 3, 32, 32), np.uint8)
    with tempfile.TemporaryDirectory() as text:
        directory = Path(text)
        np.savez(directory / "data.npz", x=pixels, y=generator.integers(0, CLASSES, samples))
        model = globals()[name]().eval()
        torch.save(model.state_dict(), directory / "checkpoint.pt")
        floats = torch.from_numpy(pixels).float()
        _bare(model, floats)
        _suite(name, directory)
        rounds_of_three = [
            # Before and after: a machine that grows faster or slower meanwhile does so for both.
            (_bare(model, floats), _suite(name, directory), _bare(model, floats))
            for _ in range(rounds)
        ]
    bare = [Took((a.wall + b.wall) / 2, (a.cpu + b.cpu) / 2) for a, _, b in rounds_of_three]
    suite = [took for _, took, _ in rounds_of_three]
    pairs = list(zip(bare, suite, strict=True))
    return {
        "samples": samples,
        "bare_samples_per_second": round(statistics.median(samples / took.wall for took in bare)),
        "suite_samples_per_second": round(statistics.median(samples / took.wall for took in suite)),
        "ratio": round(statistics.median(b.wall / s.wall for b, s in pairs), 3),
        "cpu_seconds_ratio": round(statistics.median(b.cpu / s.cpu for b, s in pairs), 3),
        "added_cpu_microseconds_per_sample": round(
            1e6 * statistics.median(s.cpu - b.cpu for b, s in pairs) / samples, 1
        ),
    }


@torch.inference_mode()
def _bare(model: nn.Module, floats: Tensor) -> Took:
    start = Took.now()
    for batch in floats.split(BATCH):
        model(batch)
    return Took.since(start)


def _suite(name: str, directory: Path) -> Took:
    settings = {"model": f"code/{Path(__file__).name}:{name}", "data": "data/data.npz", "batch_size": BATCH}
    checkpoint = directory / "checkpoint.pt"
    task = EvaluationTask.model_validate(
        {"checkpoint": {"path": str(checkpoint)}, "suite": {"classification": settings}}
    )
    with tempfile.TemporaryDirectory() as text:
        inputs = Path(text)
        (inputs / "code").symlink_to(Path(__file__).parent.absolute())
        (inputs / "data").symlink_to(directory)
        writer = SampleWriter(ProgressTracker())
        writer.open(inputs / SAMPLES_FILE)
        context = Context(task, checkpoint, inputs, inputs, torch.device("cpu"), Deadline(TaskLimits()), writer)
        suite = ClassificationSuite()
        suite.load(context)
        start = Took.now()
        outcome = suite.evaluate(context)
        writer.close()
        took = Took.since(start)
    if not outcome.complete:
        raise RuntimeError("the suite did not classify all samples")
    return took


if __name__ == "__main__":
    main()
