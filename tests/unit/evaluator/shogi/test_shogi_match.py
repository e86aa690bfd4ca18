from collections.abc import Iterator
from contextlib import nullcontext
from operator import itemgetter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from typing_extensions import override

from hantei_api.reasons import Reason
from hantei_api.shogi import ActionPerspective
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.suites.shogi import forward, rules
from hantei_evaluator.suites.shogi.actions import usi
from hantei_evaluator.suites.shogi.match import FinishedGame, Game, Opening, Settings, play
from hantei_evaluator.suites.shogi.network import Architecture, ResTower, load_network
from hantei_evaluator.suites.shogi.players import HeuristicPlayer, NetworkPlayer, Player, RandomPlayer


def games(count: int, opening: Opening | None = None) -> Iterator[Game]:
    for number in range(count):
        black, white = ("other", "one") if number % 2 else ("one", "other")
        yield Game(f"game-{number}", f"pair-{number // 2}", black, white, opening or Opening())


def played(
    which: Iterator[Game],
    one: Player | None = None,
    other: Player | None = None,
    *,
    seed: int = 1,
    max_moves: int = 30,
    slots: int = 4,
    **changes: Any,
) -> dict[str, FinishedGame]:
    players = {"one": one or RandomPlayer(), "other": other or RandomPlayer()}
    arguments = {"keep_going": lambda: True, "pace": nullcontext(), "cpus": 1, **changes}
    found = play(which, players, Settings(seed, max_moves), slots=slots, **arguments)
    return {game.game.sample_id: game for game in found}


def network_player(
    keisei: Path, step: int = 20000, perspective: ActionPerspective = ActionPerspective.ABSOLUTE
) -> NetworkPlayer:
    return NetworkPlayer(load_network(keisei / f"checkpoint_ts{step}.pth", torch.device("cpu")), perspective)


@pytest.mark.parametrize("cpus", [1, 2])
def test_an_error_in_a_game_is_no_draw(cpus: int) -> None:
    broken = SimpleNamespace(choose=itemgetter("a move"))
    with pytest.raises(TypeError, match="list indices must be integers"):
        played(games(2), other=broken, cpus=cpus)


def test_slots_are_refilled_until_all_games_are_played() -> None:
    assert len(played(games(9))) == 9


def test_a_game_is_asked_for_only_when_there_is_room_for_it() -> None:
    finished: list[FinishedGame] = []
    asked_when_finished = []

    def endless() -> Iterator[Game]:
        for game in games(1_000_000):
            asked_when_finished.append(len(finished))
            yield game

    players = {"one": RandomPlayer(), "other": RandomPlayer()}
    going = play(endless(), players, Settings(1, 10), keep_going=lambda: True, slots=3, pace=nullcontext(), cpus=1)
    for game in going:
        finished.append(game)
        if len(finished) == 12:
            break
    assert len(asked_when_finished) <= 3 + len(finished)
    assert all(number < 3 + done for number, done in enumerate(asked_when_finished))


@pytest.mark.parametrize("cpus", [1, 2])
def test_a_game_that_is_over_before_it_begins_is_refused(cpus: int) -> None:
    mate = Opening(sfen="4k4/4G4/4P4/9/9/9/9/9/4K4 w - 1")
    with pytest.raises(EvaluationError, match=r"Game game-0 is over before it begins \(checkmate") as caught:
        played(games(1, mate), cpus=cpus)
    assert caught.value.reason is Reason.INVALID_TASK


def test_games_depend_on_seed_and_sample_id_alone_whatever_runs_beside_them() -> None:
    first = played(games(8), HeuristicPlayer(), max_moves=40)
    assert first == played(games(8), HeuristicPlayer(), max_moves=40, slots=1)
    backwards = iter(list(games(8))[::-1])
    assert first == played(backwards, HeuristicPlayer(), max_moves=40, slots=7)
    assert first == played(games(8), HeuristicPlayer(), max_moves=40, slots=256)
    assert {name: game for name, game in first.items() if name in ("game-0", "game-1")} == played(
        games(2), HeuristicPlayer(), max_moves=40
    )
    assert first != played(games(8), HeuristicPlayer(), max_moves=40, seed=2)


