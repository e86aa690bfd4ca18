import pytest

from hantei_evaluator.suites.shogi.arena import Played
from hantei_evaluator.suites.shogi.scores import (
    agent_fields_by_opponent,
    agent_metrics,
    cross_metrics,
    cross_table,
    metric_name,
    opponent_metrics,
    rating_metrics,
    ratings_of,
)

WIN, DRAW, LOSS = 1.0, 0.5, 0.0
COLOURS = ("black", "white")


def game(pair: int, colour: str, result: float, plies: int = 10, players: tuple[str, str] = ("agent", "old")) -> Played:
    black, white = players if colour == "black" else players[::-1]
    name = f"{':'.join(players)}/pair-{pair:04d}"
    return Played(f"{name}-{colour}", name, black, white, result if colour == "black" else 1 - result, plies, "7g7f")


def test_metrics_name_the_score_first_with_its_paired_error() -> None:
    games = [game(0, "black", WIN), game(0, "white", WIN), game(1, "black", DRAW), game(1, "white", LOSS, plies=20)]
    found = {metric.name: metric for metric in agent_metrics(games, elo=True)}
    assert list(found) == [
        "score",
        "win_rate",
        "loss_rate",
        "draw_rate",
        "elo_difference",
        "likelihood_of_superiority",
        "average_plies",
        "score_as_black",
        "score_as_white",
    ]
    # Pair means 1 and 0.25: standard error of their mean.
    assert found["score"].value == 0.625
    assert found["score"].stderr == pytest.approx(0.375)
    assert (found["win_rate"].value, found["loss_rate"].value, found["draw_rate"].value) == (0.5, 0.25, 0.25)
    assert found["elo_difference"].value == pytest.approx(88.739, abs=1e-3)
    assert found["elo_difference"].stderr == pytest.approx(277.94, abs=0.01)
    assert found["average_plies"].value == 12.5
    assert (found["score_as_black"].value, found["score_as_white"].value) == (0.75, 0.5)
    # Pair scores 1 and 0.25 of 1: 0.125 above a half, with an error of 0.375 / sqrt(2).
    assert found["likelihood_of_superiority"].value == pytest.approx(0.6813, abs=1e-4)
    assert [metric.n for metric in found.values()] == [4, 4, 4, 4, 4, 2, 4, 2, 2]


def test_a_clean_sweep_has_no_finite_elo_and_no_error_of_zero() -> None:
    games = [game(pair, c, WIN) for pair in range(10) for c in COLOURS]
    found = {metric.name: metric for metric in agent_metrics(games, elo=True)}
    assert "elo_difference" not in found
    assert found["score"].value == 1
    assert found["score"].stderr is not None
    assert 0.02 < found["score"].stderr < 0.1


def test_a_single_pair_has_no_error_of_the_score() -> None:
    (score, *_) = agent_metrics([game(0, "black", WIN), game(0, "white", LOSS)])
    assert (score.value, score.stderr, score.n) == (0.5, None, 2)


def test_the_order_in_which_games_end_does_not_change_the_metrics() -> None:
    games = [
        game(pair, c, [WIN, DRAW, LOSS][(pair * 2 + len(c)) % 3], plies=pair + 3) for pair in range(7) for c in COLOURS
    ]
    assert agent_metrics(games) == agent_metrics(games[::-1])


def test_games_between_opponents_count_for_their_ratings_and_not_for_the_agent() -> None:
    between = [game(pair, c, WIN, players=("old", "weak")) for pair in range(4) for c in COLOURS]
    agents = [game(pair, c, DRAW, players=("agent", "old")) for pair in range(4) for c in COLOURS]
    assert agent_metrics(between) == []
    assert agent_fields_by_opponent(between[0]) == {"values": {}}
    assert agent_metrics(agents + between) == agent_metrics(agents)
    (cross,) = cross_metrics(agents + between)
    assert (cross.name, cross.value, cross.n) == ("score/old/weak", 1, 8)
    (against,) = opponent_metrics(agents + between)
    assert (against.name, against.value, against.n) == ("score/old", 0.5, 8)
    assert cross_table(agents + between).splitlines() == [
        "        agent     old    weak",
        "agent       -  4 of 8       -",
        "  old  4 of 8       -  8 of 8",
        " weak       -  0 of 8       -",
    ]


def test_ratings_stand_round_their_anchors_and_the_agents_comes_first() -> None:
    games = [game(pair, c, WIN if pair % 4 else LOSS, players=("old", "agent")) for pair in range(40) for c in COLOURS]
    found = rating_metrics(ratings_of(games, {"old": 1600.0}))
    assert [metric.name for metric in found] == ["rating/agent", "rating/old"]
    # Three quarters are 190.8 points.
    assert found[0].value == pytest.approx(1600 - 190.8, abs=5)
    assert found[0].stderr is not None
    assert 20 < found[0].stderr < 90
    assert (found[1].value, found[1].stderr) == (1600, 0)


def test_a_metric_of_a_player_with_a_long_name_stays_its_own() -> None:
    one, other = metric_name("rating", "a" * 63 + "1"), metric_name("rating", "a" * 63 + "2")
    assert len(one) == len(other) == 64
    assert one != other
    assert metric_name("rating", "champion") == "rating/champion"
