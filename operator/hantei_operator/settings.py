"""What the platform engineer sets in the chart: one typed object, read once from the ConfigMap's config.yaml."""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from hantei_operator.domain.facts import Policy


class _Section(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid")


class PodDefaults(_Section):
    """Platform fields of every evaluation pod."""

    tolerations: list[dict[str, Any]] = Field(
        default=[{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    )
    node_selector: dict[str, str] = Field(default_factory=dict)
    runtime_class_name: str = ""
    image_pull_secrets: list[str] = Field(default_factory=list)
    service_account_name: str = "default"
    run_as_user: Annotated[int, Field(ge=1)] | None = 10001
    run_as_group: Annotated[int, Field(ge=1)] | None = 10001
    fs_group: Annotated[int, Field(ge=1)] | None = 10001
    supplemental_groups: list[int] = Field(default_factory=list)
    shared_memory: str = ""
    """Size of a memory-backed /dev/shm, a quantity; empty: the runtime's own."""


class Evaluations(_Section):
    """What evaluations get, and how many may run."""

    image: str = "hantei/evaluator:dev"
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    image_prefixes: list[str] = Field(default_factory=list)
    node_selector_keys: list[str] = Field(default_factory=list)
    max_concurrent: int = Field(default=1, ge=0)
    max_wall_seconds: int = Field(default=300, ge=15)
    pod_retention_seconds: int = Field(default=600, ge=0)
    priority_class_name: str = ""
    pod_defaults: PodDefaults = PodDefaults()


class Settings(_Section):
    """The operator's configuration."""

    watch_namespaces: list[str] = Field(default_factory=list)
    """Namespaces to look after; empty: all."""
    lease_namespace: str = "default"
    lease_name: str = "hantei-operator"
    http_port: int = Field(default=8080, ge=0, le=65535)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    evaluations: Evaluations = Evaluations()

    @property
    def policy(self) -> Policy:
        """The part that decisions look at."""
        return Policy(
            default_image=self.evaluations.image,
            image_prefixes=tuple(self.evaluations.image_prefixes),
            node_selector_keys=tuple(self.evaluations.node_selector_keys),
            max_wall_seconds=self.evaluations.max_wall_seconds,
            pod_retention_seconds=self.evaluations.pod_retention_seconds,
        )


def load(path: Path) -> Settings:
    """The settings in a YAML file; unknown keys are an error.

    Raises
    ------
    pydantic.ValidationError
        Names each field that is wrong.
    """
    return Settings.model_validate(yaml.safe_load(path.read_text()) or {})
