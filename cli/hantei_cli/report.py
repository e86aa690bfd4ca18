"""``hantei report``: one HTML page about one evaluation, or about the checkpoints of a training."""

import argparse
import sys
from pathlib import Path
from typing import Any

from hantei_cli.evaluator import load

_EVALUATIONS = "hantei_evaluator.export.report.evaluations"
_PAGE = "hantei_evaluator.export.report.page"
_WRITE = "hantei_evaluator.run.whole_file"
_ERRORS = "hantei_evaluator.run.errors"
DEFAULT_FILE = "report.html"


def add_parser(verbs: "argparse._SubParsersAction[Any]") -> None:
    """Add ``report`` and its flags."""
    parser = verbs.add_parser(
        "report",
        help="write one HTML page about evaluations",
        description="Write one self-contained HTML page: verdict, metrics with intervals, the score over training steps, cross table "
        "or confusion matrix, lengths, and the samples that changed against the baseline, worst first.",
    )
    parser.add_argument(
        "results", nargs="+", type=Path, metavar="RESULT", help="an evaluation's output directory, or its result.json"
    )
    parser.add_argument(
        "--baseline",
        type=Path,
        metavar="RESULT",
        help="output directory of the evaluation to compare samples with (default: the baseline that each was evaluated beside)",
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=Path(DEFAULT_FILE), metavar="FILE", help=f"default {DEFAULT_FILE}"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace, _parser: argparse.ArgumentParser) -> int:
    evaluations, page = load(_EVALUATIONS), load(_PAGE)
    try:
        found = [evaluations.load(path, options.baseline) for path in options.results]
    except load(_ERRORS).EvaluationError as error:
        sys.stderr.write(f"error: {error}\n")
        code: int = error.exit_code
        return code
    try:
        load(_WRITE).write_whole(options.output, page.build_page(found).encode())
    except OSError as error:
        sys.stderr.write(f"error: --output {options.output}: can't be written: {error.strerror}.\n")
        return 73
    print(options.output)
    return 0
