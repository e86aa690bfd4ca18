"""Keisei's evaluation configuration, with its own names and defaults.

A file of any age loads: fields that it lacks have Keisei's defaults, fields that nobody knows are kept, and
``model_dump(exclude_unset=True)`` gives back what it said.
"""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError

SECTION = "evaluation"
APP_SECTIONS = ("env", "training", "logging", "wandb", "parallel", "demo", "display", "webui")
"""What else Keisei's whole configuration holds."""

Model = TypeVar("Model", bound=BaseModel)
PositiveInt = Annotated[int, Field(gt=0)]
Percent = Annotated[float, Field(gt=0, le=100)]
LogLevel = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"],
    BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value),
]


class EvaluationConfig(BaseModel):
    """The ``evaluation`` section."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    enable_periodic_evaluation: bool = True
    evaluation_interval_timesteps: PositiveInt = 50_000
    strategy: Literal["single_opponent", "tournament", "ladder", "benchmark", "custom"] = "single_opponent"
    num_games: PositiveInt = 20
    max_concurrent_games: PositiveInt = 4
    timeout_per_game: float | None = None
    strategy_params: dict[str, Any] = Field(default_factory=dict)
    opponent_type: str = "random"
    max_moves_per_game: PositiveInt = 500
    randomize_positions: bool = True
    random_seed: int | None = None
    save_games: bool = True
    save_path: str | None = None
    log_file_path_eval: str = "eval_log.txt"
    log_level: LogLevel = "INFO"
    wandb_log_eval: bool = False
    update_elo: bool = True
    elo_registry_path: str | None = "elo_ratings.json"
    agent_id: str | None = None
    opponent_id: str | None = None
    previous_model_pool_size: PositiveInt = 5
    enable_in_memory_evaluation: bool = True
    model_weight_cache_size: PositiveInt = 5
    enable_parallel_execution: bool = True
    process_restart_threshold: PositiveInt = 100
    temp_agent_device: str = "cpu"
    clear_cache_after_evaluation: bool = True
    enable_background_tournaments: bool = False
    enable_advanced_analytics: bool = False
    enable_enhanced_opponents: bool = False
    max_evaluation_time_minutes: PositiveInt = 30
    evaluation_timeout_per_game: PositiveInt = 300
    max_concurrent_evaluations: PositiveInt = 1
    enable_performance_monitoring: bool = True
    memory_limit_mb: PositiveInt = 1000
    cpu_limit_percent: Percent = 80.0
    gpu_limit_percent: Percent = 80.0


@dataclass(frozen=True)
class KeiseiConfig:
    """The evaluation section, and what the rest of the file says that an evaluation needs."""

    evaluation: EvaluationConfig
    run_name: str | None = None
    """``logging.run_name``."""
    model_dir: str = "models"
    """``logging.model_dir``."""
    wandb_project: str = "keisei-shogi-rl"
    wandb_entity: str | None = None
    unread_sections: list[str] = field(default_factory=list)
    """Sections of the file that say nothing about evaluations."""


class _Logging(BaseModel):
    run_name: str | None = None
    model_dir: str = "models/"


class _Wandb(BaseModel):
    project: str | None = None
    entity: str | None = None


def parse_config(text: str | bytes, *, name: str = "the configuration") -> KeiseiConfig:
    """Read Keisei's whole configuration, or its ``evaluation`` section alone, from YAML.

    Raises:
        EvaluationError: it is no YAML mapping, or a value is out of bounds: the message names field, value and limit.

    """
    try:
        body = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise EvaluationError(Reason.INVALID_TASK, f"{name} is no YAML: {error}") from error
    if not isinstance(body, dict) or not all(isinstance(key, str) for key in body):
        raise EvaluationError(
            Reason.INVALID_TASK,
            f"{name} holds {_kind(body)}, which must be a mapping: Keisei's configuration, or its evaluation section.",
        )
    whole = SECTION in body or not body.keys().isdisjoint(APP_SECTIONS)
    if whole and SECTION not in body:
        raise EvaluationError(
            Reason.INVALID_TASK, f"{name} has no section {SECTION}, only {', '.join(body)}: name a file that has one."
        )
    section = body[SECTION] if whole else body
    evaluation = _validated(EvaluationConfig, section if section is not None else {}, f"{SECTION}." if whole else "")
    if not whole:
        return KeiseiConfig(evaluation)
    logging = _validated(_Logging, body.get("logging") or {}, "logging.")
    wandb = _validated(_Wandb, body.get("wandb") or {}, "wandb.")
    return KeiseiConfig(
        evaluation,
        run_name=logging.run_name,
        model_dir=logging.model_dir,
        wandb_project=wandb.project or "keisei-shogi-rl",
        wandb_entity=wandb.entity,
        unread_sections=[each for each in body if each not in {SECTION, "logging", "wandb"}],
    )


def _validated(model: type[Model], body: object, prefix: str) -> Model:
    try:
        return model.model_validate(body)
    except ValidationError as error:
        problems = "; ".join(
            f"{(prefix + '.'.join(map(str, each['loc']))).rstrip('.')} is {each['input']!r}: {each['msg']}"
            for each in error.errors()
        )
        raise EvaluationError(Reason.INVALID_TASK, f"{problems}.") from error


def _kind(body: object) -> str:
    return {dict: "a mapping with keys that are no text", list: "a list", type(None): "nothing"}.get(
        type(body), f"{body!r}"
    )
