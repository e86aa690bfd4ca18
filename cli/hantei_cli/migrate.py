"""``hantei migrate``: Keisei's configuration and results into Hantei's, and results back."""

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import Any, Final

from hantei_cli.evaluator import load

_PACKAGE: Final = "hantei_evaluator.suites.shogi.keisei"
_DESCRIPTION: Final = """\
What FILE is decides what comes out, on standard output:

  config.yaml  Keisei's configuration (or its effective_config.json), or the evaluation section alone
               -> an EvaluationRun for kubectl apply; standard error tells what became of every field
  DIRECTORY    an evaluation's output, with result.json and samples.jsonl
               -> Keisei's EvaluationResult as JSON
  result.json  Keisei's EvaluationResult
               -> samples as JSON Lines

Exit codes: 0 done, 64 FILE can't be read or used (the message names field, value and limit).
"""


def add_parser(verbs: "argparse._SubParsersAction[Any]") -> None:
    """Add ``migrate`` and its flags."""
    parser = verbs.add_parser(
        "migrate",
        help="turn Keisei's configuration and results into Hantei's, and results back",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, metavar="FILE")
    config = parser.add_argument_group("for a configuration")
    config.add_argument("--checkpoint-claim", metavar="NAME", help="PersistentVolumeClaim with the checkpoints")
    config.add_argument("--checkpoint-path", metavar="PATH", help="the checkpoint's path in it")
    config.add_argument("--name", help="the run's name (default: agent_id, or the training run's name)")
    config.add_argument("--report", action="store_true", help="tell what became of the fields as a table")
    config.add_argument("--cases", type=Path, metavar="FILE", help="write a benchmark's positions there, as JSON Lines")
    result = parser.add_argument_group("for a directory")
    result.add_argument("--elo-registry", type=Path, metavar="FILE", help="elo_ratings.json, for the Elo snapshot")
    parser.set_defaults(run=_run, parser=parser)


def _run(options: argparse.Namespace, _parser: argparse.ArgumentParser) -> int:
    errors = load("hantei_evaluator.run.errors")
    try:
        if options.file.is_dir():
            _to_keisei(options)
        elif _is_result(options.file):
            for sample in load(f"{_PACKAGE}.result_file").read_samples(options.file):
                print(json.dumps(sample, ensure_ascii=False, separators=(",", ":")))
        else:
            _config(options)
    except errors.EvaluationError as error:
        print(f"hantei: {error}", file=sys.stderr)
        return int(error.exit_code)
    return 0


def _is_result(path: Path) -> bool:
    """Keisei keeps its configuration as JSON too, beside its checkpoints: effective_config.json."""
    if path.suffix != ".json":
        return False
    body = load(f"{_PACKAGE}.shared_file").read_json_object(path)
    return body is None or "evaluation" not in body


def _to_keisei(options: argparse.Namespace) -> None:
    if options.elo_registry is not None and not options.elo_registry.is_file():
        options.parser.error(f"--elo-registry {options.elo_registry} is no file: name Keisei's elo_ratings.json")
    ratings = load(f"{_PACKAGE}.elo_registry").read_registry(options.elo_registry) if options.elo_registry else None
    result = load(f"{_PACKAGE}.result_export").keisei_result(options.file, ratings)
    print(json.dumps(result.model_dump(mode="json"), indent=2, ensure_ascii=False))


def _config(options: argparse.Namespace) -> None:
    parser: argparse.ArgumentParser = options.parser
    migration = load(f"{_PACKAGE}.migration")
    try:
        text = options.file.read_bytes()
    except OSError as error:
        parser.error(f"{options.file} can't be read: {error.strerror}")
    config = load(f"{_PACKAGE}.config").parse_config(text, name=str(options.file))
    wanted = migration.Wanted(claim=options.checkpoint_claim, path=options.checkpoint_path, name=options.name)
    found = migration.migrate(config, wanted)
    if options.cases is not None:
        _write_cases(options.cases, found.cases, parser)
    tell = load(f"{_PACKAGE}.account").table if options.report else load(f"{_PACKAGE}.account").lines
    for line in tell(found):
        print(line, file=sys.stderr)
    print(f"# hantei migrate {shlex.quote(str(options.file))}")
    print(load("yaml").safe_dump(found.manifest, sort_keys=False, allow_unicode=True), end="")


def _write_cases(path: Path, cases: list[dict[str, str]], parser: argparse.ArgumentParser) -> None:
    if not cases:
        parser.error(
            f"--cases {path}: the configuration has no positions (strategy_params.suite_config[].metadata.initial_fen)"
        )
    try:
        path.write_text("".join(json.dumps(case, ensure_ascii=False) + "\n" for case in cases), encoding="utf-8")
    except OSError as error:
        parser.error(f"--cases {path} can't be written: {error.strerror}")
