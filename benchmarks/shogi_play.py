"""How fast games of Shogi are played, beside what the bare forward pass allows, in one run.

Needs no cluster. Other programs on the machine change seconds more than CPU seconds, so both are kept: ``cores_received``
says how much of the machine the measured part got.

    python benchmarks/shogi_play.py [--only rules|small|large|start|memory|gpu ...] [--cpus 2]
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import psutil
import torch

from hantei_api.base import Precision
from hantei_api.shogi import ActionPerspective
from hantei_evaluator.suites.shogi.forward import Forward, forward_of
from hantei_evaluator.suites.shogi.match import Game, Opening, Settings, play
from hantei_evaluator.suites.shogi.network import Architecture, ResTower, load_network
from hantei_evaluator.suites.shogi.planes import core46
from hantei_evaluator.suites.shogi.players import NetworkPlayer, Player, RandomPlayer
from hantei_evaluator.suites.shogi.positions import Positions, in_memory
from hantei_evaluator.suites.shogi.table import NetworkSeat, Step, Table

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "shogi_play.json"
CHECKPOINT = HERE.parent / "tests" / "fixtures" / "keisei" / "checkpoint_ts20000.pth"
GAMES = 256
MAX_MOVES = 500
ABSOLUTE = ActionPerspective.ABSOLUTE
LARGE = Architecture(depth=9, width=256, squeezed=64)


def main() -> None:
    """Run, print and keep the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--no-keep", action="store_true", help="print the numbers and leave the file as it is")
    arguments = parser.parse_args()
    found = {name: PARTS[name](arguments.cpus) for name in arguments.only}
    print(json.dumps(found, indent=2))
    if not arguments.no_keep:
        kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        RESULTS.write_text(json.dumps(kept | found, indent=2) + "\n")


@dataclass
class Spent:
    """Work, and what it took of this process and its ended children."""

    work: int
    seconds: float
    cpu_seconds: float

    def rates(self, unit: str) -> dict[str, float]:
        """Numbers for the report."""
        return {
            f"{unit}_per_second": round(self.work / self.seconds, 1),
            f"{unit}_per_cpu_second": round(self.work / self.cpu_seconds, 1),
            "cores_received": round(self.cpu_seconds / self.seconds, 2),
        }


def spent(work: Callable[[], int]) -> Spent:
    """Do the work, which returns how much it was."""
    began, before = time.perf_counter(), sum(os.times()[:4])
    done = work()
    return Spent(done, time.perf_counter() - began, sum(os.times()[:4]) - before)


def in_turn(parts: dict[str, Callable[[], int]], rounds: int) -> dict[str, Spent]:
    """Each part once a round, so that all get the same share of what else the machine does."""
    taken: dict[str, list[Spent]] = {name: [] for name in parts}
    for _ in range(rounds):
        for name, part in parts.items():
            taken[name].append(spent(part))
    return {
        name: Spent(sum(s.work for s in each), sum(s.seconds for s in each), sum(s.cpu_seconds for s in each))
        for name, each in taken.items()
    }


def games(total: int | None = None) -> Iterator[Game]:
    """The agent against random moves, as Black and White in turn."""
    for number in count() if total is None else range(total):
        black, white = ("random", "agent") if number % 2 else ("agent", "random")
        yield Game(f"game-{number}", f"pair-{number // 2}", black, white, Opening())


def played(network: ResTower, cpus: int, *, total: int, max_moves: int, precision: Precision = Precision.FP32) -> int:
    """Plies of all games, from the first start to the last end."""
    players: dict[str, Player] = {"agent": NetworkPlayer(network, ABSOLUTE, precision), "random": RandomPlayer()}
    settings = Settings(seed=1, max_moves=max_moves)
    ended = play(games(total), players, settings, keep_going=lambda: True, slots=GAMES, pace=nullcontext(), cpus=cpus)
    return sum(len(game.moves) for game in ended)


def positions_of_games() -> Positions:
    """256 positions some plies into random games."""
    positions = in_memory(GAMES)
    table = Table(positions, {"agent": NetworkSeat(0, ABSOLUTE), "random": RandomPlayer()}, Settings(1, MAX_MOVES))
    rng = random.Random(1)
    step = Step(started=list(zip(range(GAMES), games(GAMES), strict=True)))
    for _ in range(15):
        waiting = [row for row, _ in table.step(step).waiting]
        step = Step(chosen=[(row, rng.randrange(positions.count[row])) for row in waiting])
    return positions


