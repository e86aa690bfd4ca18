"""Environments that advance together: one forward pass a step, and a finished one begins the next episode at once."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector.utils import concatenate, create_empty_array

from hantei_evaluator.suites.gymnasium.policies import Policy

Environment = gymnasium.Env[Any, Any]


@dataclass(frozen=True)
class Episode:
    """How one episode came out."""

    index: int
    total_reward: float
    length: int
    """Steps."""
    terminated: bool
    """It ended by the environment's rules."""
    truncated: bool
    """It was cut at the limit of steps."""
    success: bool | None
    """What the environment said as ``info["is_success"]`` at the last step."""


@dataclass
class _Slot:
    environment: Environment
    index: int
    observation: Any
    total_reward: float = 0.0
    length: int = 0


def episode_seed(seed: int, index: int) -> int:
    """The environment's seed for an episode, which depends on the evaluation's seed and the episode's number alone."""
    return int(np.random.SeedSequence([seed % 2**64, index]).generate_state(1)[0])


def play(
    environments: Sequence[Environment],
    policy: Policy,
    indices: Iterator[int],
    seed: int,
    pace: AbstractContextManager[object],
) -> Iterator[list[Episode]]:
    """Play the episodes of those numbers; after every step of all environments come the episodes that ended in it.

    An episode depends on the seed and its number, not on how many environments there are or on who plays beside it, as far
    as the policy gives an observation the same action in every batch.
    """
    slots = [_begin(environment, index, seed) for environment, index in zip(environments, indices, strict=False)]
    space = environments[0].observation_space
    while slots:
        empty: Any = create_empty_array(space, len(slots))
        batch = concatenate(space, [slot.observation for slot in slots], empty)
        with pace:
            actions = policy(batch, len(slots))
        finished: list[Episode] = []
        going: list[_Slot] = []
        for slot, action in zip(slots, actions, strict=True):
            if (episode := _step(slot, action)) is None:
                going.append(slot)
                continue
            finished.append(episode)
            if (index := next(indices, None)) is not None:
                going.append(_begin(slot.environment, index, seed))
        yield finished
        slots = going


def make_all(make: Callable[[], Environment], count: int) -> list[Environment]:
    """``count`` environments; those that were made are closed when one can't be."""
    made: list[Environment] = []
    try:
        while len(made) < count:
            made.append(make())
    except BaseException:
        for environment in made:
            environment.close()
        raise
    return made


def _begin(environment: Environment, index: int, seed: int) -> _Slot:
    observation, _ = environment.reset(seed=episode_seed(seed, index))
    return _Slot(environment, index, observation)


def _step(slot: _Slot, action: Any) -> Episode | None:
    slot.observation, reward, terminated, truncated, info = slot.environment.step(action)
    slot.total_reward += float(reward)
    slot.length += 1
    if not (terminated or truncated):
        return None
    success = info.get("is_success")
    return Episode(
        index=slot.index,
        total_reward=slot.total_reward,
        length=slot.length,
        terminated=bool(terminated),
        truncated=bool(truncated),
        success=None if success is None else bool(success),
    )
