"""Runs lm-eval on the checkpoint directory and hands its results and samples to Hantei (docs/command.md).

    python3 adapter.py --tasks arc_easy --num_fewshot 0 --batch_size 16 [--model_args dtype=bfloat16]

All arguments are lm-eval's own (`lm-eval run --help`); `{inputs}` in them stands for the inputs' directory. The model's path,
the seed and the output are filled in.
"""

import argparse
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MAX_LINE_BYTES = 60_000
"""Hantei takes lines of 64,000 bytes."""


def main() -> int:
    """Run, translate, and return lm-eval's exit code."""
    output = Path(os.environ["HANTEI_SCRATCH"]) / "lm-eval"
    code = subprocess.run(command(sys.argv[1:], output), env=environment(), check=False).returncode  # noqa: S603
    if code != 0:
        return code
    (results_file,) = output.rglob("results_*.json")
    results = json.loads(results_file.read_text())
    with Path(os.environ["HANTEI_SAMPLES"]).open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(sample, ensure_ascii=False) + "\n" for sample in samples(results, results_file))
    Path(os.environ["HANTEI_RESULT"]).write_text(json.dumps({"metrics": list(metrics(results))}))
    return 0


def command(arguments: list[str], output: Path) -> list[str]:
    """lm-eval's command line."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--model_args", default="")
    own, rest = parser.parse_known_args([text.replace("{inputs}", os.environ["HANTEI_INPUTS"]) for text in arguments])
    model = ",".join(filter(None, [f"pretrained={os.environ['HANTEI_CHECKPOINT']}", own.model_args]))
    fixed = ["--model", "hf", "--model_args", model, "--output_path", str(output), "--log_samples"]
    return [sys.executable, "-m", "lm_eval", "run", *fixed, "--seed", os.environ["HANTEI_SEED"], *rest]


def environment() -> dict[str, str]:
    """Caches go into the scratch directory: the image's file system is read-only."""
    return {"HF_HOME": str(Path(os.environ["HANTEI_SCRATCH"]) / "huggingface"), **os.environ}


def metrics(results: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Groups first, then tasks: TASK/METRIC, and TASK/METRIC/FILTER where lm-eval filters the answers."""
    for task, found in (results.get("groups", {}) | results["results"]).items():
        n = sample_count(results, task)
        for key, value in found.items():
            metric, comma, chosen = key.partition(",")
            if comma and not metric.endswith("_stderr") and is_number(value) and n:
                stderr = found.get(f"{metric}_stderr,{chosen}")
                entry = {"name": name(task, metric, chosen), "value": value, "n": n}
                yield entry | ({"stderr": stderr} if is_number(stderr) else {})


def samples(results: dict[str, Any], results_file: Path) -> Iterator[dict[str, Any]]:
    """One sample a document: its answers under all filters, and its number for each metric."""
    stamp = results_file.stem.removeprefix("results_")
    for task in results["n-samples"]:
        documents: dict[str, dict[str, Any]] = {}
        for line in (results_file.parent / f"samples_{task}_{stamp}.jsonl").read_text().splitlines():
            row = json.loads(line)
            sample_id = f"{task}/{row['doc_id']}"
            sample = documents.setdefault(sample_id, {"sampleId": sample_id, "target": row["target"], "values": {}})
            sample[f"answer/{row['filter']}"] = row["filtered_resps"]
            numbers = {metric: row.get(metric) for metric in row["metrics"]}
            sample["values"] |= {name(task, key, row["filter"]): n for key, n in numbers.items() if is_number(n)}
        for sample in documents.values():
            # Long generations stay in lm-eval's own file.
            short = {key: sample[key] for key in ("sampleId", "values")}
            yield sample if len(json.dumps(sample)) < MAX_LINE_BYTES else short


def sample_count(results: dict[str, Any], task: str) -> int:
    """Documents of a task, or of all tasks below a group."""
    if task in results["n-samples"]:
        return int(results["n-samples"][task]["effective"])
    return sum(sample_count(results, each) for each in results.get("group_subtasks", {}).get(task, []))


def name(task: str, metric: str, chosen: str) -> str:
    """A metric's name as Hantei takes it."""
    parts = [task, metric] if chosen == "none" else [task, metric, chosen]
    return re.sub(r"^(?=[^A-Za-z_])", "_", re.sub(r"[^A-Za-z0-9_./-]", "_", "/".join(parts)))[:64]


def is_number(value: object) -> bool:
    """Not "N/A", nor the pairs that perplexities are made of."""
    return isinstance(value, int | float) and math.isfinite(value)


if __name__ == "__main__":
    sys.exit(main())
