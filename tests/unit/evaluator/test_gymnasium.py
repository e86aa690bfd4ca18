"""The gymnasium suite, in this process."""

import math
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor, nn
from typing_extensions import override

from hantei_api.reasons import Reason
from hantei_api.task import EvaluationTask
from hantei_evaluator.run.entrypoint import digest_of, load_function
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.suites.gymnasium import GymnasiumSuite
from hantei_evaluator.suites.gymnasium.actions import checked, from_outputs
from hantei_evaluator.suites.protocol import Context, Outcome
from support.suites import Recorder, StopAfter


class Balance(nn.Module):
    """Pushes the cart to where the pole leans and falls: it balances for the whole 500 steps."""

    @override
    def forward(self, observations: Tensor) -> Tensor:
        lean = observations[:, 2] + 0.5 * observations[:, 3] + 0.05 * observations[:, 1] + 0.02 * observations[:, 0]
        return torch.stack([-lean, lean], dim=1)


class Left(nn.Module):
    """Always pushes to the left."""

    @override
    def forward(self, observations: Tensor) -> Tensor:
        return torch.zeros(observations.shape[0], dtype=torch.int64)


class Threes(nn.Module):
    """Logits for three actions."""

    @override
    def forward(self, observations: Tensor) -> Tensor:
        return torch.zeros(observations.shape[0], 3)


