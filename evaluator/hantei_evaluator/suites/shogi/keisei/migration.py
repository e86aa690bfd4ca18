"""From Keisei's evaluation configuration to the manifest of an EvaluationRun, and an account of every field."""

import json
import posixpath
import re
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from hantei_api.names import API_VERSION, RUN_KIND
from hantei_api.reasons import Reason
from hantei_api.spec import Clocks, EvaluationRunSpec
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.suites.shogi.keisei.config import EvaluationConfig, KeiseiConfig
from hantei_evaluator.suites.shogi.keisei.field_notes import NO_COUNTERPART, NO_EFFECT_IN_KEISEI
from hantei_evaluator.suites.shogi.keisei.opponents import Opponents, inside_volume
from hantei_evaluator.suites.shogi.keisei.strategies import CASES_INPUT, PARAMETERS, Arrangement, arrange

DEFAULT_CLAIM: Final = "keisei-models"
DEFAULT_OUTPUT: Final = "evaluations"
WANDB_SECRET: Final = "hantei-wandb"  # noqa: S105  # a Secret's name, no secret
SHOWN_LENGTH: Final = 40
_NONE: Final = "none: "


@dataclass(frozen=True)
class Account:
    """What became of one field."""

    field: str
    """As Keisei's file names it below ``evaluation``."""
    value: str
    """What it says, or Keisei's default."""
    given: bool
    """Whether the file says it."""
    here: str
    """The field of the run's spec and its value; or ``none:`` and what does its work here."""
    there: str
    """Why it had no effect in Keisei; empty where it had one."""

    @property
    def has_counterpart(self) -> bool:
        """Whether the run's spec says it."""
        return not self.here.startswith(_NONE)


@dataclass(frozen=True)
class Migration:
    """A manifest and how it came about."""

    manifest: dict[str, Any]
    accounts: list[Account]
    """Every field of Keisei's evaluation section once, then the strategy parameters, then what nobody knows."""
    remarks: list[str]
    """What the manifest's reader has to check or to do."""
    cases: list[dict[str, str]]
    """Positions that belong into the file named by ``suite.shogi.benchmark.cases``."""


@dataclass(frozen=True)
class Wanted:
    """What Keisei's configuration doesn't know."""

    claim: str | None = None
    """The PersistentVolumeClaim that holds the checkpoints."""
    path: str | None = None
    """The checkpoint's path in it."""
    name: str | None = None
    """The run's name."""


def migrate(config: KeiseiConfig, wanted: Wanted) -> Migration:
    """Build the manifest.

    Raises:
        EvaluationError: a value can't be used, or is beyond what a run's spec allows; field, value and limit are named.

    """
    evaluation = config.evaluation
    claim = wanted.claim or DEFAULT_CLAIM
    opponents = Opponents(claim)
    games = arrange(evaluation, opponents)
    inputs = opponents.inputs
    if games.cases:
        inputs.append({"name": CASES_INPUT, "pvc": {"claimName": claim, "path": CASES_INPUT}})
        games.suite["benchmark"]["cases"] = f"{CASES_INPUT}/cases.jsonl"
    path = wanted.path or posixpath.join(config.model_dir, config.run_name or "RUN", "final_model.pth")
    spec: dict[str, Any] = {"checkpoint": _checkpoint(claim, path)}
    if inputs:
        spec["inputs"] = inputs
    spec["suite"] = {"shogi": games.suite}
    _common(evaluation, spec, games)
    name, renamed = _name(config, wanted)
    games.say(
        "agent_id",
        f"metadata.name: {name}"
        if evaluation.agent_id and not wanted.name
        else f"{_NONE}metadata.name is {name}; ratings know a checkpoint by its file's name",
    )
    if evaluation.wandb_log_eval:
        spec["wandb"] = {
            "project": config.wandb_project,
            **({"entity": config.wandb_entity} if config.wandb_entity else {}),
            **({"group": config.run_name} if config.run_name else {}),
            "secretName": WANDB_SECRET,
        }
    _check(spec)
    remarks = [renamed] if renamed else []
    remarks += _remarks(config, wanted, claim, path, games)
    manifest = {"apiVersion": API_VERSION, "kind": RUN_KIND, "metadata": {"name": name}, "spec": spec}
    return Migration(manifest, _accounts(evaluation, games), remarks, games.cases)


