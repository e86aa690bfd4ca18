"""The games of Keisei's five strategies, as ``suite.shogi`` arranges them.

A parameter that had no effect in Keisei on which games are played has none here either; the report says where to set
what it meant.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.suites.shogi.keisei.config import SECTION, EvaluationConfig
from hantei_evaluator.suites.shogi.keisei.opponents import CHECKPOINT_TYPES, MOVE_RULES, Opponents, free_name

PARAMETERS: Final = "strategy_params"
NOT_READ: Final = "nothing reads it"
START_POSITION: Final = "lnsgkgsnl/1r5b1/ppppppppp/9/9/9/PPPPPPPPP/1B5R1/LNSGKGSNL b - 1"
CASES_INPUT: Final = "benchmark"
DEFAULT_POOL: Final = ({"name": "random", "type": "random"}, {"name": "heuristic", "type": "heuristic"})
LADDER_POOL: Final = (
    {"name": "random", "type": "random", "initial_rating": 1400},
    {"name": "heuristic", "type": "heuristic", "initial_rating": 1600},
)
"""Keisei's own, of an empty pool on the ladder."""


@dataclass
class Arrangement:
    """The part of the spec that says who plays whom, and how each field came into it."""

    suite: dict[str, Any]
    """``suite.shogi``, less what all strategies share."""
    here: dict[str, str] = field(default_factory=dict)
    """What a field became, by its name; a parameter's name is ``strategy_params.NAME``."""
    there: dict[str, str] = field(default_factory=dict)
    """Why a field had no effect in Keisei, where that depends on the strategy."""
    cases: list[dict[str, str]] = field(default_factory=list)
    """A benchmark's positions: the lines of ``suite.shogi.benchmark.cases``."""

    def say(self, name: str, here: str, there: str = "") -> None:
        """Note what became of a field, and why it had no effect in Keisei if it had none."""
        self.here[name] = here
        if there:
            self.there[name] = there

    def parameter(self, name: str, here: str, there: str = "") -> None:
        """Note what became of a strategy parameter."""
        self.say(f"{PARAMETERS}.{name}", here, there)

    def counts_its_own_games(self, parameter: str, became: str) -> None:
        """Note that ``num_games`` doesn't count this strategy's games, but a parameter does."""
        self.parameter(parameter, became)
        self.say("num_games", f"none: {parameter} counts the games", f"this strategy reads {parameter} instead")

    def names_its_opponents(self, parameter: str, became: str) -> None:
        """Note that ``opponent_type`` doesn't say who plays, but a parameter does."""
        self.parameter(parameter, became)
        self.say("opponent_type", f"none: {parameter} names the opponents", f"this strategy reads {parameter} instead")


def arrange(config: EvaluationConfig, opponents: Opponents) -> Arrangement:
    """Who plays whom.

    Raises:
        EvaluationError: a parameter can't be used; the message names field, value and limit.

    """
    build = {
        "single_opponent": _single_opponent,
        "tournament": _tournament,
        "ladder": _ladder,
        "benchmark": _benchmark,
        "custom": _custom,
    }[config.strategy]
    arrangement = build(config, config.strategy_params, opponents)
    arrangement.here.setdefault("strategy", f"suite.shogi.strategy: {arrangement.suite['strategy']}")
    return arrangement


def _single_opponent(config: EvaluationConfig, params: Mapping[str, Any], opponents: Opponents) -> Arrangement:
    name, path = params.get("opponent_name"), params.get("opponent_path")
    if path:
        kind, source = "ppo", "opponent_path"
    elif name in MOVE_RULES:
        kind, source = str(name), "opponent_name"
    elif config.opponent_type in CHECKPOINT_TYPES:
        # Keisei would have played random moves; without a path there is nothing else to play against.
        kind, source = "random", "no opponent_path"
    else:
        kind, source = config.opponent_type, "opponent_type"
    opponent = opponents.opponent(f"{SECTION}.opponent", kind, path)
    found = Arrangement({"strategy": "single_opponent", "opponent": opponent, "numGames": config.num_games})
    found.say("num_games", f"suite.shogi.numGames: {config.num_games}")
    became = f"suite.shogi.opponent.type: {opponent['type']}"
    by_name = "this strategy goes by strategy_params.opponent_name, and plays random moves for every other name"
    found.say("opponent_type", f"{became} (from {source})", by_name)
    found.parameter("opponent_name", became if source == "opponent_name" else f"none: {became} (from {source})")
    found.parameter(
        "opponent_path",
        f"suite.shogi.opponent.checkpoint: {opponent['checkpoint']}" if path else "none: not set",
        f"the checkpoint is not loaded: {by_name}" if path else "",
    )
    found.parameter("opponent_params", "none: an opponent has no parameters")
    both = _flag(params, "play_as_both_colors", default=True)
    found.parameter(
        "play_as_both_colors",
        "always so: both games of a pair start alike"
        if both
        else "none: games are always played in pairs, one with each colour",
    )
    found.parameter("color_balance_tolerance", "none: colours are balanced exactly", "it only warns")
    return found


