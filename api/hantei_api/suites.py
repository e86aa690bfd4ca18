"""What is evaluated: the suites of a run's spec, which the evaluator receives unchanged in its task."""

from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from hantei_api.base import NO_PARENT, Input, InputPath, Precision, cel, rules
from hantei_api.shogi import ShogiSuite

Argument = Annotated[str, StringConstraints(max_length=4096)]
EntryPoint = Annotated[
    str, StringConstraints(min_length=3, max_length=1024, pattern=r"^[^:\x00]+:[A-Za-z_][A-Za-z0-9_]*$")
]
"""``FILE.py:FUNCTION``, or ``package.module:FUNCTION`` from the image."""

ENTRY_POINT_RULE = "!self.startsWith('/') && !self.split('/').exists(part, part == '..')"
ENTRY_POINT_MESSAGE = "must be NAME/file.py:function below /inputs, or package.module:function, without '..'"
SUITES = ("classification", "shogi", "gymnasium", "command", "plugin")
JsonSettings = Annotated[
    dict[Annotated[str, StringConstraints(max_length=64)], Annotated[str, StringConstraints(max_length=1024)]],
    Field(max_length=16),
]
"""Values as JSON text, by name: a custom resource has no type for "any value"."""


class CommandSuite(Input):
    """A program of the user's that writes its result as JSON to the path in HANTEI_RESULT (docs/command.md).

    It is started without a shell. The environment also names HANTEI_SAMPLES, HANTEI_CHECKPOINT, HANTEI_INPUTS,
    HANTEI_OUTPUT, HANTEI_SCRATCH, HANTEI_SEED and HANTEI_DEADLINE_SECONDS (seconds that are left when it starts).
    """

    argv: list[Argument] = Field(
        min_length=1,
        max_length=64,
        description="Program and arguments, handed to exec as they are: never a shell. The program writes "
        '{"metrics": [{"name": "accuracy", "value": 0.91, "stderr": 0.01, "n": 1000}]} to the file named by HANTEI_RESULT.',
    )


class ClassificationSuite(Input):
    """Accuracy, per-class accuracy and calibration of a torch classifier."""

    model: EntryPoint = Field(
        description="Function that returns the torch.nn.Module which the checkpoint's state dict fits: "
        "NAME/model.py:build (a file below /inputs) or package.module:build (from the image).",
        json_schema_extra=rules(cel(ENTRY_POINT_RULE, ENTRY_POINT_MESSAGE)),
    )
    data: InputPath = Field(
        description="Data below /inputs: an .npz file with arrays x [n, ...] and y [n], or a folder with one folder of images for each class.",
        json_schema_extra=rules(cel(NO_PARENT, "must be NAME/path below /inputs, without '..'")),
    )
    preprocess: EntryPoint | None = Field(
        default=None,
        description="Function from a PIL image to a float tensor [channels, height, width], as FILE.py:FUNCTION. "
        "Default: pixel values divided by 255. For image folders.",
    )
    precision: Precision = Field(
        default=Precision.AUTO,
        description="Numbers of the forward pass. auto: bf16 on a GPU that has it and agrees with fp32, else fp32. Default auto.",
    )
    batch_size: int = Field(default=256, ge=1, le=65536, description="Samples in a forward pass. Default 256.")
    max_samples: int | None = Field(
        default=None, ge=1, le=1_000_000_000, description="Evaluate only the first samples. Default: all of them."
    )
    calibration_bins: int = Field(
        default=15, ge=2, le=100, description="Bins of the expected calibration error. Default 15."
    )


class GymnasiumSuite(Input):
    """Episodes of a policy in a Gymnasium environment."""

    environment: Annotated[str, StringConstraints(min_length=1, max_length=256)] = Field(
        description="The environment's id: CartPole-v1, or module:Name-v0 to import the module that registers it."
    )
    arguments: JsonSettings = Field(
        default_factory=dict,
        description="Arguments of the environment, each value as JSON text: {sutton_barto_reward: 'true'}.",
    )
    policy: EntryPoint | None = Field(
        default=None,
        description="Function that takes the checkpoint's path and a torch.device and returns a policy: observations [n, ...] to actions [n, ...]. "
        "Default: the checkpoint is a TorchScript module that gives logits or actions.",
        json_schema_extra=rules(cel(ENTRY_POINT_RULE, ENTRY_POINT_MESSAGE)),
    )
    episodes: int = Field(default=100, ge=1, le=1_000_000, description="Episodes, each from its own seed. Default 100.")
    parallel_environments: int = Field(
        default=16,
        ge=1,
        le=4096,
        description="Environments that advance together, one forward pass a step. Default 16.",
    )
    max_episode_steps: int | None = Field(
        default=None,
        ge=1,
        le=10_000_000,
        description="Steps after which an episode is truncated. Default: the environment's own limit.",
    )


class PluginSuite(Input):
    """A suite of the user's own, which a package in the image brings (docs/add-a-suite.md)."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=r"^[a-z]([a-z0-9_-]*[a-z0-9])?$")] = (
        Field(
            description="Name of its entry point in the group hantei.suites.",
            json_schema_extra=rules(
                cel(
                    f"!(self in [{', '.join(repr(name) for name in SUITES)}])",
                    "is a suite of Hantei's own: name it as spec.suite.NAME",
                )
            ),
        )
    )
    settings: JsonSettings = Field(
        default_factory=dict,
        description="What the suite reads, each value as JSON text: {threshold: '0.5', labels: '[1, 2]'}.",
    )


class Suite(Input):
    """What is evaluated: exactly one suite."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                " + ".join(f"(has(self.{name}) ? 1 : 0)" for name in SUITES) + " == 1",
                f"name exactly one of {', '.join(SUITES)}",
            )
        )
    )

    classification: ClassificationSuite | None = Field(
        default=None, description="Accuracy, per-class accuracy and calibration of a torch classifier."
    )
    shogi: ShogiSuite | None = Field(default=None, description="Games of Shogi by a Keisei policy network.")
    gymnasium: GymnasiumSuite | None = Field(
        default=None, description="Episodes of a policy in a Gymnasium environment."
    )
    command: CommandSuite | None = Field(
        default=None, description="A program that writes its metrics as JSON to the file named by HANTEI_RESULT."
    )

    plugin: PluginSuite | None = Field(default=None, description="A suite of your own, from a package in the image.")

    @model_validator(mode="after")
    def _exactly_one(self) -> "Suite":
        if sum(getattr(self, name) is not None for name in SUITES) != 1:
            raise ValueError(f"name exactly one of {', '.join(SUITES)}")
        return self

    @property
    def name(self) -> str:
        """The name of the one suite that is set; also its entry point in ``hantei.suites``."""
        if self.plugin is not None:
            return self.plugin.name
        return next(name for name in SUITES if getattr(self, name) is not None)