def test_processes_that_play_the_rules_play_the_same_games(keisei: Path) -> None:
    players = network_player(keisei), HeuristicPlayer()
    assert played(games(10), *players, cpus=2, slots=6) == played(games(10), *players, slots=6)


@pytest.mark.parametrize("slots", [1, 7, 256])
def test_a_networks_games_do_not_depend_on_the_number_of_slots(keisei: Path, slots: int) -> None:
    expected = played(games(8), network_player(keisei), slots=8, max_moves=16)
    assert played(games(8), network_player(keisei), slots=slots, max_moves=16) == expected


def test_batches_of_any_size_choose_the_same_moves(keisei: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = played(games(12), network_player(keisei), slots=12)
    monkeypatch.setattr(forward, "CPU_BATCH", 5)
    assert played(games(12), network_player(keisei), slots=12) == expected


def test_two_networks_play_each_other_and_one_forward_serves_players_that_share_a_network(keisei: Path) -> None:
    one, older = network_player(keisei), network_player(keisei, 10000, ActionPerspective.RELATIVE)
    both = played(games(6), one, older, slots=6, max_moves=20)
    assert len(both) == 6
    passes = 0

    class Pace:
        def __enter__(self) -> None:
            nonlocal passes
            passes += 1

        def __exit__(self, *_: object) -> None:
            pass

    turned = NetworkPlayer(one.network, ActionPerspective.RELATIVE)
    played(games(6), one, turned, max_moves=20, slots=6, pace=Pace())
    assert passes == 20


def test_the_recorded_moves_are_legal_and_lead_to_the_recorded_end(keisei: Path) -> None:
    for game in played(games(6), network_player(keisei), max_moves=60).values():
        state = rules.new_state()
        for move in game.moves:
            action = state.parse_move_to_action(move)
            assert action in state.legal_actions()
            state.apply_action(action)
        assert state.is_terminal() == (game.termination is not rules.Termination.MAX_MOVES)
        if state.is_terminal():
            assert game.black_score == (state.returns()[0] + 1) / 2
        else:
            assert (game.black_score, len(game.moves)) == (0.5, 60)


def test_a_game_from_a_position_counts_its_plies_from_the_move_number() -> None:
    late = Opening(
        sfen="4k4/9/9/9/9/9/9/4R4/4K4 w - 28",
        actions=(rules.new_state("4k4/9/9/9/9/9/9/4R4/4K4 w - 28").legal_actions()[0],),
    )
    (game, *_) = played(games(1, late), max_moves=30).values()
    assert game.opening == [usi(late.actions[0])]
    assert len(game.moves) == 3


def test_a_position_can_be_asked_for_one_move() -> None:
    mate_in_one = Opening(sfen="4k4/9/4P4/9/9/9/9/9/4K4 b G 1")
    (game,) = played(iter([Game("case", "case", "one", "other", mate_in_one, most_plies=1)])).values()
    assert len(game.moves) == 1


def test_a_stop_is_heeded_before_the_next_pass(keisei: Path) -> None:
    asked = 0

    def keep_going() -> bool:
        nonlocal asked
        asked += 1
        return asked < 4

    assert played(games(4), network_player(keisei), keep_going=keep_going) == {}
    assert asked == 4


class Poisoned(ResTower):
    """Logits that are not finite for some positions."""

    def __init__(self, poison: float) -> None:
        super().__init__(Architecture(1, 4, None))
        self.eval()
        self.poison = poison

    @override
    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        logits, values = super().forward(planes)
        logits[1] = self.poison
        return logits, values


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_logits_that_are_no_numbers_end_the_evaluation(poison: float) -> None:
    player = NetworkPlayer(Poisoned(poison), ActionPerspective.ABSOLUTE)
    with pytest.raises(EvaluationError, match="logits are NaN or infinite in 1 of 4 positions") as caught:
        played(games(4), player)
    assert caught.value.reason is Reason.EVALUATOR_ERROR


def test_what_a_network_says_of_padding_does_not_matter() -> None:
    player = NetworkPlayer(Poisoned(float("nan")), ActionPerspective.ABSOLUTE)
    assert len(played(games(1), player, max_moves=4, slots=1)) == 1
