"""Accuracy, per-class accuracy and calibration of any torch classifier."""

import random
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from hantei_api.reasons import Reason
from hantei_api.suites import ClassificationSuite as Settings
from hantei_evaluator.run.entrypoint import load_function
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.run.weights import load_state_dict
from hantei_evaluator.suites.classification.data import Samples, default_preprocess, read_samples
from hantei_evaluator.suites.classification.scores import class_names_of, metrics_of
from hantei_evaluator.suites.protocol import Context, Outcome

MODEL_FIELD = "suite.classification.model"
_NAMES_SHOWN = 5


class ClassificationSuite:
    """The suite ``classification``."""

    reports_progress: ClassVar[bool] = True

    def __init__(self) -> None:
        self._model: nn.Module | None = None
        self._samples: Samples | None = None

    def load(self, context: Context) -> None:
        """Build the model, fit the checkpoint into it and open the data."""
        settings = _settings(context)
        random.seed(context.task.seed)
        torch.manual_seed(context.task.seed)
        preprocess = (
            load_function("suite.classification.preprocess", settings.preprocess, context.inputs)
            if settings.preprocess
            else default_preprocess
        )
        self._samples = read_samples(context.inputs / settings.data, preprocess, settings.max_samples)
        model = load_function(MODEL_FIELD, settings.model, context.inputs)()
        if not isinstance(model, nn.Module):
            raise EvaluationError(
                Reason.INVALID_TASK,
                f"{MODEL_FIELD}: {settings.model} returned a {type(model).__name__}, a torch.nn.Module is needed.",
            )
        _fit(model, load_state_dict(context.checkpoint))
        self._model = model.to(context.device).eval()

    def evaluate(self, context: Context) -> Outcome:
        """Classify all samples batch by batch, or those that the time allows."""
        model, samples, settings = self._model, self._samples, _settings(context)
        if model is None or samples is None:
            raise RuntimeError("load comes before evaluate")
        total = len(samples.labels)
        # NumPy's float64, and integers, become what the model computes in.
        dtype = next((each.dtype for each in model.parameters() if each.is_floating_point()), torch.float32)
        predicted: list[Tensor] = []
        confidence: list[Tensor] = []
        cross_entropy: list[Tensor] = []
        outputs = done = 0
        while done < total and not context.stop.requested():
            stop = min(done + settings.batch_size, total)
            logits = _logits(model, samples.batch(done, stop).to(context.device, dtype), stop - done)
            outputs = logits.shape[1]
            labels = torch.from_numpy(samples.labels[done:stop])
            _check_labels(labels, outputs)
            log_probabilities = logits.log_softmax(dim=1)
            best = log_probabilities.max(dim=1)
            predicted.append(best.indices)
            confidence.append(best.values.exp())
            cross_entropy.append(-log_probabilities.gather(1, labels[:, None])[:, 0])
            _record(context, samples, done, predicted[-1], confidence[-1])
            done = stop
            context.recorder.progress(done, total)
        metrics = metrics_of(
            labels=samples.labels[:done],
            predicted=_joined(predicted, torch.int64),
            confidence=_joined(confidence, torch.float64),
            cross_entropy=_joined(cross_entropy, torch.float64),
            class_names=class_names_of(list(samples.classes) if samples.classes is not None else None, outputs),
            bins=settings.calibration_bins,
            seed=context.task.seed,
        )
        return Outcome(metrics=metrics, complete=done == total, versions={"torch": torch.__version__})


def _settings(context: Context) -> Settings:
    settings = context.task.suite.classification
    if settings is None:
        raise EvaluationError(Reason.INVALID_TASK, "suite.classification is not set.")
    return settings


def _fit(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Strictly: a checkpoint that fits another model must not be evaluated in part."""
    own = model.state_dict()
    missing = [name for name in own if name not in weights]
    unexpected = [name for name in weights if name not in own]
    shapes = [
        f"{name} {tuple(weights[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in own.items()
        if name in weights and weights[name].shape != tensor.shape
    ]
    problems = [
        f"{len(names)} {what} ({', '.join(names[:_NAMES_SHOWN])})"
        for what, names in (("missing", missing), ("not in the model", unexpected), ("of another shape", shapes))
        if names
    ]
    if problems:
        raise EvaluationError(
            Reason.CHECKPOINT_INVALID,
            f"checkpoint: its tensors don't fit the model of {MODEL_FIELD}: {'; '.join(problems)}. "
            "Name the model that was trained.",
        )
    model.load_state_dict(weights)


@torch.inference_mode()
def _logits(model: nn.Module, inputs: Tensor, n: int) -> Tensor:
    """Outputs [n, classes] as float64 on the CPU."""
    try:
        logits = model(inputs)
    except torch.OutOfMemoryError as error:
        raise EvaluationError(
            Reason.EVALUATOR_ERROR,
            f"The GPU ran out of memory in a batch of {n}: lower suite.classification.batchSize.",
        ) from error
    except RuntimeError as error:
        raise EvaluationError(
            Reason.INVALID_TASK,
            f"suite.classification: the model can't take a batch of shape {tuple(inputs.shape)}, type {inputs.dtype}: "
            f"{str(error).splitlines()[0]}.",
        ) from error
    if not isinstance(logits, Tensor) or logits.ndim != 2 or logits.shape[0] != n or logits.shape[1] < 2:
        what = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
        raise EvaluationError(
            Reason.INVALID_TASK, f"{MODEL_FIELD}: the model returned {what} for {n} samples, [{n}, classes] is needed."
        )
    logits = logits.to("cpu", torch.float64)
    if not bool(logits.isfinite().all()):
        raise EvaluationError(
            Reason.METRICS_UNAVAILABLE, "The model's outputs hold NaN or infinity: look at the checkpoint and the data."
        )
    return logits


def _check_labels(labels: Tensor, outputs: int) -> None:
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest >= outputs:
        raise EvaluationError(
            Reason.INVALID_TASK,
            f"suite.classification.data: label {lowest if lowest < 0 else highest} lies outside the model's {outputs} outputs "
            f"(0 to {outputs - 1}).",
        )


def _record(context: Context, samples: Samples, start: int, predicted: Tensor, confidence: Tensor) -> None:
    for offset, (guess, sureness) in enumerate(zip(predicted.tolist(), confidence.tolist(), strict=True)):
        label = int(samples.labels[start + offset])
        context.recorder.sample(
            {
                "sampleId": samples.sample_id(start + offset),
                "label": label,
                "predicted": guess,
                "correct": guess == label,
                "confidence": round(sureness, 6),
            }
        )


def _joined(parts: list[Tensor], dtype: torch.dtype) -> np.ndarray:
    return torch.cat(parts).to(dtype).numpy() if parts else torch.empty(0, dtype=dtype).numpy()