def _checkpoint(claim: str, path: str) -> dict[str, Any]:
    checkpoint: dict[str, Any] = {"pvc": {"claimName": claim, "path": inside_volume("--checkpoint-path", path)}}
    if step := re.search(r"_ts(\d+)\.pth$", path):
        checkpoint["trainingStep"] = int(step.group(1))
    return checkpoint


def _common(config: EvaluationConfig, spec: dict[str, Any], games: Arrangement) -> None:
    """What the strategies share."""
    suite = games.suite
    suite["maxMoves"] = config.max_moves_per_game
    games.here.setdefault("max_moves_per_game", f"suite.shogi.maxMoves: {config.max_moves_per_game}")
    if suite["strategy"] == "benchmark":
        games.say("randomize_positions", f"{_NONE}a benchmark's cases are its positions")
    elif config.randomize_positions:
        suite["openings"] = "shipped"
        games.say("randomize_positions", "suite.shogi.openings: shipped")
    else:
        suite |= {"openings": "random", "openingPlies": 0}
        games.say(
            "randomize_positions",
            "suite.shogi.openingPlies: 0 (two networks then play at most 2 distinct games; shipped openings are better)",
        )
    if config.random_seed is not None:
        spec["seed"] = config.random_seed
    games.say("random_seed", f"seed: {config.random_seed or 0}")
    gpus = 1 if config.temp_agent_device.startswith("cuda") else 0
    spec["resources"] = {"gpus": gpus}
    games.say("temp_agent_device", f"resources.gpus: {gpus}")
    sla = {
        "memory_limit_mb": ("memoryOverheadBytes", config.memory_limit_mb * 1_000_000),
        "gpu_limit_percent": ("gpuUtilizationPercent", config.gpu_limit_percent),
    }
    for name, (field, threshold) in sla.items():
        if name in config.model_fields_set:
            spec.setdefault("sla", {})[field] = threshold
            games.say(name, f"sla.{field}: {threshold} (breaches are counted; sla.enforce makes it binding)")
        else:
            games.say(name, f"{_NONE}not set, so sla.{field} keeps its default")
    _clocks(config, spec, games)
    _output(config, spec, games)


def _clocks(config: EvaluationConfig, spec: dict[str, Any], games: Arrangement) -> None:
    usual = Clocks()
    wanted_seconds = config.max_evaluation_time_minutes * 60
    if "max_evaluation_time_minutes" not in config.model_fields_set:
        games.say("max_evaluation_time_minutes", f"{_NONE}not set, so clocks.wallSeconds is {usual.wall_seconds}")
    elif wanted_seconds < usual.wall_seconds:
        spec["clocks"] = {
            "wallSeconds": wanted_seconds,
            "startSeconds": min(wanted_seconds, usual.start_seconds),
        }
        games.say("max_evaluation_time_minutes", f"clocks.wallSeconds: {wanted_seconds}")
    else:
        spec["clocks"] = {"wallSeconds": usual.wall_seconds}
        games.say(
            "max_evaluation_time_minutes",
            f"clocks.wallSeconds: {usual.wall_seconds}, the most that a default installation allows "
            f"(for {wanted_seconds} raise the chart's evaluations.maxWallSeconds too)",
        )


