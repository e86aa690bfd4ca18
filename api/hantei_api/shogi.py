"""The shogi suite of a run's spec: who plays whom, from which openings, and how many games."""

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from hantei_api.base import NO_PARENT, Input, InputPath, Precision, RelativePath, cel, rules

PlayerName = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
AGENT_NAME = "agent"
"""The evaluated checkpoint's name among the players."""


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
    TOURNAMENT = "tournament"
    LADDER = "ladder"
    BENCHMARK = "benchmark"
    CUSTOM = "custom"


STRATEGIES_WITH_OPPONENTS = frozenset({ShogiStrategy.TOURNAMENT, ShogiStrategy.LADDER, ShogiStrategy.CUSTOM})


class OpeningSource(StrEnum):
    """Where games start."""

    SHIPPED = "shipped"
    RANDOM = "random"


CHECKPOINT_GOES_WITH_TYPE = cel(
    "(has(self.type) && self.type == 'checkpoint') == has(self.checkpoint)",
    "checkpoint is given exactly when type is checkpoint: name a file below /inputs, or drop the field",
)


class Opponent(Input):
    """An opponent of the evaluated checkpoint."""

    model_config = ConfigDict(json_schema_extra=rules(CHECKPOINT_GOES_WITH_TYPE))

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


class NamedOpponent(Opponent):
    """One of several opponents."""

    model_config = ConfigDict(json_schema_extra=rules(CHECKPOINT_GOES_WITH_TYPE))

    name: PlayerName = Field(
        description=f"The opponent's name in results and ratings; not '{AGENT_NAME}', which is the evaluated checkpoint.",
        json_schema_extra=rules(
            cel(f"self != '{AGENT_NAME}'", f"'{AGENT_NAME}' is the evaluated checkpoint's own name: choose another")
        ),
    )
    rating: float | None = Field(
        default=None,
        ge=-10_000,
        le=10_000,
        description="Its Elo rating where that is known: an anchor of the fitted ratings, and its place on the ladder. Default: unknown.",
    )


class Ladder(Input):
    """How a ladder picks its opponents and moves ratings."""

    initial_rating: float = Field(
        default=1500.0,
        ge=-10_000,
        le=10_000,
        description="Elo rating of the checkpoint, and of opponents without a rating, at the start. Default 1500.",
    )
    rating_range: float = Field(
        default=400.0,
        ge=1,
        le=10_000,
        description="Opponents further away than this, in Elo points, are left out. Default 400.",
    )
    max_opponents: int = Field(
        default=5, ge=1, le=32, description="Opponents that are played, the weakest first. Default 5."
    )
    k_factor: float = Field(
        default=32.0, ge=0.1, le=1000, description="Elo points at stake in a game. Default 32, as Keisei has it."
    )


