"""The flags of ``hantei evaluate`` that hold a checkpoint against another one."""

import argparse
from pathlib import Path
from typing import Any

RESULT_FILE = "result.json"


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    gate = parser.add_argument_group("baseline and gate")
    gate.add_argument(
        "--baseline",
        metavar="PATH",
        help="the --output-dir of an earlier evaluation, or another checkpoint that is evaluated too; a URI that ends with / "
        "is such a directory",
    )
    gate.add_argument("--gate-metric", metavar="NAME", help="the metric that decides (default: the suite's first)")
    gate.add_argument("--minimum", type=float, metavar="VALUE", help="the least acceptable value of that metric")
    gate.add_argument(
        "--max-drop", type=float, metavar="VALUE", help="the largest acceptable loss against the baseline"
    )
    gate.add_argument(
        "--lower-is-better",
        action="store_true",
        help="a small value is good (known of cross_entropy, ece and loss_rate)",
    )
    gate.add_argument(
        "--exit-on-gate", action="store_true", help="exit with 1 when the checkpoint regressed or the gate failed"
    )
    gate.add_argument(
        "--cache",
        metavar="DIR",
        help="look up samples of earlier evaluations here, and let later ones find this one's (default: only --output-dir)",
    )


def parts_of(options: argparse.Namespace) -> dict[str, Any]:
    """What they say, as fields of the task. Raises ValueError for a flag that would have no effect."""
    if options.cache is not None and options.output_dir is None:
        raise ValueError("--cache needs --output-dir: that is where the samples are kept")
    gate = {
        name: value
        for name, value in (("minimum", options.minimum), ("max_drop", options.max_drop))
        if value is not None
    }
    if not gate and (options.gate_metric or options.lower_is_better):
        raise ValueError("--gate-metric and --lower-is-better need a limit: --minimum, or --max-drop with --baseline")
    return {
        "baseline": _baseline(options.baseline) if options.baseline is not None else None,
        "gate": gate | {"metric": options.gate_metric, "lower_is_better": options.lower_is_better or None}
        if gate
        else None,
        "cache_directory": str(Path(options.cache).absolute()) if options.cache is not None else None,
    }


def _baseline(named: str) -> dict[str, Any]:
    if "://" in named:
        if named.endswith("/"):
            return {"name": named, "directory": named}
        return {"name": "checkpoint", "checkpoint": {"uri": named}}
    path = Path(named).absolute()
    if path.is_dir() and (path / RESULT_FILE).exists():
        return {"name": named, "directory": str(path)}
    if path.is_dir():
        raise ValueError(f"--baseline {named}: the directory holds no {RESULT_FILE}: name an evaluation's --output-dir")
    return {"name": "checkpoint", "checkpoint": {"path": str(path)}}
