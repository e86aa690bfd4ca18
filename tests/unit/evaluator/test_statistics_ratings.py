"""Fitted ratings: recovered, anchored, finite, with honest errors."""

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest

from hantei_evaluator.statistics.games import elo_difference, expected_score, paired_score
from hantei_evaluator.statistics.ratings import RatedGame, fit_ratings

ELO = 400 / math.log(10)

BASEBALL = {
    "Milwaukee": {"Detroit": "4-3", "Toronto": "4-2", "New York": "4-3", "Boston": "6-1", "Cleveland": "4-2", "Baltimore": "6-0"},
    "Detroit": {"Milwaukee": "3-3", "Toronto": "4-2", "New York": "4-3", "Boston": "6-0", "Cleveland": "6-1", "Baltimore": "4-3"},
    "Toronto": {"Milwaukee": "2-5", "Detroit": "4-3", "New York": "2-4", "Boston": "4-3", "Cleveland": "4-2", "Baltimore": "6-0"},
    "New York": {"Milwaukee": "3-3", "Detroit": "5-1", "Toronto": "2-5", "Boston": "4-3", "Cleveland": "4-2", "Baltimore": "6-1"},
    "Boston": {"Milwaukee": "5-1", "Detroit": "2-5", "Toronto": "3-3", "New York": "4-2", "Cleveland": "5-2", "Baltimore": "6-0"},
    "Cleveland": {"Milwaukee": "2-5", "Detroit": "3-3", "Toronto": "3-4", "New York": "4-3", "Boston": "4-2", "Baltimore": "2-4"},
    "Baltimore": {"Milwaukee": "2-5", "Detroit": "1-5", "Toronto": "1-6", "New York": "2-4", "Boston": "1-6", "Cleveland": "3-4"},
}  # fmt: skip
"""Home team, away team, games won by each in 1987: A. Agresti, "Categorical Data Analysis", 2nd ed. (2002), table 10.10."""


def baseball() -> Iterator[RatedGame]:
    for home, others in BASEBALL.items():
        for away, record in others.items():
            won, lost = map(int, record.split("-"))
            yield from [RatedGame(home, away, 1.0)] * won + [RatedGame(home, away, 0.0)] * lost


def played(rng: np.random.Generator, ratings: dict[str, float], games: int, draws: float = 0.0) -> list[RatedGame]:
    """``games`` between every two players, of which a share of ``draws`` is drawn where the two are equal, and fewer else."""
    found: list[RatedGame] = []
    for first, second in itertools.combinations(ratings, 2):
        expected = expected_score(ratings[first] - ratings[second])
        drawn = draws * 2 * min(expected, 1 - expected)
        won = expected - drawn / 2
        found += [
            RatedGame(first, second, 1.0 if chance < won else 0.5 if chance < won + drawn else 0.0)
            for chance in rng.random(games)
        ]
    return found


def test_ratings_are_the_published_ones() -> None:
    # Agresti's table 10.11, column 3, as hturner/BradleyTerry2 tests it (tests/testthat/test-baseball.R); errors "about 0.3".
    found = fit_ratings(baseball(), {"Baltimore": 0.0}, prior_deviation=1e6).players
    published = {
        "Milwaukee": 1.58,
        "Detroit": 1.44,
        "Toronto": 1.29,
        "New York": 1.25,
        "Boston": 1.11,
        "Cleveland": 0.68,
    }
    assert {name: found[name].rating / ELO for name in published} == pytest.approx(published, abs=5e-3)
    assert [found[name].stderr / ELO for name in published] == pytest.approx([0.33] * 6, abs=0.05)
    assert list(found) == [*published, "Baltimore"]


def test_a_match_of_two_is_rated_as_its_mean_score_says() -> None:
    scores = np.random.default_rng(0).choice([0.0, 0.5, 1.0], 400, p=[0.2, 0.2, 0.6])
    pairs = np.arange(400) // 2
    games = [RatedGame("a", "b", float(score), pair=int(pair)) for score, pair in zip(scores, pairs, strict=True)]
    found = fit_ratings(games, {"b": 100.0}, prior_deviation=1e6).players["a"]
    direct = elo_difference(*paired_score(scores, pairs))
    assert direct is not None
    assert (found.rating - 100, found.stderr) == pytest.approx(direct, rel=1e-3)
    assert (found.games, found.score) == (400, pytest.approx(scores.mean()))


