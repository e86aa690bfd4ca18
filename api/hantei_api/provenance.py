"""Where a number comes from, and how the four service level readings came out."""

from enum import StrEnum, unique
from typing import Annotated

from pydantic import Field, StringConstraints

from hantei_api.base import Output

ShortText = Annotated[str, StringConstraints(max_length=256)]


class Provenance(Output):
    """Enough to run the same evaluation again."""

    image: ShortText | None = Field(default=None, description="Image reference as the pod names it.")
    image_digest: ShortText | None = Field(
        default=None, description="Digest of the image that ran, from the container runtime."
    )
    checkpoint_sha256: ShortText | None = Field(default=None, description="SHA-256 of the checkpoint that was read.")
    versions: dict[ShortText, ShortText] = Field(
        default_factory=dict,
        max_length=16,
        description="Versions of what computed: hantei, python, torch, the suite's engine.",
    )
    seed: int | None = Field(default=None, ge=0, le=2**31 - 1, description="Seed of every random choice.")
    device: ShortText | None = Field(default=None, description="What computed: the GPU's name, or cpu.")
    precision: ShortText | None = Field(default=None, description="Numbers of the forward pass: fp32, bf16 or fp16.")
    reused_samples: int | None = Field(
        default=None,
        ge=0,
        le=2**53,
        description="Samples that were taken over from an earlier attempt, or from an earlier run of the same identity.",
    )


@unique
class SlaMetric(StrEnum):
    """The four service level readings."""

    LATENCY_SECONDS = "latency_seconds"
    MEMORY_OVERHEAD_BYTES = "memory_overhead_bytes"
    TRAINING_IMPACT_PERCENT = "training_impact_percent"
    GPU_UTILIZATION_PERCENT = "gpu_utilization_percent"


class SlaReading(Output):
    """One reading against its threshold."""

    metric: SlaMetric = Field(description="Which reading.")
    value: float | None = Field(
        default=None,
        allow_inf_nan=False,
        description="The reading, in the unit of its name; absent when it could not be taken.",
    )
    threshold: float = Field(allow_inf_nan=False, description="The most that the run allows, in the same unit.")
    reason: ShortText | None = Field(default=None, description="Why the reading could not be taken.")

    @property
    def violated(self) -> bool:
        """Whether the reading was taken and lies above its threshold."""
        return self.value is not None and self.value > self.threshold


class Sla(Output):
    """How the service level readings came out."""

    passed: bool = Field(description="No reading that could be taken lies above its threshold.")
    readings: list[SlaReading] = Field(
        default_factory=list, max_length=8, description="Every reading and its threshold."
    )
    violations: list[SlaMetric] = Field(
        default_factory=list, max_length=8, description="The readings above their threshold."
    )

    @classmethod
    def of(cls, readings: list[SlaReading]) -> "Sla":
        """Judge the readings."""
        violations = [reading.metric for reading in readings if reading.violated]
        return cls(passed=not violations, readings=readings, violations=violations)