def rules(_cpus: int) -> dict[str, Any]:
    """Every ply is encoded to its planes; moves are random instead of a network's."""
    seats = {"agent": NetworkSeat(0, ABSOLUTE), "random": NetworkSeat(0, ABSOLUTE)}
    torch.set_num_threads(1)

    def work() -> int:
        positions, plies, ended = in_memory(GAMES), 0, 0
        table, rng, new = Table(positions, seats, Settings(1, MAX_MOVES)), random.Random(1), games()
        step = Step(started=[(row, next(new)) for row in range(GAMES)])
        for _ in range(400):
            stepped = table.step(step)
            core46(torch.from_numpy(positions.pieces), torch.from_numpy(positions.constants))
            plies += len(step.chosen)
            ended += len(stepped.finished)
            chosen = [(row, int(rng.random() * positions.count[row])) for row, _ in stepped.waiting]
            step = Step([(row, next(new)) for row, _ in stepped.finished], chosen)
        return plies

    return {"promise": "plies_per_cpu_second >= 20000"} | spent(work).rates("plies")


def bare(forward: Forward, positions: Positions, passes: int) -> Callable[[], int]:
    """Full passes and nothing else."""
    rows = list(range(forward.capacity))

    def work() -> int:
        for _ in range(passes):
            forward.launch(positions, rows).places()
        return passes * forward.capacity

    return work


def one_call(network: ResTower, positions: Positions, threads: int, calls: int) -> Callable[[], int]:
    """All 256 positions in one call, by torch's own threads."""
    planes = core46(torch.from_numpy(positions.pieces), torch.from_numpy(positions.constants))

    def work() -> int:
        torch.set_num_threads(threads)
        with torch.inference_mode():
            for _ in range(calls):
                network(planes)
        torch.set_num_threads(1)
        return calls * GAMES

    return work


def small(cpus: int) -> dict[str, Any]:
    """Keisei's depth 2, width 32 against random moves; the agent moves in half of the plies."""
    network, positions = load_network(CHECKPOINT, torch.device("cpu")), positions_of_games()
    with forward_of(network, Precision.FP32, cpus) as forward:
        found = in_turn(
            {
                "whole_loop": lambda: played(network, cpus, total=GAMES, max_moves=200),
                "whole_loop_on_one_core": lambda: played(network, 1, total=GAMES, max_moves=200),
                "bare_forward": bare(forward, positions, 200),
            },
            rounds=1,
        )
    return {
        "promise": "whole_loop plies_per_second >= 5500 on 2 cores",
        "whole_loop": found["whole_loop"].rates("plies"),
        "whole_loop_on_one_core": found["whole_loop_on_one_core"].rates("plies"),
        "bare_forward": found["bare_forward"].rates("positions"),
    }