def _output(config: EvaluationConfig, spec: dict[str, Any], games: Arrangement) -> None:
    directory = inside_volume("save_path", config.save_path) if config.save_path else DEFAULT_OUTPUT
    spec["output"] = {"pvc": {"claimName": spec["checkpoint"]["pvc"]["claimName"], "path": directory}}
    games.say("save_path", f"output.pvc.path: {directory}")
    games.say("save_games", "output: every game is kept, as a line of samples.jsonl")
    if config.update_elo and config.elo_registry_path:
        registry = inside_volume("elo_registry_path", config.elo_registry_path)
        games.suite["eloRegistry"] = registry
        games.say("update_elo", "suite.shogi.eloRegistry: the run's games move the ratings")
        games.say("elo_registry_path", f"suite.shogi.eloRegistry: {registry}, in output's directory")
    else:
        games.say("update_elo", f"{_NONE}suite.shogi.eloRegistry is not set, and no ratings are kept")
        games.say("elo_registry_path", f"{_NONE}suite.shogi.eloRegistry is not set, and no ratings are kept")
    games.say("wandb_log_eval", "wandb" if config.wandb_log_eval else f"{_NONE}nothing is logged to W&B")


def _name(config: KeiseiConfig, wanted: Wanted) -> tuple[str, str]:
    asked = wanted.name or config.evaluation.agent_id or config.run_name or "keisei-evaluation"
    name = re.sub(r"[^a-z0-9.-]+", "-", asked.lower())
    name = ".".join(part.strip("-") for part in name.split(".") if part.strip("-"))[:63].rstrip(".-")
    name = name or "keisei-evaluation"
    return name, "" if name == asked else f"metadata.name: {asked!r} is no name of a run, so it is {name}."


def _remarks(config: KeiseiConfig, wanted: Wanted, claim: str, path: str, games: Arrangement) -> list[str]:
    remarks = []
    if wanted.claim is None:
        remarks.append(
            f"spec.checkpoint.pvc.claimName: {claim} is a guess, Keisei's configuration names none: --checkpoint-claim."
        )
    if wanted.path is None:
        remarks.append(
            f"spec.checkpoint.pvc.path: {path} is a guess, Keisei's configuration names none: --checkpoint-path."
        )
    if config.evaluation.wandb_log_eval:
        remarks.append(
            f"spec.wandb.secretName: create the Secret {WANDB_SECRET} with the key WANDB_API_KEY in the run's namespace."
        )
    if games.cases:
        remarks.append(
            f"suite.shogi.benchmark.cases: the positions belong into {CASES_INPUT}/cases.jsonl in {claim} (--cases FILE writes them)."
        )
    if config.unread_sections:
        remarks.append(f"Not read, because they are about training: {', '.join(config.unread_sections)}.")
    return remarks


def _accounts(config: EvaluationConfig, games: Arrangement) -> list[Account]:
    values = config.model_dump(mode="json")
    accounts = [
        Account(
            name,
            _shown(values[name]),
            name in config.model_fields_set,
            _here(name, config, games),
            games.there.get(name) or NO_EFFECT_IN_KEISEI.get(name, ""),
        )
        for name in EvaluationConfig.model_fields
    ]
    for name, value in config.strategy_params.items():
        field = f"{PARAMETERS}.{name}"
        here = games.here.get(field, f"{_NONE}strategy {config.strategy} has no such parameter")
        there = games.there.get(field, "" if field in games.here else f"strategy {config.strategy} doesn't read it")
        accounts.append(Account(field, _shown(value), given=True, here=here, there=there))
    accounts += [
        Account(
            name, _shown(value), given=True, here=f"{_NONE}no field that is known here", there="not known there either"
        )
        for name, value in (config.model_extra or {}).items()
    ]
    return accounts


def _here(name: str, config: EvaluationConfig, games: Arrangement) -> str:
    if name == PARAMETERS:
        return "see its parameters below" if config.strategy_params else f"{_NONE}there are no parameters"
    return games.here.get(name) or _NONE + NO_COUNTERPART[name]


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= SHOWN_LENGTH else f"{text[: SHOWN_LENGTH - 3]}..."


def _check(spec: dict[str, Any]) -> None:
    try:
        EvaluationRunSpec.model_validate(spec)
    except ValidationError as error:
        problems = "; ".join(
            f"spec.{'.'.join(map(str, each['loc']))} would be {each['input']!r}: {each['msg']}"
            for each in error.errors()
        )
        raise EvaluationError(
            Reason.INVALID_TASK, f"The configuration asks for what a run can't have: {problems}."
        ) from error
