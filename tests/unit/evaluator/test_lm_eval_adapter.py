"""What examples/lm-eval/adapter.py makes of the files that lm-eval writes; the files here are written in its form."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hantei_api.metrics import Metric
from hantei_evaluator.suites.command_samples import CommandSample

ADAPTER = Path(__file__).parents[3] / "examples" / "lm-eval" / "adapter.py"
RESULTS: dict[str, Any] = {
    "results": {
        "suite": {"alias": "suite", "acc,none": 0.6, "acc_stderr,none": 0.05},
        "maths": {"alias": "- maths", "exact_match,strict-match": 0.5, "exact_match_stderr,strict-match": "N/A"},
        "2 colours": {"alias": "- 2 colours", "acc,none": 0.25, "acc_stderr,none": 0.1, "sample_len": 4},
        "empty": {"alias": "empty", "acc,none": "N/A"},
    },
    "groups": {"suite": {"alias": "suite", "acc,none": 0.6, "acc_stderr,none": 0.05}},
    "group_subtasks": {"suite": ["maths", "2 colours"]},
    "n-samples": {"maths": {"original": 9, "effective": 2}, "2 colours": {"original": 4, "effective": 4}},
}


@pytest.fixture
def adapter(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("HANTEI_CHECKPOINT", "/data/model")
    monkeypatch.setenv("HANTEI_INPUTS", "/inputs")
    monkeypatch.setenv("HANTEI_SEED", "7")
    spec = importlib.util.spec_from_file_location("lm_eval_adapter", ADAPTER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_groups_come_first_and_names_and_errors_are_such_as_hantei_takes(adapter: ModuleType) -> None:
    found = [Metric.model_validate(metric) for metric in adapter.metrics(RESULTS)]

    assert [(metric.name, metric.value, metric.stderr, metric.n) for metric in found] == [
        ("suite/acc", 0.6, 0.05, 6),
        ("maths/exact_match/strict-match", 0.5, None, 2),
        ("_2_colours/acc", 0.25, 0.1, 4),
    ]


def test_a_document_is_one_sample_under_all_filters(adapter: ModuleType, tmp_path: Path) -> None:
    def row(task: str, number: int, chosen: str, **values: Any) -> None:
        line = {"doc_id": number, "target": "4", "filter": chosen, "filtered_resps": ["4"], "metrics": list(values)}
        with (tmp_path / f"samples_{task}_2026-01-01.jsonl").open("a") as file:
            file.write(json.dumps(line | values) + "\n")

    row("maths", 0, "strict-match", exact_match=1.0)
    row("maths", 0, "flexible", exact_match=0.0)
    row("2 colours", 0, "none", acc=1.0, word_perplexity=[-3.2, 4])

    found = list(adapter.samples(RESULTS, tmp_path / "results_2026-01-01.json"))

    assert [(CommandSample.model_validate(sample).sample_id, sample["values"]) for sample in found] == [
        ("maths/0", {"maths/exact_match/strict-match": 1.0, "maths/exact_match/flexible": 0.0}),
        ("2 colours/0", {"_2_colours/acc": 1.0}),
    ]


def test_a_long_answer_is_left_to_lm_evals_own_file(adapter: ModuleType, tmp_path: Path) -> None:
    line = {"doc_id": 0, "target": "x" * 70_000, "filter": "none", "filtered_resps": [], "metrics": ["acc"], "acc": 1.0}
    (tmp_path / "samples_maths_now.jsonl").write_text(json.dumps(line))
    results = RESULTS | {"n-samples": {"maths": {"effective": 1}}}

    assert list(adapter.samples(results, tmp_path / "results_now.json")) == [
        {"sampleId": "maths/0", "values": {"maths/acc": 1.0}}
    ]


def test_the_model_the_seed_and_the_inputs_are_filled_in(adapter: ModuleType) -> None:
    arguments = ["--tasks", "colours", "--include_path", "{inputs}/tasks", "--model_args", "dtype=float32"]

    command = adapter.command(arguments, Path("/scratch/lm-eval"))

    assert command[:4] == [sys.executable, "-m", "lm_eval", "run"]
    text = " ".join(command)
    assert "--model_args pretrained=/data/model,dtype=float32" in text
    assert "--seed 7" in text
    assert "--include_path /inputs/tasks" in text
    assert text.count("--model_args") == 1


def test_lm_evals_exit_code_is_the_adapters(
    adapter: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANTEI_SCRATCH", str(tmp_path))
    monkeypatch.setattr(adapter, "command", lambda *_: [sys.executable, "-c", "raise SystemExit(3)"])

    assert adapter.main() == 3
