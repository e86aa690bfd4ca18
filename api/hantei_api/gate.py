"""What a checkpoint is held against: a baseline, and the gate that turns the comparison into a verdict."""

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from hantei_api.artifacts import CREDENTIALS_NEED_URI, ONE_SOURCE, Artifact
from hantei_api.base import DNS_SUBDOMAIN, Input, Output, cel, rules
from hantei_api.metrics import MetricName

RunName = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=DNS_SUBDOMAIN)]
ShortText = Annotated[str, StringConstraints(max_length=256)]


class BaselineCheckpoint(Artifact):
    """Another checkpoint, evaluated in the same pod with the same samples."""

    model_config = ConfigDict(json_schema_extra=rules(ONE_SOURCE, CREDENTIALS_NEED_URI))


class Baseline(Input):
    """What the checkpoint is compared with, sample by sample."""

    model_config = ConfigDict(
        json_schema_extra=rules(cel("has(self.run) != has(self.checkpoint)", "name exactly one of run, checkpoint"))
    )

    run: RunName | None = Field(
        default=None,
        description="A run of the same namespace and suite that kept its samples in output. While it is not finished, this run waits.",
    )
    checkpoint: BaselineCheckpoint | None = Field(
        default=None, description="Another checkpoint: it is evaluated after the run's own, in the same pod."
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> "Baseline":
        if (self.run is None) == (self.checkpoint is None):
            raise ValueError("baseline: name exactly one of run, checkpoint")
        return self


LOSSES = frozenset({"cross_entropy", "ece", "loss_rate"})
"""Metrics of the built-in suites whose small values are good."""


class OnInconclusive(StrEnum):
    """What a gate makes of a comparison that is not clear."""

    PASS = "Pass"  # noqa: S105  # an outcome, no password
    FAIL = "Fail"


class Gate(Input):
    """When a checkpoint is good enough.

    Of the difference to the baseline with its confidence interval: Pass when a drop of more than maxDrop is excluded;
    Regressed when a drop is certain and one of more than maxDrop is not excluded; else NotSignificant, or Underpowered
    when so few samples could not have shown a drop of maxDrop.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "has(self.minimum) || has(self.maxDrop)",
                "name minimum, or maxDrop (with a baseline), or both: a gate without a limit decides nothing",
            )
        )
    )

    metric: MetricName | None = Field(default=None, description="The metric that decides. Default: the suite's first.")
    minimum: float | None = Field(
        default=None,
        ge=-1e12,
        le=1e12,
        description="The least value, in the metric's unit (the most, with lowerIsBetter). Default: none.",
    )
    max_drop: float | None = Field(
        default=None,
        ge=0,
        le=1e12,
        description="The largest acceptable loss against the baseline, in the metric's unit. Default: none.",
    )
    lower_is_better: bool | None = Field(
        default=None,
        description="Whether a small value is good, as of a loss. Default: true for cross_entropy, ece and loss_rate, else false.",
    )
    confidence: float = Field(
        default=0.95, ge=0.5, le=0.9999, description="Confidence of the two-sided interval. Default 0.95."
    )
    power: float = Field(
        default=0.8,
        ge=0.5,
        le=0.99,
        description="Chance to see a drop of maxDrop that Underpowered asks for. Default 0.8.",
    )
    on_inconclusive: OnInconclusive = Field(
        default=OnInconclusive.PASS,
        description="Pass: NotSignificant and Underpowered end with Completed. Fail: with GateFailed. Default Pass.",
    )

    @model_validator(mode="after")
    def _has_a_limit(self) -> "Gate":
        if self.minimum is None and self.max_drop is None:
            raise ValueError("gate: name minimum, or maxDrop (with a baseline), or both")
        return self


def is_lower_better(metric: str, gate: Gate | None) -> bool:
    """Whether small values of the metric are good: as the gate says, or else as the metric is known."""
    said = gate.lower_is_better if gate is not None else None
    return metric in LOSSES if said is None else said


class Comparison(Output):
    """How the deciding metric came out against the baseline."""

    metric: MetricName = Field(description="The metric that decided.")
    baseline: ShortText | None = Field(default=None, description="The baseline: run NAME, or the checkpoint's SHA-256.")
    value: float = Field(allow_inf_nan=False, description="The checkpoint's value over the compared samples.")
    baseline_value: float | None = Field(
        default=None, allow_inf_nan=False, description="The baseline's value over the same samples."
    )
    difference: float | None = Field(default=None, allow_inf_nan=False, description="Value less the baseline's value.")
    stderr: float | None = Field(
        default=None, ge=0, allow_inf_nan=False, description="Standard error of the difference, pairs being paired."
    )
    low: float | None = Field(
        default=None,
        allow_inf_nan=False,
        description="Lower end of the difference's interval (of the value's, without a baseline).",
    )
    high: float | None = Field(default=None, allow_inf_nan=False, description="Upper end of that interval.")
    confidence: float = Field(ge=0, le=1, description="Confidence of the interval.")
    n: int = Field(ge=1, le=2**53, description="Samples that both have, or pairs of games.")
    minimum_detectable: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="The smallest drop that so many samples show with the gate's power, in the metric's unit.",
    )
    method: ShortText = Field(description="How it was computed: McNemar, paired bootstrap, pentanomial pairs, Wilson.")
