"""What is evaluated: the suites of a run's spec, which the evaluator receives unchanged in its task."""

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from hantei_api.base import Input, cel, rules

Argument = Annotated[str, StringConstraints(max_length=4096)]
InputPath = Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern=r"^[^/\x00][^\x00]*$")]
"""A path below the inputs directory: ``NAME/path/in/input``."""
EntryPoint = Annotated[
    str, StringConstraints(min_length=3, max_length=1024, pattern=r"^[^:\x00]+:[A-Za-z_][A-Za-z0-9_]*$")
]
"""``FILE.py:FUNCTION``, or ``package.module:FUNCTION`` from the image."""

NO_PARENT = "!self.split('/').exists(part, part == '..')"


class CommandSuite(Input):
    """A program of the user's that writes its result as JSON to the path in HANTEI_RESULT.

    It is started without a shell. The environment also names HANTEI_CHECKPOINT, HANTEI_INPUTS, HANTEI_OUTPUT,
    HANTEI_SCRATCH, HANTEI_SEED and HANTEI_DEADLINE_SECONDS (seconds that are left when it starts).
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
        json_schema_extra=rules(
            cel(
                "!self.startsWith('/') && !self.split('/').exists(part, part == '..')",
                "must be NAME/file.py:function below /inputs, or package.module:function, without '..'",
            )
        ),
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
    batch_size: int = Field(default=256, ge=1, le=65536, description="Samples in a forward pass. Default 256.")
    max_samples: int | None = Field(
        default=None, ge=1, le=1_000_000_000, description="Evaluate only the first samples. Default: all of them."
    )
    calibration_bins: int = Field(
        default=15, ge=2, le=100, description="Bins of the expected calibration error. Default 15."
    )


class OpponentType(StrEnum):
    """Who plays against the checkpoint."""

    RANDOM = "random"
    HEURISTIC = "heuristic"
    CHECKPOINT = "checkpoint"


class ActionPerspective(StrEnum):
    """Whether White's policy indices are those of the board as it stands, or of the board turned round."""

    ABSOLUTE = "absolute"
    RELATIVE = "relative"


class ShogiStrategy(StrEnum):
    """How games are arranged."""

    SINGLE_OPPONENT = "single_opponent"


class Opponent(Input):
    """The opponent of a single_opponent evaluation."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "(has(self.type) && self.type == 'checkpoint') == has(self.checkpoint)",
                "checkpoint is given exactly when type is checkpoint: name a file below /inputs, or drop the field",
            )
        )
    )

    type: OpponentType = Field(
        default=OpponentType.RANDOM,
        description="random: any legal move. heuristic: a capture, else a pawn move, else any. checkpoint: another network. Default random.",
    )
    checkpoint: InputPath | None = Field(
        default=None,
        description="The opponent's checkpoint below /inputs: NAME/path. For type checkpoint.",
        json_schema_extra=rules(cel(NO_PARENT, "must be NAME/path below /inputs, without '..'")),
    )
    action_perspective: ActionPerspective = Field(
        default=ActionPerspective.ABSOLUTE, description="The opponent network's action perspective. Default absolute."
    )

    @model_validator(mode="after")
    def _checkpoint_goes_with_type(self) -> "Opponent":
        if (self.type is OpponentType.CHECKPOINT) != (self.checkpoint is not None):
            raise ValueError("opponent.checkpoint is given exactly when opponent.type is checkpoint")
        return self


class ShogiSuite(Input):
    """Games of Shogi by a Keisei policy network (13,527 actions, core46 planes) on OpenSpiel's rules."""

    strategy: ShogiStrategy = Field(
        default=ShogiStrategy.SINGLE_OPPONENT, description="single_opponent: all games against one opponent."
    )
    opponent: Opponent = Field(
        default=Opponent(), description="Who plays against the checkpoint. Default: random moves."
    )
    num_games: int = Field(default=20, ge=1, le=100_000, description="Games, half of them as Black. Default 20.")
    max_moves: int = Field(
        default=500,
        ge=1,
        le=2000,
        description="Plies after which a game is a draw; also scales the move-count plane. Default 500.",
    )
    opening_plies: int = Field(
        default=8,
        ge=0,
        le=60,
        description="Random plies before each pair of games (each opening is played with both colours), so that "
        "deterministic players play distinct games. Default 8.",
    )
    action_perspective: ActionPerspective = Field(
        default=ActionPerspective.ABSOLUTE,
        description="absolute: White's policy indices are of the board as it stands (Keisei up to February 2026). "
        "relative: of the board turned round (Keisei's rewrite). Default absolute.",
    )


class Suite(Input):
    """What is evaluated: exactly one suite."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "(has(self.classification) ? 1 : 0) + (has(self.shogi) ? 1 : 0) + (has(self.command) ? 1 : 0) == 1",
                "name exactly one of classification, shogi, command",
            )
        )
    )

    classification: ClassificationSuite | None = Field(
        default=None, description="Accuracy, per-class accuracy and calibration of a torch classifier."
    )
    shogi: ShogiSuite | None = Field(default=None, description="Games of Shogi by a Keisei policy network.")
    command: CommandSuite | None = Field(
        default=None, description="A program that writes its metrics as JSON to the file named by HANTEI_RESULT."
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> "Suite":
        if len(self.model_fields_set & {"classification", "shogi", "command"}) != 1:
            raise ValueError("name exactly one of classification, shogi, command")
        return self

    @property
    def name(self) -> str:
        """The name of the one suite that is set; also its entry point in ``hantei.suites``."""
        return next(name for name in ("classification", "shogi", "command") if getattr(self, name) is not None)
