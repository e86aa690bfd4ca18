"""The suite ``classification``: classifies all samples batch by batch."""

import random
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from hantei_api.base import Precision
from hantei_api.reasons import Reason
from hantei_api.suites import ClassificationSuite as Settings
from hantei_evaluator.run.entrypoint import digest_of, load_function
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.run.precision import CHECK_SAMPLES, autocast, choose
from hantei_evaluator.run.weights import load_state_dict
from hantei_evaluator.suites.classification.answers import Answers, Scored, score
from hantei_evaluator.suites.classification.batches import batches
from hantei_evaluator.suites.classification.data import Samples, default_preprocess, read_samples
from hantei_evaluator.suites.classification.model import FIELD, checked_model, fit, forward, number_type
from hantei_evaluator.suites.classification.scores import class_names_of, metrics_of
from hantei_evaluator.suites.protocol import Context, Outcome

PREPROCESS_FIELD = "suite.classification.preprocess"


class ClassificationSuite:
    """The suite ``classification``."""

    reports_progress: ClassVar[bool] = True

    def __init__(self) -> None:
        self._model: nn.Module | None = None
        self._samples: Samples | None = None
        self._precision = Precision.FP32

    def load(self, context: Context) -> None:
        """Build the model, fit the checkpoint into it and open the data."""
        settings = _settings(context)
        random.seed(context.task.seed)
        torch.manual_seed(context.task.seed)
        preprocess = (
            load_function(PREPROCESS_FIELD, settings.preprocess, context.inputs)
            if settings.preprocess
            else default_preprocess
        )
        self._samples = read_samples(context.inputs / settings.data, preprocess, settings.max_samples)
        model = checked_model(load_function(FIELD, settings.model, context.inputs)(), settings.model)
        fit(model, load_state_dict(context.checkpoint))
        self._model = model.to(context.device).eval()
        first = range(min(CHECK_SAMPLES, len(self._samples.labels)))
        self._precision = choose(settings.precision, context.device, lambda: self._outputs(context, first)).precision

    def identity(self, context: Context) -> Mapping[str, str]:
        """The data's bytes, the code of the model and of the preprocessing, and how it computes."""
        settings = _settings(context)
        _, samples = self._loaded()
        return {
            "data": samples.digest(context.cpus),
            "agent.model": digest_of(settings.model, context.inputs),
            "agent.preprocess": digest_of(settings.preprocess, context.inputs) if settings.preprocess else "default",
            "agent.precision": self._precision.value,
            "agent.torch": torch.__version__,
        }

    @torch.inference_mode()
    def evaluate(self, context: Context) -> Outcome:
        """Classify all samples, or those that the time allows.

        A batch's answers are read when the next one is on its way, so that a GPU need not wait for the recording.
        """
        model, samples = self._loaded()
        settings = _settings(context)
        dtype = number_type(model)
        answers = Answers(samples, context.recorder)
        answers.take_over(context.done)
        waiting: Scored | None = None
        for batch in batches(samples, answers.missing(settings.batch_size), context.device, context.cpus):
            if context.stop.requested():
                break
            with context.pace, autocast(self._precision, context.device):
                logits = forward(model, batch.inputs.to(dtype))
            answers.expect(logits.shape[1])
            scored = score(logits, samples.labels, batch.rows)
            if waiting is not None:
                answers.add(waiting)
            waiting = scored
        if waiting is not None:
            answers.add(waiting)
        metrics = metrics_of(
            labels=answers.labels,
            predicted=answers.predicted,
            confidence=answers.confidence,
            cross_entropy=answers.cross_entropy,
            class_names=class_names_of(samples.classes, int(samples.labels.max()) + 1),
            bins=settings.calibration_bins,
            seed=context.task.seed,
        )
        return Outcome(
            metrics=metrics,
            complete=answers.complete,
            versions={"torch": torch.__version__},
            precision=self._precision.value,
        )

    def _outputs(self, context: Context, rows: range) -> Tensor:
        model, samples = self._loaded()
        return forward(model, samples.batch(rows).to(context.device, number_type(model)))

    def _loaded(self) -> tuple[nn.Module, Samples]:
        if self._model is None or self._samples is None:
            raise RuntimeError("load comes first")
        return self._model, self._samples


def _settings(context: Context) -> Settings:
    settings = context.task.suite.classification
    if settings is None:
        raise EvaluationError(Reason.INVALID_TASK, "suite.classification is not set.")
    return settings
