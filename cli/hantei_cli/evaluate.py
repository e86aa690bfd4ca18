"""``hantei evaluate``: the task of a pod, or flags that make the same task on a laptop."""

import argparse
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

from pydantic import ValidationError

from hantei_api.base import Precision
from hantei_api.names import EVALUATOR_PORT
from hantei_api.suites import SUITES
from hantei_api.task import EvaluationTask
from hantei_cli import gate_flags, shogi_flags
from hantei_cli.evaluator import load

_MODULE = "hantei_evaluator.run.evaluate"
_RUNNER = "hantei_evaluator.run.watchdog"


def add_parser(verbs: "argparse._SubParsersAction[Any]") -> None:
    """Add ``evaluate`` and its flags."""
    parser = verbs.add_parser(
        "evaluate",
        help="evaluate one checkpoint",
        description="Evaluate one checkpoint: --task in a pod, or --checkpoint and --suite on a laptop (no cluster needed). "
        "Exit codes: 0 evaluated (1 with --exit-on-gate when the checkpoint regressed), 64 bad task or usage, 65 bad checkpoint, 66 input missing, 69 device unavailable, "
        "70 the evaluation failed, 75 stopped at its deadline or by a signal.",
        epilog="The command suite takes its program after --: hantei evaluate --checkpoint FILE --suite command -- python3 score.py",
    )
    parser.add_argument(
        "--task",
        type=Path,
        metavar="FILE",
        help="EvaluationTask as JSON; all other flags but --port and --exit-on-gate are in it",
    )
    parser.add_argument(
        "--port",
        type=int,
        help=f"serve /metrics, /status, /ready, /live (default {EVALUATOR_PORT} with --task, else none)",
    )
    parser.add_argument("--checkpoint", metavar="FILE", help="a checkpoint file, or a URI")
    parser.add_argument(
        "--suite",
        metavar="NAME",
        help="classification, command, gymnasium, shogi, or the name of a plug-in that is installed",
    )
    parser.add_argument(
        "--output-dir", metavar="DIR", help="takes result.json and samples.jsonl; without it neither is written"
    )
    parser.add_argument(
        "--input",
        action="append",
        metavar="NAME=PATH",
        help="a file or folder that the suite finds as NAME below its inputs",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of every random choice (default 0)")
    parser.add_argument("--training-step", type=int, metavar="N", help="the step that the checkpoint was saved at")
    parser.add_argument(
        "--run-seconds", type=float, metavar="SECONDS", help="stop and keep partial results after this long"
    )
    parser.add_argument(
        "--duty-cycle-percent",
        type=int,
        metavar="PERCENT",
        help="share of the time that forward passes may take, next to a training on the same device (default 100)",
    )
    parser.add_argument(
        "--enforce-sla", action="store_true", help="exit with 70 when a service level threshold is exceeded"
    )
    parser.add_argument("--wandb-project", metavar="NAME", help="log to this W&B project")
    parser.add_argument("--wandb-mode", choices=("online", "offline"), default="online")
    classification = parser.add_argument_group("classification")
    classification.add_argument(
        "--model", metavar="FILE.py:FUNCTION", help="returns the torch.nn.Module; or package.module:FUNCTION"
    )
    classification.add_argument(
        "--data", metavar="PATH", help=".npz with x and y, or a folder with a folder of images per class"
    )
    classification.add_argument(
        "--preprocess", metavar="FILE.py:FUNCTION", help="PIL image to tensor, for image folders"
    )
    classification.add_argument("--batch-size", type=int, metavar="N")
    classification.add_argument("--max-samples", type=int, metavar="N")
    classification.add_argument("--precision", choices=[each.value for each in Precision])
    gymnasium = parser.add_argument_group("gymnasium")
    gymnasium.add_argument("--environment", metavar="ID", help="CartPole-v1, or module:Name-v0")
    gymnasium.add_argument(
        "--argument", action="append", metavar="NAME=VALUE", help="of the environment; VALUE is JSON, or else text"
    )
    gymnasium.add_argument(
        "--policy",
        metavar="FILE.py:FUNCTION",
        help="makes a policy of the checkpoint, when that is no TorchScript module",
    )
    gymnasium.add_argument("--episodes", type=int, metavar="N")
    gymnasium.add_argument("--parallel-environments", type=int, metavar="N")
    gymnasium.add_argument("--max-episode-steps", type=int, metavar="STEPS")
    shogi_flags.add_flags(parser)
    gate_flags.add_flags(parser)
    plugin = parser.add_argument_group("a plug-in")
    plugin.add_argument("--setting", action="append", metavar="NAME=VALUE", help="VALUE is JSON, or else text")
    parser.set_defaults(run=_run, parser=parser)


def _run(options: argparse.Namespace, _parser: argparse.ArgumentParser) -> int:
    parser: argparse.ArgumentParser = options.parser
    if options.task is not None:
        if options.checkpoint or options.suite:
            parser.error("--task names the whole task: drop --checkpoint and --suite")
        port = EVALUATOR_PORT if options.port is None else options.port
        code: int = load(_MODULE).evaluate_task_file(options.task, port=port, exit_on_gate=options.exit_on_gate)
    else:
        if options.checkpoint is None or options.suite is None:
            parser.error("name --task FILE, or --checkpoint FILE and --suite NAME")
        try:
            _refuse_strangers(options)
            task = task_of(options)
        except ValidationError as error:
            parser.error("; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()))
        except ValueError as error:
            parser.error(str(error))
        code = load(_MODULE).evaluate(task, port=options.port, exit_on_gate=options.exit_on_gate)
    load(_RUNNER).exit_now(code)
    return code


def _refuse_strangers(options: argparse.Namespace) -> None:
    """Raises ValueError for flags that would have no effect, and an output that can't be written into."""
    if options.output_dir is not None and Path(options.output_dir).exists() and not Path(options.output_dir).is_dir():
        raise ValueError(f"--output-dir {options.output_dir}: is a file; name a directory")
    for group in options.parser._action_groups:  # noqa: SLF001  # argparse has no other way to ask which flags belong together
        if group.title in SUITES and group.title != options.suite:
            for action in group._group_actions:  # noqa: SLF001
                if getattr(options, action.dest) is not None:
                    raise ValueError(f"{action.option_strings[0]} is for --suite {group.title}, not {options.suite}")


class _Inputs:
    """The inputs that the flags make.

    A file named on the command line lies anywhere, while a suite names what it reads below its inputs: so the file's
    directory becomes an input.
    """

    def __init__(self, named: list[str] | None) -> None:
        self.paths = {name: str(Path(path).absolute()) for name, path in _pairs("--input", named)}

    def below(self, name: str, path: str) -> str:
        """Where the file or folder lies below the inputs."""
        resolved = Path(path).absolute()
        if resolved.is_dir():
            self.paths[name] = str(resolved)
            return name
        self.paths[name] = str(resolved.parent)
        return f"{name}/{resolved.name}"

    def entry_point(self, name: str, text: str) -> str:
        """The same for FILE.py:FUNCTION; a package's module is not an input."""
        place, _, function = text.rpartition(":")
        return f"{self.below(name, place)}:{function}" if place.endswith(".py") else text


def task_of(options: argparse.Namespace) -> EvaluationTask:
    """The task that the flags describe."""
    inputs = _Inputs(options.input)
    suite = _suite_of(options, inputs)
    if options.command and options.suite != "command":
        raise ValueError("only --suite command takes a program after --")
    is_uri = "://" in options.checkpoint
    return EvaluationTask.model_validate(
        {
            # A W&B run is named by the uid: two evaluations on a laptop are two runs.
            "run": {"uid": f"local-{uuid4().hex[:12]}"},
            "checkpoint": {"uri": options.checkpoint} if is_uri else {"path": str(Path(options.checkpoint).absolute())},
            "training_step": options.training_step,
            "inputs": [{"name": name, "path": path} for name, path in inputs.paths.items()],
            "suite": {options.suite if options.suite in SUITES else "plugin": _given(suite)},
            "seed": options.seed,
            # A laptop's GPU is used when there is one.
            "limits": _given({"run_seconds": options.run_seconds, "gpus": 1, "allow_cpu": True}),
            "politeness": _given({"duty_cycle_percent": options.duty_cycle_percent}),
            "sla": {"enforce": options.enforce_sla},
            "output_directory": str(Path(options.output_dir).absolute()) if options.output_dir else None,
            "output_root": str(Path(options.elo_registry).absolute().parent) if options.elo_registry else None,
            "wandb": {"project": options.wandb_project, "mode": options.wandb_mode} if options.wandb_project else None,
            **gate_flags.parts_of(options),
        }
    )


def _suite_of(options: argparse.Namespace, inputs: _Inputs) -> dict[str, Any]:
    match options.suite:
        case "command":
            return _command(options)
        case "classification":
            return _classification(options, inputs)
        case "gymnasium":
            return _gymnasium(options, inputs)
        case "shogi":
            return shogi_flags.suite_of(options, inputs)
        case name:
            return {"name": name, "settings": _settings("--setting", options.setting)}


def _command(options: argparse.Namespace) -> dict[str, Any]:
    if not options.command:
        raise ValueError(
            "--suite command needs a program after --: hantei evaluate ... --suite command -- python3 score.py"
        )
    return {"argv": options.command}


def _classification(options: argparse.Namespace, inputs: _Inputs) -> dict[str, Any]:
    if options.model is None or options.data is None:
        raise ValueError("--suite classification needs --model FILE.py:FUNCTION and --data PATH")
    return {
        "model": inputs.entry_point("model", options.model),
        "data": inputs.below("data", options.data),
        "preprocess": inputs.entry_point("preprocess", options.preprocess) if options.preprocess else None,
        "batch_size": options.batch_size,
        "max_samples": options.max_samples,
        "precision": options.precision,
    }


def _gymnasium(options: argparse.Namespace, inputs: _Inputs) -> dict[str, Any]:
    if options.environment is None:
        raise ValueError("--suite gymnasium needs --environment ID")
    return {
        "environment": options.environment,
        "arguments": _settings("--argument", options.argument),
        "policy": inputs.entry_point("policy", options.policy) if options.policy else None,
        "episodes": options.episodes,
        "parallel_environments": options.parallel_environments,
        "max_episode_steps": options.max_episode_steps,
    }


def _pairs(flag: str, texts: list[str] | None) -> list[tuple[str, str]]:
    pairs = []
    for text in texts or []:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise ValueError(f"{flag} {text}: write {flag} NAME=VALUE")
        pairs.append((name, value))
    return pairs


def _settings(flag: str, texts: list[str] | None) -> dict[str, str]:
    """JSON text by name, as a spec holds it: on a command line, text needs no quotes of JSON's own."""
    return {name: value if _is_json(value) else json.dumps(value) for name, value in _pairs(flag, texts)}


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _given(values: dict[str, Any]) -> dict[str, Any]:
    """What was named on the command line: everything else keeps the contract's default."""
    return {name: value for name, value in values.items() if value is not None}