def large(cpus: int) -> dict[str, Any]:
    """Depth 9, width 256: positions computed in play beside the bare forward's."""
    network, positions = large_network(torch.device("cpu")), positions_of_games()

    def loop() -> int:
        # Every game ends after twenty plies, ten of them the network's: no game outlives the others.
        return played(network, cpus, total=GAMES, max_moves=20) // 2

    with forward_of(network, Precision.FP32, cpus) as forward:
        found = in_turn(
            {
                "whole_loop": loop,
                "bare_forward": bare(forward, positions, 4 * GAMES // forward.capacity),
                "bare_forward_in_one_call": one_call(network, positions, cpus, 3),
            },
            rounds=1,
        )
    rates = {name: each.rates("positions") for name, each in found.items()}
    loop_rate = rates["whole_loop"]
    return {
        "promise": "ratio >= 0.9",
        "ratio_of_seconds": round(loop_rate["positions_per_second"] / rates["bare_forward"]["positions_per_second"], 3),
        "ratio_of_cpu_seconds": round(
            loop_rate["positions_per_cpu_second"] / rates["bare_forward"]["positions_per_cpu_second"], 3
        ),
        "ratio_of_seconds_to_one_call_of_256": round(
            loop_rate["positions_per_second"] / rates["bare_forward_in_one_call"]["positions_per_second"], 3
        ),
        **rates,
    }


def large_network(device: torch.device) -> ResTower:
    """Random weights, by way of a checkpoint in Keisei's format."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "checkpoint_ts0.pth"
        torch.manual_seed(1)
        torch.save({"model_state_dict": ResTower(LARGE).state_dict(), "global_timestep": 0}, path)
        return load_network(path, device)


LOAD_ALONE = "import torch; torch.load({!r}, map_location='cpu', weights_only=True, mmap=True)"
FIRST_BATCH = """
import os, sys
from hantei_evaluator.suites.shogi import forward
launch = forward.CpuForward.launch
def once(self, positions, rows):
    launch(self, positions, rows).places()
    os._exit(0)
forward.CpuForward.launch = once
from hantei_cli.main import main
main(["evaluate", "--checkpoint", {!r}, "--suite", "shogi", "--num-games", "256", "--output-dir", {!r}])
"""


def start(_cpus: int) -> dict[str, Any]:
    """From a process's start to its first finished batch, beside importing torch and loading the weights alone."""
    with tempfile.TemporaryDirectory() as directory:
        parts = {
            "import_torch_and_load": LOAD_ALONE.format(str(CHECKPOINT)),
            "first_finished_batch": FIRST_BATCH.format(str(CHECKPOINT), str(Path(directory) / "output")),
        }

        def run(code: str) -> Callable[[], int]:
            def work() -> int:
                # A worker outlives os._exit by moments and is nobody's child then.
                subprocess.run([sys.executable, "-c", code], check=True, stderr=subprocess.DEVNULL)
                return 1

            return work

        rounds = [{name: spent(run(code)) for name, code in parts.items()} for _ in range(5)]
    seconds = {name: min(each[name].seconds for each in rounds) for name in parts}
    cpu = {name: statistics.median(each[name].cpu_seconds for each in rounds) for name in parts}
    one, other = parts
    return {
        "promise": "ratio <= 1.3",
        "ratio_of_least_seconds": round(seconds[other] / seconds[one], 3),
        "ratio_of_median_cpu_seconds": round(cpu[other] / cpu[one], 3),
        "least_seconds": {name: round(each, 2) for name, each in seconds.items()},
    }


MEMORY = """
import sys
sys.path.insert(0, {here!r})
import shogi_play, torch
network = shogi_play.load_network(shogi_play.CHECKPOINT, torch.device("cpu"))
shogi_play.played(network, {cpus}, total=256, max_moves=100)
"""


def memory(cpus: int) -> dict[str, Any]:
    """Resident memory of the process and those beside it, over that of a process that imported torch."""
    _, alone = _resident_bytes("import torch, time; time.sleep(2)")
    playing, _ = _resident_bytes(MEMORY.format(here=str(HERE), cpus=cpus))
    return {
        "promise": "over_import_torch_megabytes <= 500",
        "over_import_torch_megabytes": round((playing - alone) / 1e6, 1),
        "import_torch_megabytes": round(alone / 1e6, 1),
    }


def _resident_bytes(code: str) -> tuple[int, int]:
    """The most that all its processes held together, and the last; pages that they share count for each."""
    process = psutil.Popen([sys.executable, "-c", code])
    most = last = 0
    while process.poll() is None:
        held = 0
        for each in [process, *process.children()]:
            try:
                held += each.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        most, last = max(most, held), held or last
        time.sleep(0.02)
    return most, last


def gpu(_cpus: int) -> dict[str, Any]:
    """On a GPU: positions/s in play and bare. Not yet measured."""
    if not torch.cuda.is_available():
        return {"not_measured": "no GPU"}
    import shogi_gpu  # noqa: PLC0415  # beside this file

    return shogi_gpu.measure(large_network(torch.device("cuda")), positions_of_games(), played)


PARTS: dict[str, Callable[[int], dict[str, Any]]] = {
    "rules": rules,
    "small": small,
    "large": large,
    "start": start,
    "memory": memory,
    "gpu": gpu,
}

if __name__ == "__main__":
    main()
