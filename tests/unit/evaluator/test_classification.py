"""The classification suite, in this process."""

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from typing_extensions import override

from hantei_api.reasons import Reason
from hantei_api.task import EvaluationTask
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.suites.classification import ClassificationSuite
from hantei_evaluator.suites.protocol import Context, Outcome
from support.suites import Recorder, StopAfter

MODEL = "import torch\ndef build():\n    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear({inputs}, 3))\n"


class CountingPace(AbstractContextManager[None]):
    """Counts how often it is entered."""

    def __init__(self) -> None:
        self.entered = 0

    @override
    def __enter__(self) -> None:
        self.entered += 1

    @override
    def __exit__(self, *_: object) -> None:
        pass


def prepare(
    directory: Path, *, inputs: int = 4, stop: StopAfter | None = None, **settings: Any
) -> tuple[ClassificationSuite, Context]:
    """A linear model that always says class 0, loaded."""
    (directory / "model.py").write_text(MODEL.format(inputs=inputs))
    layer = nn.Linear(inputs, 3)
    nn.init.zeros_(layer.weight)
    layer.bias.data = torch.tensor([1.0, 0.0, 0.0])
    checkpoint = directory / "checkpoint.pt"
    if not checkpoint.exists():
        torch.save({f"1.{name}": tensor for name, tensor in layer.state_dict().items()}, checkpoint)
    suite = {"model": "in/model.py:build", "data": "in/data.npz", "batch_size": 2} | settings
    task = EvaluationTask.model_validate({"checkpoint": {"path": str(checkpoint)}, "suite": {"classification": suite}})
    inputs_directory = directory / "inputs"
    inputs_directory.mkdir(exist_ok=True)
    if not (inputs_directory / "in").exists():
        (inputs_directory / "in").symlink_to(directory)
    context = Context(
        *(task, checkpoint, inputs_directory, directory, torch.device("cpu"), stop or StopAfter(), Recorder()),
        cpus=2,
        pace=CountingPace(),
    )
    loaded = ClassificationSuite()
    loaded.load(context)
    return loaded, context


def run(directory: Path, **settings: Any) -> tuple[Outcome, Recorder]:
    """Evaluate a linear model that always says class 0."""
    suite, context = prepare(directory, **settings)
    assert isinstance(context.recorder, Recorder)
    return suite.evaluate(context), context.recorder


def save(directory: Path, x: np.ndarray, y: np.ndarray, **more: Any) -> None:
    np.savez(directory / "data.npz", x=x, y=y, **more)


def test_metrics_and_samples_are_those_of_the_data(tmp_path: Path) -> None:
    save(tmp_path, np.zeros((5, 4), np.uint8), np.array([0, 0, 0, 1, 2]))

    outcome, recorder = run(tmp_path)

    values = {metric.name: (metric.value, metric.n) for metric in outcome.metrics}
    confidence = math.e / (math.e + 2)
    assert outcome.complete
    assert values["accuracy"] == (pytest.approx(0.6), 5)
    assert values["cross_entropy"][0] == pytest.approx(-math.log(confidence) * 0.6 - math.log(1 / (math.e + 2)) * 0.4)
    assert values["ece"][0] == pytest.approx(abs(0.6 - confidence), abs=1e-6)
    assert values["accuracy/class_0"] == (1.0, 3)
    assert values["accuracy/class_2"] == (0.0, 1)
    assert all(metric.stderr for metric in outcome.metrics if metric.name.startswith("accuracy"))
    assert recorder.last == (5, 5)
    assert recorder.recorded[3] == {
        "sampleId": "3",
        "label": 1,
        "predicted": 0,
        "correct": False,
        "confidence": pytest.approx(confidence, abs=1e-6),
        "values": {"accuracy": 0.0, "cross_entropy": pytest.approx(math.log(math.e + 2), abs=1e-6)},
    }


def test_an_image_folder_names_its_classes(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "images" / name).mkdir(parents=True)
        Image.new("RGB", (2, 2)).save(tmp_path / "images" / name / "1.png")

    outcome, recorder = run(tmp_path, inputs=12, data="in/images")

    assert [metric.name for metric in outcome.metrics[3:]] == ["accuracy/cat", "accuracy/dog"]
    assert [sample["sampleId"] for sample in recorder.recorded] == ["cat/1.png", "dog/1.png"]