def _tournament(config: EvaluationConfig, params: Mapping[str, Any], opponents: Opponents) -> Arrangement:
    players, became = _pool(params, "opponent_pool_config", opponents, "tournament_opponent", DEFAULT_POOL)
    per_opponent = _count(params, "num_games_per_opponent", None)
    games = per_opponent or math.ceil(config.num_games / len(players))
    found = Arrangement({"strategy": "tournament", "opponents": players, "numGames": games})
    found.say("strategy", "suite.shogi.strategy: tournament (a real round robin: opponents play each other too)")
    found.names_its_opponents("opponent_pool_config", became)
    if per_opponent:
        found.counts_its_own_games("num_games_per_opponent", f"suite.shogi.numGames: {games}, of each pairing")
    else:
        found.say(
            "num_games",
            f"suite.shogi.numGames: {games}, of each pairing ({config.num_games} over {len(players)} opponents)",
        )
        found.parameter("num_games_per_opponent", "none: not set")
    found.say(
        "max_moves_per_game",
        f"suite.shogi.maxMoves: {config.max_moves_per_game}",
        "a tournament's games end after 500 plies",
    )
    where = "set suite.shogi.numGames"
    for name, advice in (
        ("tournament_type", "a tournament is a round robin"),
        ("tournament_rounds", where),
        ("games_per_pairing", where),
        ("run_tournaments_in_background", "every run is computed beside the training"),
        ("background_tournament_interval", "a run is one evaluation; what starts runs is not in it"),
        ("best_opponent_selection", "all opponents play"),
    ):
        found.parameter(name, f"none: {advice}", NOT_READ)
    return found


def _ladder(_config: EvaluationConfig, params: Mapping[str, Any], opponents: Opponents) -> Arrangement:
    players, became = _pool(params, "opponent_pool_config", opponents, "ladder_opponent", LADDER_POOL)
    games = _count(params, "num_games_per_match", 2)
    most = _count(params, "num_opponents_to_select", 5)
    found = Arrangement(
        {"strategy": "ladder", "opponents": players, "numGames": games, "ladder": {"maxOpponents": most}}
    )
    found.names_its_opponents("opponent_pool_config", became)
    found.counts_its_own_games("num_games_per_match", f"suite.shogi.numGames: {games}, of each pairing")
    found.parameter("num_opponents_to_select", f"suite.shogi.ladder.maxOpponents: {most}")
    instead = "none: as in Keisei, so that the same opponents are played; set suite.shogi.ladder"
    found.parameter("num_opponents_per_evaluation", f"{instead}.maxOpponents", "num_opponents_to_select chooses")
    found.parameter("rating_match_range", f"{instead}.ratingRange", "opponents within 400 points are chosen")
    found.parameter("elo_config", f"{instead}.initialRating and .kFactor", "ratings start at 1500 with K 32")
    return found


def _benchmark(_config: EvaluationConfig, params: Mapping[str, Any], opponents: Opponents) -> Arrangement:
    entries = _list(params, "suite_config")
    games = _count(params, "num_games_per_benchmark_case", 1)
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise EvaluationError(
                Reason.INVALID_TASK,
                f"{PARAMETERS}.suite_config[{number}] is {entry!r}, which must be a mapping: correct it.",
            )
    positions = [entry for entry in entries if _position(entry)]
    if not entries:
        found = Arrangement({"strategy": "benchmark", "benchmark": {"gamesPerCase": games}})
        found.names_its_opponents(
            "suite_config",
            "none: not set; suite.shogi.benchmark takes the shipped positions instead of Keisei's stand-ins",
        )
    elif not positions:
        players = [
            opponents.named(f"{PARAMETERS}.suite_config[{number}]", entry, f"benchmark_case_{number}", "ppo")
            for number, entry in enumerate(entries)
        ]
        found = _in_sequence(players, [(player["name"], games) for player in players])
        found.say("strategy", "suite.shogi.strategy: custom (the cases are opponents, not positions)")
        found.names_its_opponents("suite_config", f"suite.shogi.opponents and sequence: {_names(players)}")
    else:
        taken: set[str] = set()
        cases = [
            {
                "name": free_name(str(entry.get("name") or f"benchmark_case_{number}"), taken),
                "sfen": _position(entry) or START_POSITION,
            }
            for number, entry in enumerate(entries)
        ]
        first = positions[0]
        opponent = opponents.opponent(
            f"{PARAMETERS}.suite_config", first.get("type", "ppo"), first.get("checkpoint_path")
        )
        if opponent["type"] == "checkpoint":
            # Two networks play the same game from a position, and the suite refuses to play it twice.
            games = 1
        found = Arrangement(
            {"strategy": "benchmark", "opponent": opponent, "benchmark": {"gamesPerCase": games}}, cases=cases
        )
        found.names_its_opponents(
            "suite_config",
            f"suite.shogi.benchmark.cases: {len(cases)} positions, all against the first case's opponent ({opponent['type']})",
        )
    where = "sequence" if found.suite["strategy"] == "custom" else "benchmark.gamesPerCase"
    found.counts_its_own_games("num_games_per_benchmark_case", f"suite.shogi.{where}: {games}")
    return found


