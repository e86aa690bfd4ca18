"""What the model answered: computed on its device, recorded, and collected for the metrics."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.suites.classification.data import Rows, Samples
from hantei_evaluator.suites.protocol import Recorder

DECIMALS = 6
"""Of the numbers in a sample. The metrics are made of them, so that a resumed evaluation comes out the same."""


@dataclass(frozen=True)
class Scored:
    """A batch's answers, on their way from the device."""

    rows: Rows
    predicted: Tensor
    confidence: Tensor
    cross_entropy: Tensor
    finite: Tensor
    ready: torch.cuda.Event | None

    def wait(self) -> None:
        """Until they are there."""
        if self.ready is not None:
            self.ready.synchronize()


def score(logits: Tensor, labels: NDArray[np.int64], rows: Rows) -> Scored:
    """Prediction, its confidence and the cross entropy of logits [n, classes], all [n].

    On a GPU they are on their way back when this returns; what is launched later does not delay them.
    """
    wanted = torch.from_numpy(labels[_index(rows)]).to(logits.device, non_blocking=True)
    log_probabilities = logits.to(torch.float64).log_softmax(dim=1)
    best = log_probabilities.max(dim=1)
    cross_entropy = -log_probabilities.gather(1, wanted[:, None])[:, 0]
    found = best.indices, best.values.exp(), cross_entropy, logits.isfinite().all()
    predicted, confidence, entropy, finite = (each.to("cpu", non_blocking=True) for each in found)
    ready = None
    if logits.is_cuda:
        ready = torch.cuda.Event()  # type: ignore[no-untyped-call]
        ready.record()
    return Scored(rows, predicted, confidence, entropy, finite, ready)


class Answers:
    """The answers so far, by the samples' order."""

    def __init__(self, samples: Samples, recorder: Recorder) -> None:
        self._outputs = 0
        self._samples = samples
        self._recorder = recorder
        total = len(samples.labels)
        self._answered = np.zeros(total, dtype=np.bool_)
        self._count = 0
        self._predicted = np.zeros(total, dtype=np.int64)
        self._confidence = np.zeros(total)
        self._cross_entropy = np.zeros(total)

    def take_over(self, done: Mapping[str, Mapping[str, Any]]) -> None:
        """Count samples that were recorded by an earlier evaluation."""
        if not done:
            return
        for row in range(len(self._answered)):
            name = self._samples.sample_id(row)
            if name in done:
                record = done[name]
                self._answered[row] = True
                self._count += 1
                self._predicted[row] = record["predicted"]
                self._confidence[row] = record["confidence"]
                self._cross_entropy[row] = record["values"]["cross_entropy"]
        self._progress()

    def expect(self, outputs: int) -> None:
        """The model has so many classes; raises InvalidTask for a label that it has no output for."""
        if outputs != self._outputs:
            _check_labels(self._samples.labels, outputs)
            self._outputs = outputs

    def missing(self, batch_size: int) -> list[Rows]:
        """The samples without an answer, in batches."""
        rows: Rows = range(len(self._answered))
        if self._count:
            rows = np.flatnonzero(~self._answered)
        return [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]

    def add(self, scored: Scored) -> None:
        """Record a batch; raises MetricsUnavailable when the model's outputs are no numbers."""
        scored.wait()
        if not bool(scored.finite):
            raise EvaluationError(
                Reason.METRICS_UNAVAILABLE,
                "The model's outputs hold NaN or infinity: look at the checkpoint and the data.",
            )
        rows = _index(scored.rows)
        self._answered[rows] = True
        self._count += len(scored.rows)
        self._predicted[rows] = scored.predicted.numpy()
        self._confidence[rows] = scored.confidence.numpy().round(DECIMALS)
        self._cross_entropy[rows] = scored.cross_entropy.numpy().round(DECIMALS)
        self._recorder.samples(self._records(scored.rows))
        self._progress()

    @property
    def complete(self) -> bool:
        """Whether every sample has its answer."""
        return self._count == len(self._answered)

    @property
    def labels(self) -> NDArray[np.int64]:
        """Of the samples that have an answer [n]; so for the other arrays."""
        return self._samples.labels[self._answered]

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Classes."""
        return self._predicted[self._answered]

    @property
    def confidence(self) -> NDArray[np.float64]:
        """Probability of the predicted class."""
        return self._confidence[self._answered]

    @property
    def cross_entropy(self) -> NDArray[np.float64]:
        """In nats."""
        return self._cross_entropy[self._answered]

    def _records(self, rows: Rows) -> Iterable[Mapping[str, Any]]:
        index = _index(rows)
        columns = (self._samples.labels, self._predicted, self._confidence, self._cross_entropy)
        answers = zip(rows, *(column[index].tolist() for column in columns), strict=True)
        for row, label, predicted, confidence, cross_entropy in answers:
            correct = predicted == label
            yield {
                "sampleId": self._samples.sample_id(row),
                "label": label,
                "predicted": predicted,
                "correct": correct,
                "confidence": confidence,
                "values": {"accuracy": float(correct), "cross_entropy": cross_entropy},
            }

    def _progress(self) -> None:
        self._recorder.progress(self._count, len(self._answered))


def _index(rows: Rows) -> slice | NDArray[np.intp]:
    """Rows that follow one another are a slice: a view, no copy."""
    return slice(rows.start, rows.stop) if isinstance(rows, range) else rows


def _check_labels(labels: NDArray[np.int64], outputs: int) -> None:
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest >= outputs:
        raise EvaluationError(
            Reason.INVALID_TASK,
            f"suite.classification.data: label {lowest if lowest < 0 else highest} lies outside the model's {outputs} outputs "
            f"(0 to {outputs - 1}).",
        )