class Sprt(Input):
    """A sequential probability ratio test: games end early once one of two Elo differences is clear."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "(has(self.elo0) ? self.elo0 : 0.0) < (has(self.elo1) ? self.elo1 : 50.0)",
                "elo0 (default 0) must be less than elo1 (default 50): lower elo0 or raise elo1",
            )
        )
    )

    elo0: float = Field(
        default=0.0, ge=-1000, le=1000, description="Elo difference of the hypothesis 'no better'. Default 0."
    )
    elo1: float = Field(
        default=50.0, ge=-1000, le=1000, description="Elo difference of the hypothesis 'better'. Default 50."
    )
    alpha: float = Field(
        default=0.05, ge=0.001, le=0.5, description="Chance to take 'no better' for 'better'. Default 0.05."
    )
    beta: float = Field(
        default=0.05, ge=0.001, le=0.5, description="Chance to take 'better' for 'no better'. Default 0.05."
    )

    @model_validator(mode="after")
    def _ordered(self) -> "Sprt":
        if self.elo0 >= self.elo1:
            raise ValueError(f"sprt.elo0 ({self.elo0:g}) must be less than sprt.elo1 ({self.elo1:g})")
        return self


class Benchmark(Input):
    """Positions that the checkpoint is put before."""

    cases: InputPath | None = Field(
        default=None,
        description="JSON Lines below /inputs: name, sfen, and either moves (accepted USI moves) or nothing (the game is played to its end; "
        "a win passes). Default: the shipped mates in one.",
        json_schema_extra=rules(cel(NO_PARENT, "must be NAME/path below /inputs, without '..'")),
    )
    games_per_case: int = Field(
        default=1, ge=1, le=1000, description="Games from each position that is played out. Default 1."
    )


class SequenceStep(Input):
    """One part of a custom evaluation."""

    opponent: PlayerName = Field(description="Name of one of the opponents.")
    num_games: int = Field(ge=1, le=100_000, description="Games against it, half of them as Black.")


def _only_for(field: str, strategies: str) -> dict[str, str]:
    names = ", ".join(f"'{name}'" for name in strategies.split())
    return cel(
        f"!has(self.{field}) || (has(self.strategy) ? self.strategy : 'single_opponent') in [{names}]",
        f"{field} is for strategy {' or '.join(strategies.split())}: drop it, or choose that strategy",
    )


class ShogiSuite(Input):
    """Games of Shogi by a Keisei policy network (13,527 actions, core46 planes) on OpenSpiel's rules."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "((has(self.strategy) ? self.strategy : 'single_opponent') in ['tournament', 'ladder', 'custom']) == has(self.opponents)",
                "opponents is given exactly when strategy is tournament, ladder or custom",
            ),
            cel(
                "(has(self.strategy) && self.strategy == 'custom') == has(self.sequence)",
                "sequence is given exactly when strategy is custom",
            ),
            cel(
                "!has(self.sequence) || !has(self.opponents) || self.sequence.all(step, self.opponents.exists(o, o.name == step.opponent))",
                "sequence names an opponent that is not among opponents: add it there, or correct the name",
            ),
            cel(
                "!has(self.openingPlies) || !has(self.openings) || self.openings == 'random'",
                "openingPlies is for openings random: drop it, or set openings: random",
            ),
            _only_for("opponent", "single_opponent benchmark"),
            _only_for("numGames", "single_opponent tournament ladder"),
            _only_for("ladder", "ladder"),
            _only_for("benchmark", "benchmark"),
            _only_for("sprt", "single_opponent"),
        )
    )

    strategy: ShogiStrategy = Field(
        default=ShogiStrategy.SINGLE_OPPONENT,
        description="single_opponent: all games against one opponent. tournament: a round robin of the checkpoint and all opponents. "
        "ladder: opponents near the checkpoint's rating, the weakest first. benchmark: positions with known answers. "
        "custom: a sequence of opponents and games. Default single_opponent.",
    )
    opponent: Opponent | None = Field(
        default=None,
        description="Who plays against the checkpoint, for single_opponent and benchmark. Default: random moves.",
    )
    opponents: (
        Annotated[
            list[NamedOpponent],
            Field(
                min_length=1,
                max_length=32,
                json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
            ),
        ]
        | None
    ) = Field(default=None, description="The opponents, for tournament, ladder and custom.")
    sequence: Annotated[list[SequenceStep], Field(min_length=1, max_length=64)] | None = Field(
        default=None, description="What is played after what, for custom."
    )
    ladder: Ladder | None = Field(
        default=None, description="How a ladder picks opponents and moves ratings. For ladder."
    )
    benchmark: Benchmark | None = Field(default=None, description="The positions, for benchmark.")
    sprt: Sprt | None = Field(
        default=None,
        description="End before numGames once the strength is clear. For single_opponent. Default: play all games.",
    )
    num_games: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description="Games of each pairing, half of them with each colour; with sprt the most games. Default 20.",
    )
    max_moves: int = Field(
        default=500,
        ge=1,
        le=2000,
        description="Plies after which a game is a draw; also scales the move-count plane. Default 500.",
    )
    openings: OpeningSource | None = Field(
        default=None,
        description="shipped: the project's own balanced openings, each played with both colours. random: openingPlies random plies. "
        "Default shipped, or random where openingPlies is set.",
    )
    opening_plies: int | None = Field(
        default=None,
        ge=0,
        le=60,
        description="Random plies before each pair of games, so that deterministic players play distinct games. For openings random. Default 8.",
    )
    action_perspective: ActionPerspective = Field(
        default=ActionPerspective.ABSOLUTE,
        description="absolute: White's policy indices are of the board as it stands (Keisei up to February 2026). "
        "relative: of the board turned round (Keisei's rewrite). Default absolute.",
    )
    precision: Precision = Field(
        default=Precision.AUTO,
        description="Numbers of the forward pass. auto: bf16 on a GPU that has it and agrees with fp32, else fp32. Default auto.",
    )
    elo_registry: RelativePath | None = Field(
        default=None,
        description="File in output's directory that keeps Keisei's Elo ratings (elo_ratings.json) over many runs. Default: none.",
        json_schema_extra=rules(cel(NO_PARENT, "must be a path inside the volume, without '..'")),
    )

    @model_validator(mode="after")
    def _fields_fit_the_strategy(self) -> "ShogiSuite":
        strategy = self.strategy
        if (strategy in STRATEGIES_WITH_OPPONENTS) != (self.opponents is not None):
            raise ValueError("opponents is given exactly when strategy is tournament, ladder or custom")
        if (strategy is ShogiStrategy.CUSTOM) != (self.sequence is not None):
            raise ValueError("sequence is given exactly when strategy is custom")
        names = [each.name for each in self.opponents or ()]
        if len(set(names)) != len(names) or AGENT_NAME in names:
            raise ValueError(f"opponents need distinct names other than {AGENT_NAME!r}, got {names}")
        unknown = sorted({step.opponent for step in self.sequence or ()} - set(names))
        if unknown:
            raise ValueError(f"sequence names {', '.join(unknown)}, which is not among opponents ({', '.join(names)})")
        only = {
            "opponent": (self.opponent, {ShogiStrategy.SINGLE_OPPONENT, ShogiStrategy.BENCHMARK}),
            "numGames": (
                self.num_games,
                {ShogiStrategy.SINGLE_OPPONENT, ShogiStrategy.TOURNAMENT, ShogiStrategy.LADDER},
            ),
            "ladder": (self.ladder, {ShogiStrategy.LADDER}),
            "benchmark": (self.benchmark, {ShogiStrategy.BENCHMARK}),
            "sprt": (self.sprt, {ShogiStrategy.SINGLE_OPPONENT}),
        }
        for field, (value, strategies) in only.items():
            if value is not None and strategy not in strategies:
                raise ValueError(f"{field} is for strategy {' or '.join(sorted(strategies))}, not for {strategy}")
        if self.opening_plies is not None and self.openings is OpeningSource.SHIPPED:
            raise ValueError("openingPlies is for openings random")
        return self

    @property
    def opening_source(self) -> OpeningSource:
        """Where games start, with the default filled in: a spec of 0.1 that names openingPlies keeps its random plies."""
        if self.openings is not None:
            return self.openings
        return OpeningSource.SHIPPED if self.opening_plies is None else OpeningSource.RANDOM

    @property
    def plies_of_opening(self) -> int:
        """Random plies before each pair of games, for random openings."""
        return 8 if self.opening_plies is None else self.opening_plies

    @property
    def games_of_pairing(self) -> int:
        """Games of each pairing, with the default filled in."""
        return 20 if self.num_games is None else self.num_games