def test_images_come_out_alike_however_many_threads_read_them(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(7):
            pixels = generator.integers(0, 256, (2, 2, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{number}.png")
    suite, context = prepare(tmp_path, inputs=12, data="in/images", batch_size=4)

    outcomes = [suite.evaluate(replace(context, cpus=cpus, recorder=Recorder())) for cpus in (1, 3)]

    assert outcomes[0].metrics == outcomes[1].metrics
    assert outcomes[0].metrics[0].n == 14
    assert isinstance(context.pace, CountingPace)
    assert context.pace.entered == 2 * 4


def test_images_of_several_shapes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "images" / "cat").mkdir(parents=True)
    for size in (2, 3):
        Image.new("RGB", (size, 2)).save(tmp_path / "images" / "cat" / f"{size}.png")

    with pytest.raises(EvaluationError, match="several shapes"):
        run(tmp_path, inputs=12, data="in/images")


def test_what_is_done_is_not_classified_again_and_counts(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    save(tmp_path, generator.normal(size=(20, 4)), generator.integers(0, 3, 20))
    torch.save({"1.weight": torch.randn(3, 4), "1.bias": torch.zeros(3)}, tmp_path / "checkpoint.pt")
    whole, recorder = run(tmp_path)
    suite, context = prepare(tmp_path)
    done = {str(sample["sampleId"]): sample for sample in recorder.recorded if int(sample["sampleId"]) % 3}
    added = Recorder()

    rest = suite.evaluate(replace(context, done=done, recorder=added))

    assert [sample["sampleId"] for sample in added.recorded] == ["0", "3", "6", "9", "12", "15", "18"]
    assert rest.complete
    assert rest.metrics == whole.metrics


def test_classes_keep_their_names_when_all_is_done_and_none_was_predicted_last(tmp_path: Path) -> None:
    save(tmp_path, np.zeros((3, 4)), np.array([0, 1, 2]), classes=["cat", "dog", "emu"])
    whole, recorder = run(tmp_path)
    suite, context = prepare(tmp_path)
    done = {str(sample["sampleId"]): sample for sample in recorder.recorded}

    again = suite.evaluate(replace(context, done=done, recorder=Recorder()))

    assert again.metrics == whole.metrics
    assert "accuracy/emu" in [metric.name for metric in again.metrics]


@pytest.mark.parametrize(("asked", "used"), [("auto", "fp32"), ("fp32", "fp32"), ("bf16", "bf16")])
def test_the_precision_is_told(tmp_path: Path, asked: str, used: str) -> None:
    save(tmp_path, np.zeros((5, 4)), np.zeros(5, int))
    suite, context = prepare(tmp_path, precision=asked)

    assert suite.evaluate(context).precision == suite.identity(context)["agent.precision"] == used


def test_the_deadline_keeps_what_was_classified(tmp_path: Path) -> None:
    save(tmp_path, np.zeros((20, 4)), np.zeros(20, int))

    outcome, recorder = run(tmp_path, stop=StopAfter(3))

    assert not outcome.complete
    assert outcome.metrics[0].n == len(recorder.recorded) == 6
    assert recorder.last == (6, 20)


def test_the_identity_is_the_datas_and_the_codes_and_not_the_batch_sizes(tmp_path: Path) -> None:
    def identity(**settings: Any) -> Mapping[str, str]:
        suite, context = prepare(tmp_path, **settings)
        return suite.identity(context)

    save(tmp_path, np.zeros((5, 4)), np.zeros(5, int))
    first = identity()
    assert identity(batch_size=4, max_samples=3) == first
    save(tmp_path, np.ones((5, 4)), np.zeros(5, int))
    assert {name for name, value in identity().items() if value != first[name]} == {"data"}
    (tmp_path / "helper.py").write_text("")
    assert {name for name, value in identity().items() if value != first[name]} == {"data", "agent.model"}


def test_an_image_folders_identity_covers_all_images(tmp_path: Path) -> None:
    (tmp_path / "images" / "cat").mkdir(parents=True)
    for number in range(3):
        Image.new("RGB", (2, 2)).save(tmp_path / "images" / "cat" / f"{number}.png")
    suite, context = prepare(tmp_path, inputs=12, data="in/images", max_samples=1)
    before = suite.identity(context)["data"]

    Image.new("RGB", (2, 2), (1, 2, 3)).save(tmp_path / "images" / "cat" / "2.png")

    assert suite.identity(context)["data"] != before


def test_only_the_first_samples_when_asked(tmp_path: Path) -> None:
    save(tmp_path, np.zeros((5, 4)), np.zeros(5, int))

    outcome, _ = run(tmp_path, max_samples=3, batch_size=256)

    assert outcome.metrics[0].n == 3


@pytest.mark.gpu
def test_a_gpu_answers_what_the_cpu_does(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    save(tmp_path, generator.normal(size=(2000, 4)), generator.integers(0, 3, 2000))
    torch.save({"1.weight": torch.randn(3, 4), "1.bias": torch.zeros(3)}, tmp_path / "checkpoint.pt")
    on_cpu, _ = run(tmp_path, batch_size=64)
    _, context = prepare(tmp_path, batch_size=64, precision="fp32")
    suite, context = ClassificationSuite(), replace(context, device=torch.device("cuda"))

    suite.load(context)

    on_gpu = suite.evaluate(context)
    assert [metric.value for metric in on_gpu.metrics] == pytest.approx(
        [metric.value for metric in on_cpu.metrics], abs=2e-3
    )


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (np.zeros((2, 4), np.float32), np.array([0, 3]), "label 3 lies outside the model's 3 outputs"),
        (np.zeros((2, 4), np.float32), np.array([0, -1]), "label -1 lies outside"),
        (np.zeros((2, 4), np.float32), np.array([0]), "x has shape (2, 4) and y (1,)"),
        (np.zeros((0, 4), np.float32), np.array([], int), "empty"),
        (np.zeros((2, 4), np.float32), np.array([0.0, 1.0]), "y has type float64"),
        (np.array(["a", "b"]), np.array([0, 1]), "x has type <U1"),
        (np.zeros((2, 5), np.float32), np.array([0, 1]), "batch of shape (2, 5)"),
    ],
)
def test_data_that_do_not_fit_say_so_with_numbers(tmp_path: Path, x: np.ndarray, y: np.ndarray, words: str) -> None:
    save(tmp_path, x, y)

    with pytest.raises(EvaluationError) as raised:
        run(tmp_path)

    assert raised.value.reason is Reason.INVALID_TASK
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"model": "in/model.py:nothing"}, "model.py has no function nothing; it has build"),
        ({"model": "in/none.py:build"}, "no file in/none.py below the inputs"),
        ({"model": "no.such.module:build"}, "the image has no module no.such.module"),
        ({"model": "os:getcwd"}, "returned a str"),
        ({"data": "in/none.npz"}, "there is no none.npz"),
        ({"data": "in/model.py"}, "model.py is no .npz file"),
    ],
)
def test_settings_that_name_nothing_say_so(tmp_path: Path, settings: dict[str, Any], words: str) -> None:
    save(tmp_path, np.zeros((1, 4)), np.zeros(1, int))

    with pytest.raises(EvaluationError) as raised:
        run(tmp_path, **settings)

    assert raised.value.reason is Reason.INVALID_TASK
    assert words in str(raised.value)


def test_a_checkpoint_of_another_model_is_refused_whole(tmp_path: Path) -> None:
    save(tmp_path, np.zeros((1, 4)), np.zeros(1, int))
    torch.save({"1.weight": torch.zeros(3, 5), "extra": torch.zeros(1)}, tmp_path / "checkpoint.pt")

    with pytest.raises(EvaluationError) as raised:
        run(tmp_path)

    assert raised.value.reason is Reason.CHECKPOINT_INVALID
    assert "1 missing (1.bias)" in str(raised.value)
    assert "1 not in the model (extra)" in str(raised.value)
    assert "1.weight (3, 5) instead of (3, 4)" in str(raised.value)


def test_outputs_that_are_not_finite_are_no_metrics(tmp_path: Path) -> None:
    save(tmp_path, np.full((1, 4), np.nan), np.zeros(1, int))

    with pytest.raises(EvaluationError) as raised:
        run(tmp_path)

    assert raised.value.reason is Reason.METRICS_UNAVAILABLE