def test_which_player_is_named_first_does_not_matter() -> None:
    games = played(np.random.default_rng(1), {"a": 0.0, "b": 100.0, "c": 50.0}, 30)
    turned = [RatedGame(game.opponent, game.player, 1 - game.score, game.pair) for game in games]
    assert fit_ratings(games).players["b"].rating == pytest.approx(fit_ratings(turned).players["b"].rating)


def test_fitted_ratings_recover_simulated_ones_within_their_errors() -> None:
    true = {"random": 0.0, "heuristic": 180.0, "old": 600.0, "agent": 750.0}
    found = fit_ratings(played(np.random.default_rng(2), true, 2000, draws=0.3), {"random": 0.0}).players
    for name in ("heuristic", "old", "agent"):
        assert found[name].stderr < 40
        assert abs(found[name].rating - true[name]) < 3 * found[name].stderr


@pytest.mark.parametrize("draws", [0.0, 0.5])
def test_errors_of_ratings_cover_what_they_say(draws: float) -> None:
    true = {"a": 0.0, "b": 120.0, "c": -200.0, "d": 330.0}
    rng = np.random.default_rng(3)
    mean = sum(true.values()) / len(true)
    covered = []
    for _ in range(300):
        players = fit_ratings(played(rng, true, 40, draws)).players
        for name, rating in true.items():
            low, high = players[name].interval(0.95)
            covered.append(low <= rating - mean <= high)
    assert 0.93 <= np.mean(covered) <= 0.97


def test_games_of_a_pair_that_depend_on_one_another_are_not_taken_for_two() -> None:
    scores = np.random.default_rng(4).integers(0, 2, 100)
    alone = [RatedGame("a", "b", float(score)) for score in np.repeat(scores, 2)]
    twice = [RatedGame("a", "b", float(score), pair=i // 2) for i, score in enumerate(np.repeat(scores, 2))]
    assert fit_ratings(twice).players["a"].stderr > 1.35 * fit_ratings(alone).players["a"].stderr


@pytest.mark.parametrize("games", [1, 20, 10_000])
def test_a_player_who_won_everything_stays_finite_and_says_how_unsure_that_is(games: int) -> None:
    found = fit_ratings([RatedGame("agent", "random", 1.0)] * games, {"random": 0.0}).players["agent"]
    assert 0 < found.rating < 4000
    assert 250 < found.stderr < 1000


def test_anchors_stay_where_they_are_and_carry_no_error() -> None:
    games = played(np.random.default_rng(5), {"a": 0.0, "b": 100.0, "c": 300.0}, 50)
    found = fit_ratings(games, {"a": 1500.0, "c": 1800.0}).players
    assert [(found[name].rating, found[name].stderr) for name in ("a", "c")] == [(1500.0, 0.0), (1800.0, 0.0)]
    assert 1500 < found["b"].rating < 1700


def test_without_anchors_the_mean_of_the_ratings_is_fixed() -> None:
    games = played(np.random.default_rng(6), {"a": 0.0, "b": 100.0, "c": 300.0}, 50)
    found = fit_ratings(games, mean=1500.0).players
    assert sum(player.rating for player in found.values()) / 3 == pytest.approx(1500.0)


def test_players_whom_no_game_connects_are_named_and_not_rated() -> None:
    games = [RatedGame("agent", "random", 1.0), RatedGame("far", "away", 0.5), RatedGame("far", "off", 1.0)]
    found = fit_ratings(games, {"random": 0.0, "idle": 900.0})
    assert set(found.players) == {"agent", "random", "idle"}
    assert found.unrated == ("away", "far", "off")
    assert (found.players["idle"].games, found.players["idle"].score) == (0, None)
    assert fit_ratings(games).unrated == ("agent", "random")


def test_no_games_are_no_ratings() -> None:
    assert fit_ratings([]).players == {}


@pytest.mark.parametrize(
    ("game", "message"),
    [(RatedGame("a", "b", 2.0), "scores 0 to 1, not 2"), (RatedGame("a", "a", 1.0), "played itself")],
)
def test_what_is_no_game_is_refused(game: RatedGame, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_ratings([game])
