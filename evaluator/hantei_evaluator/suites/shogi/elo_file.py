"""Keisei's ratings over many evaluations: read before a ladder, moved by the matches of a finished evaluation."""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from hantei_api.reasons import Reason
from hantei_api.shogi import AGENT_NAME, Ladder, ShogiSuite
from hantei_api.task import EvaluationTask
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.suites.shogi.arena import Played
from hantei_evaluator.suites.shogi.contestants import Contestant
from hantei_evaluator.suites.shogi.keisei.elo_registry import EloRegistry, read_registry, registry_at

logger = logging.getLogger(__name__)


def registry_path(task: EvaluationTask, spec: ShogiSuite) -> Path | None:
    """Where the ratings are kept; None without ``eloRegistry``. Raises InvalidTask when the run has no place for them."""
    if spec.elo_registry is None:
        return None
    if task.output_root is None:
        raise EvaluationError(
            Reason.INVALID_TASK,
            f"suite.shogi.eloRegistry ({spec.elo_registry}) is a file in output's directory, but the run has no output on a "
            "volume: name output.pvc, or drop eloRegistry.",
        )
    return Path(task.output_root) / spec.elo_registry


def known_ratings(path: Path | None, spec: ShogiSuite) -> EloRegistry:
    """The ratings so far; without a file an empty registry with the spec's settings."""
    ladder = spec.ladder or Ladder()
    if path is None:
        return EloRegistry(Path(), initial_rating=ladder.initial_rating, k_factor=ladder.k_factor)
    return read_registry(path, initial_rating=ladder.initial_rating, k_factor=ladder.k_factor)


def move_ratings(
    path: Path, spec: ShogiSuite, contestants: Sequence[Contestant], matches: Sequence[Sequence[Played]]
) -> None:
    """Move the file's ratings by the matches, one after the other. What goes wrong is logged: it costs no verdict."""
    ladder = spec.ladder or Ladder()
    by_name = {contestant.name: contestant for contestant in contestants}
    try:
        with registry_at(path, initial_rating=ladder.initial_rating, k_factor=ladder.k_factor) as registry:
            for name, rating in _given(spec).items():
                registry.ratings.setdefault(by_name[name].rated_as, rating)
            for match in matches:
                _record(registry, match, by_name)
    except EvaluationError as error:
        logger.warning("The Elo ratings in %s are as they were: %s", path, error)


def _given(spec: ShogiSuite) -> dict[str, float]:
    return {each.name: each.rating for each in spec.opponents or () if each.rating is not None}


def _record(registry: EloRegistry, match: Sequence[Played], by_name: Mapping[str, Contestant]) -> None:
    names = {match[0].black, match[0].white}
    one = AGENT_NAME if AGENT_NAME in names else min(names)
    (two,) = names - {one}
    player, opponent = by_name[one].rated_as, by_name[two].rated_as
    if player == opponent:
        logger.warning("%s and %s are both rated as %s, so their games move no Elo rating", one, two, player)
        return
    if not registry.count_once(_digest(match, by_name[one], by_name[two])):
        logger.info("The games of %s against %s moved the Elo ratings before", one, two)
        return
    score = sum(game.score_of(one) for game in match)
    rating, _ = registry.record_match(player, opponent, score=score, games=len(match))
    logger.info("Elo rating of %s: %.0f after %d games against %s", player, rating, len(match), opponent)


def _digest(match: Sequence[Played], one: Contestant, two: Contestant) -> str:
    """The same for the same games: a new attempt, or a run that takes all games over, plays none of its own."""
    games = sorted((game.sample_id, game.black_score, game.plies, game.first_move) for game in match)
    content = json.dumps([one.describe(), two.describe(), games], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]
