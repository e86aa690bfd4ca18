import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from hantei_api.base import Precision
from hantei_api.shogi import ActionPerspective
from hantei_evaluator.suites.shogi import rules
from hantei_evaluator.suites.shogi.actions import policy_table, usi
from hantei_evaluator.suites.shogi.forward import CpuForward
from hantei_evaluator.suites.shogi.games import Game, Opening, Settings
from hantei_evaluator.suites.shogi.network import ResTower, load_network
from hantei_evaluator.suites.shogi.players import HeuristicPlayer, LocalPlayer, RandomPlayer
from hantei_evaluator.suites.shogi.positions import in_memory
from hantei_evaluator.suites.shogi.table import NetworkSeat, Step, Table


@dataclass
class Turn:
    sfen: str
    rng: random.Random = field(default_factory=lambda: random.Random(1))

    @property
    def legal(self) -> list[int]:
        return rules.legal_actions(self.sfen)


def chosen(player: LocalPlayer, sfen: str, times: int = 60) -> set[str]:
    turn = Turn(sfen)
    return {usi(action) for _ in range(times) for action in player.choose([turn])}


def test_random_plays_every_legal_move_sooner_or_later() -> None:
    turn = Turn("4k4/9/9/9/9/9/9/4p4/4K4 b - 1")
    assert chosen(RandomPlayer(), turn.sfen) == {usi(action) for action in turn.legal}


def test_heuristic_captures_when_it_can() -> None:
    assert chosen(HeuristicPlayer(), "4k4/9/9/4p4/4P4/9/9/4R4/4K4 b P 1") == {"5e5d"}
    assert chosen(HeuristicPlayer(), "4k4/4r4/9/4p4/4P4/9/9/9/4K4 w p 1") == {"5d5e"}


def test_heuristic_else_moves_a_pawn_without_promoting() -> None:
    # 1d1c may promote; drops are no pawn moves.
    assert chosen(HeuristicPlayer(), "3k5/9/9/8P/9/9/9/4R4/4K4 b P 1") == {"1d1c"}


def test_heuristic_else_moves_anything() -> None:
    assert len(chosen(HeuristicPlayer(), "3k5/9/9/9/9/9/9/4R4/4K4 b P 1")) > 10


def network_choices(network: ResTower, sfens: list[str], perspective: ActionPerspective) -> list[str]:
    positions = in_memory(len(sfens))
    table = Table(positions, {"network": NetworkSeat(0, perspective)}, Settings(seed=1, max_moves=500))
    started = [
        (row, Game(f"game-{row}", "", "network", "network", Opening(sfen=sfen))) for row, sfen in enumerate(sfens)
    ]
    rows = [row for row, _ in table.step(Step(started=started)).waiting]
    with CpuForward(network, Precision.FP32, cpus=1) as forward:
        batches = [rows[at : at + forward.capacity] for at in range(0, len(rows), forward.capacity)]
        places = [place for batch in batches for place in forward.launch(positions, batch).places()]
    return [usi(rules.legal_actions(sfens[row])[place]) for row, place in zip(rows, places, strict=True)]


def test_the_network_plays_keiseis_choice_for_positions_of_different_size_in_one_batch(
    keisei: Path, reference: list[dict[str, Any]]
) -> None:
    network = load_network(keisei / "checkpoint_ts20000.pth", torch.device("cpu"))
    sfens = [row["sfen"] for row in reference]
    chosen = network_choices(network, sfens, ActionPerspective.ABSOLUTE)
    assert chosen == [row["ts20000"]["argmax_usi"] for row in reference]


@pytest.mark.parametrize("perspective", list(ActionPerspective))
def test_the_network_reads_its_policy_in_the_perspective_it_was_trained_in(
    keisei: Path, reference: list[dict[str, Any]], perspective: ActionPerspective
) -> None:
    network = load_network(keisei / "checkpoint_ts20000.pth", torch.device("cpu"))
    table = policy_table(perspective)
    for row in [row for row in reference if " w " in row["sfen"]][:5]:
        fourth = rules.legal_actions(row["sfen"])[3]
        with torch.inference_mode():
            output = network.policy_head[4]
            assert isinstance(output, nn.Linear)
            output.weight.zero_()
            output.bias.zero_()
            output.bias[int(table[rules.WHITE, fourth])] = 1.0
        assert network_choices(network, [row["sfen"]], perspective) == [usi(fourth)]