def export(module: nn.Module, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(module).save(path)
    return path


class Walk(gymnasium.Env[Any, Any]):
    """Ends after a number of steps that the seed draws; the reward is 1 for the action that the observation names."""

    def __init__(self, longest: int = 9, *, nested: bool = False) -> None:
        self._longest, self._nested, self._left = longest, nested, 0
        plain = spaces.Box(0, 1, (2,), np.float32)
        self.observation_space = spaces.Dict({"which": plain}) if nested else plain
        self.action_space = spaces.Discrete(2)

    @override
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._left = int(self.np_random.integers(1, self._longest + 1))
        return self._look(), {}

    @override
    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        reward = float(self._which == action)
        self._left -= 1
        return self._look(), reward, self._left == 0, False, {"is_success": reward == 1.0}

    def _look(self) -> Any:
        self._which = int(self.np_random.integers(2))
        plain = np.eye(2, dtype=np.float32)[self._which]
        return {"which": plain} if self._nested else plain


@pytest.fixture(autouse=True)
def walks() -> Iterator[None]:
    gymnasium.register("Walk-v0", Walk)
    yield
    del gymnasium.registry["Walk-v0"]


def run(
    checkpoint: Path,
    *,
    stop: StopAfter | None = None,
    done: Mapping[str, Mapping[str, Any]] | None = None,
    **suite: Any,
) -> tuple[Outcome, Recorder]:
    directory = checkpoint.parent
    inputs = directory / "inputs"
    inputs.mkdir(exist_ok=True)
    if not (inputs / "in").exists():
        (inputs / "in").symlink_to(directory)
    settings = {"environment": "CartPole-v1", "episodes": 5} | suite
    task = EvaluationTask.model_validate(
        {"checkpoint": {"path": str(checkpoint)}, "suite": {"gymnasium": settings}, "seed": 3}
    )
    recorder = Recorder()
    context = Context(
        task, checkpoint, inputs, directory, torch.device("cpu"), stop or StopAfter(), recorder, done=done or {}
    )
    loaded = GymnasiumSuite()
    loaded.load(context)
    assert loaded.identity(context)
    return loaded.evaluate(context), recorder


def test_a_policy_that_balances_returns_much_and_one_that_does_not_little(tmp_path: Path) -> None:
    good, recorder = run(export(Balance(), tmp_path / "good.pt"), max_episode_steps=200)
    bad, _ = run(export(Left(), tmp_path / "bad.pt"), max_episode_steps=200)

    assert (good.metrics[0].name, good.metrics[0].value, good.metrics[0].n) == ("mean_return", 200.0, 5)
    assert bad.metrics[0].value < 15
    assert good.complete
    assert recorder.last == (5, 5)
    assert recorder.recorded[0] == {
        "sampleId": "episode-00000",
        "return": 200.0,
        "length": 200,
        "terminated": False,
        "truncated": True,
        "values": {"mean_return": 200.0, "mean_length": 200.0},
    }


def test_episodes_do_not_depend_on_how_many_play_beside_them(tmp_path: Path) -> None:
    policy = export(Left(), tmp_path / "policy.pt")

    results = [run(policy, episodes=12, parallel_environments=width) for width in (1, 5, 12)]

    by_id = [sorted(recorder.recorded, key=lambda sample: str(sample["sampleId"])) for _, recorder in results]
    assert by_id[0] == by_id[1] == by_id[2]
    assert len({sample["length"] for sample in by_id[0]}) > 1
    assert results[0][0].metrics == results[2][0].metrics


def test_the_success_rate_is_what_the_environment_says(tmp_path: Path) -> None:
    outcome, recorder = run(export(Left(), tmp_path / "policy.pt"), environment="Walk-v0", episodes=40)

    values = {metric.name: metric for metric in outcome.metrics}
    successes = [sample["values"]["success_rate"] for sample in recorder.recorded]
    assert values["success_rate"].value == pytest.approx(sum(successes) / 40)
    assert 0 < values["success_rate"].value < 1
    assert values["mean_return"].value == pytest.approx(sum(sample["return"] for sample in recorder.recorded) / 40)


def test_the_mean_return_comes_with_its_t_interval(tmp_path: Path) -> None:
    outcome, recorder = run(export(Left(), tmp_path / "policy.pt"), environment="Walk-v0", episodes=11)

    values = {metric.name: metric.value for metric in outcome.metrics}
    returns = [sample["return"] for sample in recorder.recorded]
    # t with 10 degrees of freedom at 0.975, from the usual tables.
    half_width = 2.2281 * np.std(returns, ddof=1) / math.sqrt(11)
    assert values["mean_return/ci95_low"] == pytest.approx(np.mean(returns) - half_width, abs=1e-4)
    assert values["mean_return/ci95_high"] == pytest.approx(np.mean(returns) + half_width, abs=1e-4)


def test_what_is_done_is_not_played_again_and_counts(tmp_path: Path) -> None:
    policy = export(Left(), tmp_path / "policy.pt")
    whole, recorder = run(policy, environment="Walk-v0", episodes=20, parallel_environments=3)
    done = {str(sample["sampleId"]): sample for sample in recorder.recorded[::2]}

    rest, added = run(policy, environment="Walk-v0", episodes=20, parallel_environments=3, done=done)

    assert sorted(str(sample["sampleId"]) for sample in added.recorded) == sorted(
        str(sample["sampleId"]) for sample in recorder.recorded[1::2]
    )
    assert rest.complete
    assert [metric.value for metric in rest.metrics] == pytest.approx([metric.value for metric in whole.metrics])


def test_an_environment_out_of_the_users_file_is_the_same_wherever_the_inputs_lie(tmp_path: Path) -> None:
    digests = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "walk.py").write_text("class Walk:\n    pass\n")
        module = load_function("policy", "walk.py:Walk", tmp_path / name).__module__
        digests.add(digest_of(f"{module}:Walk", tmp_path / name))
    assert len(digests) == 1


def test_all_done_already_needs_no_step(tmp_path: Path) -> None:
    policy = export(Left(), tmp_path / "policy.pt")
    whole, recorder = run(policy, environment="Walk-v0")

    rest, added = run(
        policy, environment="Walk-v0", done={str(sample["sampleId"]): sample for sample in recorder.recorded}
    )

    assert not added.recorded
    assert rest.complete
    assert rest.metrics == whole.metrics


def test_the_deadline_keeps_the_episodes_that_ended(tmp_path: Path) -> None:
    policy = export(Left(), tmp_path / "policy.pt")

    outcome, recorder = run(policy, environment="Walk-v0", episodes=1000, stop=StopAfter(10))

    assert not outcome.complete
    assert 0 < outcome.metrics[0].n == len(recorder.recorded) < 1000


