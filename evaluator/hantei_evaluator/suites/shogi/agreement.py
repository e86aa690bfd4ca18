"""Whether a policy network chooses the same moves in fewer bits, on positions that games come to."""

import random

import torch
from torch import Tensor

from hantei_api.base import Precision
from hantei_api.shogi import ActionPerspective
from hantei_evaluator.run import precision
from hantei_evaluator.run.precision import CHECK_SAMPLES, Choice
from hantei_evaluator.suites.shogi import boards, rules
from hantei_evaluator.suites.shogi.actions import policy_table
from hantei_evaluator.suites.shogi.network import ResTower
from hantei_evaluator.suites.shogi.planes import core46, encode

_PLIES_BETWEEN = 5
_MAX_MOVES = 500


def choose_precision(network: ResTower, wanted: Precision, perspective: ActionPerspective) -> Choice:
    """What the network's forward passes compute in; see ``run.precision.choose``."""
    return precision.choose(wanted, network.stem.weight.device, lambda: _legal_logits(network, perspective))


def _legal_logits(network: ResTower, perspective: ActionPerspective) -> Tensor:
    """Logits [n, 13527] in positions of random games, -inf for illegal moves."""
    states = _states()
    parsed = boards.parse([str(state) for state, _ in states])
    encoded = encode(parsed, [plies for _, plies in states], _MAX_MOVES)
    device = network.stem.weight.device
    table = torch.from_numpy(policy_table(perspective))
    planes = core46(torch.from_numpy(encoded.pieces).to(device), torch.from_numpy(encoded.constants).to(device))
    logits: Tensor = network(planes)[0]
    allowed = torch.full(logits.shape, -torch.inf)
    for index, (state, _) in enumerate(states):
        allowed[index, table[int(parsed.white[index]), state.legal_actions()]] = 0.0
    return logits.float() + allowed.to(device)


def _states() -> list[tuple[rules.State, int]]:
    """Every fifth position of random games, always the same, and their plies."""
    rng = random.Random("precision")  # noqa: S311  # reproducible, no secret
    found: list[tuple[rules.State, int]] = []
    state, plies = rules.new_state(), 0
    while len(found) < CHECK_SAMPLES:
        if state.is_terminal() or plies == _MAX_MOVES:
            state, plies = rules.new_state(), 0
        state.apply_action(rng.choice(state.legal_actions()))
        plies += 1
        if plies % _PLIES_BETWEEN == 0 and not state.is_terminal():
            found.append((state.clone(), plies))
    return found
