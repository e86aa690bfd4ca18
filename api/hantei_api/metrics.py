"""A metric: a number, how sure it is, and from how many samples."""

from typing import Annotated

from pydantic import Field, StringConstraints

from hantei_api.base import Output

MAX_METRICS = 64
"""Metrics kept in status; a result file may hold more."""

MetricName = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z_][A-Za-z0-9_./-]*$")]


class Metric(Output):
    """One number that an evaluation measured."""

    name: MetricName = Field(description="For example accuracy, win_rate, accuracy/class_3.")
    value: float = Field(allow_inf_nan=False, description="The estimate.")
    stderr: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="Standard error of the estimate, in its unit; absent when it has none.",
    )
    n: int = Field(ge=1, le=2**53, description="Samples that the estimate rests on.")
