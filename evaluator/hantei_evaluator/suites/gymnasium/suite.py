"""The suite ``gymnasium``: plays episodes and says what they returned."""

import json
import random
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any, ClassVar

import gymnasium
import torch

from hantei_api.reasons import Reason
from hantei_api.suites import GymnasiumSuite as Settings
from hantei_evaluator.run.entrypoint import digest_of, load_function
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.suites.gymnasium.episodes import Environment, make_all, play
from hantei_evaluator.suites.gymnasium.policies import FIELD as POLICY_FIELD
from hantei_evaluator.suites.gymnasium.policies import Policy, torchscript_policy, user_policy
from hantei_evaluator.suites.gymnasium.scores import metrics_of, record_of, sample_id
from hantei_evaluator.suites.protocol import Context, Outcome
from hantei_evaluator.suites.settings import decode

FIELD = "suite.gymnasium.environment"


class GymnasiumSuite:
    """The suite ``gymnasium``."""

    reports_progress: ClassVar[bool] = True

    def __init__(self) -> None:
        self._environments: list[Environment] = []
        self._policy: Policy | None = None

    def load(self, context: Context) -> None:
        """Make the environments and the policy, and let it act once: what doesn't fit is refused before any episode."""
        settings = _settings(context)
        random.seed(context.task.seed)
        torch.manual_seed(context.task.seed)
        # Before the environments: the user's file may register one, and its directory comes onto sys.path.
        function = load_function(POLICY_FIELD, settings.policy, context.inputs) if settings.policy else None
        arguments = decode("suite.gymnasium.arguments", settings.arguments)
        count = min(settings.parallel_environments, settings.episodes)
        self._environments = make_all(lambda: _make(settings, arguments), count)
        observed, acted = self._environments[0].observation_space, self._environments[0].action_space
        if function is None:
            self._policy = torchscript_policy(context.checkpoint, context.device, observed, acted)
        else:
            self._policy = user_policy(function, context.checkpoint, context.device, acted)
        next(play(self._environments, self._policy, iter(range(count)), context.task.seed, nullcontext()))

    def identity(self, context: Context) -> Mapping[str, str]:
        """The environment with its code, arguments and limit of steps, the policy's code, the versions that step and compute."""
        settings = _settings(context)
        environment = self._environments[0]
        limit = environment.spec.max_episode_steps if environment.spec else None
        module = type(environment.unwrapped).__module__
        return {
            "environment": settings.environment,
            "environment_code": digest_of(f"{module}:{type(environment.unwrapped).__name__}", context.inputs),
            "arguments": json.dumps(dict(sorted(settings.arguments.items()))),
            "max_episode_steps": str(limit),
            "agent.policy": digest_of(settings.policy, context.inputs) if settings.policy else "torchscript",
            "gymnasium": gymnasium.__version__,
            "agent.torch": torch.__version__,
        }

    def evaluate(self, context: Context) -> Outcome:
        """Play all episodes, or those that end in time."""
        settings, policy = _settings(context), self._policy
        if policy is None:
            raise RuntimeError("load comes before evaluate")
        numbers = range(settings.episodes)
        records = [context.done[name] for name in map(sample_id, numbers) if name in context.done]
        missing = (number for number in numbers if sample_id(number) not in context.done)
        steps = play(self._environments, policy, missing, context.task.seed, context.pace)
        context.recorder.progress(len(records), settings.episodes)
        while len(records) < settings.episodes and not context.stop.requested():
            for episode in next(steps):
                records.append(record_of(episode))
                context.recorder.sample(records[-1])
            context.recorder.progress(len(records), settings.episodes)
        for environment in self._environments:
            environment.close()
        return Outcome(
            metrics=metrics_of(records),
            complete=len(records) == settings.episodes,
            versions={"gymnasium": gymnasium.__version__, "torch": torch.__version__},
        )


def _settings(context: Context) -> Settings:
    settings = context.task.suite.gymnasium
    if settings is None:
        raise EvaluationError(Reason.INVALID_TASK, "suite.gymnasium is not set.")
    return settings


def _make(settings: Settings, arguments: Mapping[str, Any]) -> Environment:
    try:
        return gymnasium.make(
            settings.environment,
            max_episode_steps=settings.max_episode_steps,
            # The checker looks at every step, for authors of environments.
            disable_env_checker=True,
            **arguments,
        )
    except (ImportError, gymnasium.error.Error) as error:
        raise EvaluationError(
            Reason.INVALID_TASK,
            f"{FIELD}: {settings.environment} can't be made: {_words(error)}. The image needs the package that brings it: "
            "name an id that gymnasium knows, or module:Name-v0 where importing the module registers it.",
        ) from error
    except Exception as error:
        raise EvaluationError(
            Reason.INVALID_TASK,
            f"suite.gymnasium.arguments: {settings.environment} does not take {dict(settings.arguments)}: {_words(error)}.",
        ) from error


def _words(error: Exception) -> str:
    return (" ".join(str(error).split()) or type(error).__name__).rstrip(".")[:400]
