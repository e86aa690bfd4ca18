"""The base of all models, the types they share, and the parts of a CRD schema that pydantic has no word for."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints, WithJsonSchema
from pydantic.alias_generators import to_camel


class Input(BaseModel):
    """Something a person or another program hands in: unknown fields are an error."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid")


class Output(BaseModel):
    """Something we write and an older or newer version of us may read: unknown fields are dropped."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")

    def to_body(self) -> dict[str, Any]:
        """The JSON body as the API server stores it: camelCase, without what is unset."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def cel(rule: str, message: str, *, field_path: str | None = None) -> dict[str, str]:
    """One entry of ``x-kubernetes-validations``; the message says the way out."""
    return {"rule": rule, "message": message, **({"fieldPath": field_path} if field_path else {})}


def rules(*validations: dict[str, str], **extra: Any) -> dict[str, Any]:
    """``json_schema_extra`` that carries CEL rules and other ``x-kubernetes-*`` keys."""
    return {"x-kubernetes-validations": list(validations), **extra}


DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DNS_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"

ObjectName = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=DNS_SUBDOMAIN)]
"""The name of an object in the run's own namespace."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$", min_length=64, max_length=64)]

Quantity = Annotated[
    int | str,
    WithJsonSchema(
        {
            "x-kubernetes-int-or-string": True,
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "maxLength": 32,
            "x-kubernetes-validations": [
                cel(
                    "type(self) == int ? int(self) > 0 : (isQuantity(string(self)) && quantity(string(self)).isGreaterThan(quantity('0')))",
                    "must be a positive Kubernetes quantity, for example 500m, 2 or 8Gi",
                )
            ],
        }
    ),
]
"""A Kubernetes quantity: ``2``, ``500m``, ``8Gi``."""

InputPath = Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern=r"^[^/\x00][^\x00]*$")]
"""A path below the inputs directory: ``NAME/path/in/input``."""

RelativePath = InputPath
"""A path inside a volume."""

NO_PARENT = "!self.split('/').exists(part, part == '..')"
"""CEL: a path that stays below where it starts."""


class Precision(StrEnum):
    """Numbers of the forward pass."""

    AUTO = "auto"
    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"