def test_a_function_of_the_users_takes_nested_observations(tmp_path: Path) -> None:
    (tmp_path / "policy.py").write_text(
        "def make(path, device):\n    return lambda seen: seen['which'].argmax(axis=1)\n"
    )
    (tmp_path / "weights").write_text("none")

    outcome, recorder = run(
        tmp_path / "weights", environment="Walk-v0", arguments={"nested": "true"}, policy="in/policy.py:make"
    )

    assert all(sample["return"] == sample["length"] for sample in recorder.recorded)
    assert outcome.metrics[1].value == 1.0


@pytest.mark.parametrize(
    ("module", "suite", "words"),
    [
        (Left(), {"environment": "CartPole-v9"}, "suite.gymnasium.environment: CartPole-v9 can't be made"),
        (Left(), {"environment": "no_such_module:Walk-v0"}, "No module named 'no_such_module'"),
        (Left(), {"environment": "Walk-v0", "arguments": {"wrong": "1"}}, "does not take {'wrong': '1'}"),
        (Left(), {"environment": "Walk-v0", "arguments": {"longest": "ten"}}, "arguments.longest: ten is no JSON"),
        (Left(), {"environment": "Walk-v0", "arguments": {"nested": "true"}}, "a TorchScript module takes one array"),
        (Threes(), {}, "logits [5, 2] or whole numbers [5]"),
        (nn.Linear(3, 2), {}, "can't take observations of shape (5, 4)"),
    ],
)
def test_what_does_not_fit_is_refused_before_an_episode(
    tmp_path: Path, module: nn.Module, suite: dict[str, Any], words: str
) -> None:
    with pytest.raises(EvaluationError) as raised:
        run(export(module, tmp_path / "policy.pt"), **suite)

    assert raised.value.reason is Reason.INVALID_TASK
    assert words in str(raised.value)


def test_a_state_dict_is_no_torchscript(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(1)}, tmp_path / "policy.pt")

    with pytest.raises(EvaluationError) as raised:
        run(tmp_path / "policy.pt")

    assert raised.value.reason is Reason.CHECKPOINT_INVALID
    assert "holds no TorchScript module" in str(raised.value)
    assert "suite.gymnasium.policy" in str(raised.value)


@pytest.mark.parametrize(
    ("space", "outputs", "actions"),
    [
        (spaces.Discrete(3, start=1), np.array([[0.0, 2.0, 1.0]]), [2]),
        (spaces.Discrete(3), np.array([[2]]), [2]),
        (spaces.MultiDiscrete([2, 3]), np.array([[0.0, 1.0, 5.0, 0.0, 0.0]]), [[1, 0]]),
        (spaces.MultiDiscrete([2, 3]), np.array([[1, 2]]), [[1, 2]]),
        (spaces.MultiBinary(2), np.array([[-1.0, 0.5]]), [[0, 1]]),
        (spaces.Box(-1, 1, (2,), np.float32), np.array([[-3.0, 0.5]]), [[-1.0, 0.5]]),
    ],
)
def test_outputs_become_actions_of_the_space(space: spaces.Space[Any], outputs: np.ndarray, actions: Any) -> None:
    found = from_outputs("checkpoint", space, outputs, 1)

    assert [np.asarray(action).tolist() for action in found] == actions
    assert all(space.contains(action) for action in found)


@pytest.mark.parametrize(
    ("space", "actions", "words"),
    [
        (spaces.Discrete(2), np.array([2]), "the action 2, which is none of them"),
        (spaces.Discrete(2), np.array([0.5]), "type float64"),
        (spaces.Box(-1, 1, (2,), np.float32), np.array([[1.0]]), "numbers [1, 2]"),
        (spaces.Box(-1, 1, (2,), np.float32), np.array([[1.0, np.nan]]), "NaN"),
        (spaces.Tuple([spaces.Discrete(2)]), "text", "a batch of 1 of them"),
    ],
)
def test_actions_that_are_none_are_refused(space: spaces.Space[Any], actions: Any, words: str) -> None:
    with pytest.raises(EvaluationError) as raised:
        checked("suite.gymnasium.policy", space, actions, 1)

    assert raised.value.reason is Reason.INVALID_TASK
    assert words in str(raised.value)