def _custom(_config: EvaluationConfig, params: Mapping[str, Any], opponents: Opponents) -> Arrangement:
    size = _count(params, "opponent_pool_size", 0, least=0) or 0
    pool_type = params.get("opponent_pool_type", "random")
    entries, source = _list(params, "custom_opponents"), "custom_opponents"
    if not entries and size:
        entries, source = [{"name": f"pool_opponent_{n}", "type": pool_type} for n in range(size)], "opponent_pool_size"
    if not entries and params.get("single_opponent"):
        entries, source = [params["single_opponent"]], "single_opponent"
    if not entries:
        entries, source = [{"name": "random", "type": "random"}], "no opponents"
    players = [
        opponents.named(f"{PARAMETERS}.{source}[{number}]", entry, f"custom_opponent_{number}")
        for number, entry in enumerate(entries)
    ]
    each = _count(params, "games_per_opponent", 1)
    mode, steps = params.get("evaluation_mode", "round_robin"), _list(params, "custom_sequence")
    sequence = [(player["name"], 1 if mode == "single_elimination" else each) for player in players]
    if mode == "custom_sequence" and steps:
        sequence = [_step(number, step) for number, step in enumerate(steps)]
    found = _in_sequence(players, sequence)
    became = f"suite.shogi.opponents: {_names(players)}"
    for name in ("custom_opponents", "opponent_pool_size", "single_opponent"):
        found.parameter(name, became if name == source else f"none: {became} (from {source})")
    found.parameter("opponent_pool_type", became if source == "opponent_pool_size" else "none: there is no pool")
    found.say("opponent_type", f"none: {became} (from {source})", "this strategy reads its parameters instead")
    found.counts_its_own_games("games_per_opponent", f"suite.shogi.sequence: {_games(sequence)}")
    stops = "; all of it is played, a loss doesn't end it" if mode == "single_elimination" else ""
    found.parameter("evaluation_mode", f"suite.shogi.sequence: {mode}{stops}")
    found.parameter("custom_sequence", f"suite.shogi.sequence: {_games(sequence)}" if steps else "none: not set")
    return found


def _in_sequence(players: list[dict[str, Any]], sequence: list[tuple[str, Any]]) -> Arrangement:
    steps = [{"opponent": name, "numGames": games} for name, games in sequence]
    return Arrangement({"strategy": "custom", "opponents": players, "sequence": steps})


def _step(number: int, step: object) -> tuple[str, Any]:
    name = f"{PARAMETERS}.custom_sequence[{number}]"
    if not isinstance(step, dict) or not isinstance(step.get("opponent"), str):
        raise EvaluationError(
            Reason.INVALID_TASK, f"{name} is {step!r}, which must be a mapping that names an opponent."
        )
    return step["opponent"], step.get("games", 1)


def _pool(
    params: Mapping[str, Any],
    name: str,
    opponents: Opponents,
    default_name: str,
    if_empty: tuple[dict[str, Any], ...],
) -> tuple[list[dict[str, Any]], str]:
    entries = _list(params, name)
    players = [
        opponents.named(f"{PARAMETERS}.{name}[{number}]", entry, f"{default_name}_{number}")
        for number, entry in enumerate(entries or if_empty)
    ]
    note = "" if entries else " (instead of the empty pool)"
    return players, f"suite.shogi.opponents: {_names(players)}{note}"


def _list(params: Mapping[str, Any], name: str) -> list[Any]:
    value = params.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise EvaluationError(
            Reason.INVALID_TASK, f"{PARAMETERS}.{name} is {value!r}, which must be a list: correct it."
        )
    return value


def _count(params: Mapping[str, Any], name: str, default: int | None, *, least: int = 1) -> int | None:
    value = params.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise EvaluationError(
            Reason.INVALID_TASK,
            f"{PARAMETERS}.{name} is {value!r}, which must be a whole number of at least {least}: correct it.",
        )
    return value


def _flag(params: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = params.get(name, default)
    if not isinstance(value, bool):
        raise EvaluationError(
            Reason.INVALID_TASK, f"{PARAMETERS}.{name} is {value!r}, which must be true or false: correct it."
        )
    return value


def _position(entry: Mapping[str, Any]) -> str | None:
    metadata = entry.get("metadata")
    position = metadata.get("initial_fen") if isinstance(metadata, dict) else None
    return str(position) if position else None


def _names(players: list[dict[str, Any]]) -> str:
    return ", ".join(player["name"] for player in players)


def _games(sequence: list[tuple[str, Any]]) -> str:
    return ", ".join(f"{games} against {name}" for name, games in sequence)
