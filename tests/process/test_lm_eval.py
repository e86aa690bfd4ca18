"""The example examples/lm-eval: a random GPT-2 of two layers, made here, and a task on a JSONL file, all offline."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from hantei_api.reasons import Reason
from support.evaluation import Evaluation
from support.waiting import TIME_SCALE

ADAPTER = Path(__file__).parents[2] / "examples" / "lm-eval" / "adapter.py"
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
WORDS = ["<eos>", "<unk>", "the", "sky", "grass", "snow", "is", "blue", "green", "white"]
CHOICES = ["blue", "green", "white"]
DOCUMENTS = [("the sky is", 0), ("grass is", 1), ("snow is", 2), ("the snow is", 2), ("sky is", 0)]
TASK = """
task: colours
dataset_path: json
dataset_kwargs:
  data_files: {{test: {data}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{answer}}}}"
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
"""

pytestmark = pytest.mark.timeout(120 * TIME_SCALE)


def make_model(directory: Path) -> GPT2LMHeadModel:
    """A random model, saved with its tokenizer as trainings save them."""
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<eos>", unk_token="<unk>", pad_token="<eos>"
    ).save_pretrained(directory)
    torch.manual_seed(1)
    size = {"vocab_size": len(WORDS), "n_positions": 32, "n_embd": 16, "n_layer": 2, "n_head": 2}
    model = GPT2LMHeadModel(GPT2Config(**size, bos_token_id=0, eos_token_id=0, initializer_range=1.0)).eval()
    model.save_pretrained(directory)
    return model


def make_task(directory: Path) -> Path:
    """A task of our own and its data."""
    directory.mkdir()
    rows = [{"question": question, "choices": CHOICES, "answer": answer} for question, answer in DOCUMENTS]
    data = directory / "colours.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (directory / "colours.yaml").write_text(TASK.format(data=data))
    return directory


@torch.inference_mode()
def likeliest(model: GPT2LMHeadModel, question: str) -> str:
    """The choice that the model itself finds likeliest."""
    logits = model(torch.tensor([[WORDS.index(word) for word in question.split()]])).logits[0, -1]
    return max(CHOICES, key=lambda choice: float(logits[WORDS.index(choice)]))


def task_of(directory: Path, *arguments: str) -> dict[str, Any]:
    argv = [sys.executable, str(ADAPTER), "--include_path", "{inputs}/tasks", *arguments]
    return {
        "checkpoint": {"path": str(directory / "model")},
        "inputs": [{"name": "tasks", "path": str(directory / "tasks")}],
        "suite": {"command": {"argv": argv}},
    }


def test_lm_evals_results_and_samples_become_metrics_and_samples(tmp_path: Path) -> None:
    model = make_model(tmp_path / "model")
    make_task(tmp_path / "tasks")
    arguments = ["--tasks", "colours", "--batch_size", "4", "--device", "cpu", "--model_args", "dtype=float32"]

    ended = Evaluation(tmp_path, task_of(tmp_path, *arguments), OFFLINE).wait(110 * TIME_SCALE)

    assert ended.summary.reason is Reason.COMPLETED, ended.stderr
    (metric,) = ended.summary.metrics
    right = [likeliest(model, question) == CHOICES[answer] for question, answer in DOCUMENTS]
    assert 0 < sum(right) < len(right)
    mean = sum(right) / len(right)
    assert (metric.name, metric.value, metric.n) == ("colours/acc", pytest.approx(mean), len(right))
    # lm-eval's standard error of a mean: s / sqrt(n).
    assert metric.stderr == pytest.approx((mean * (1 - mean) / (len(right) - 1)) ** 0.5)
    samples = [json.loads(line) for line in (tmp_path / "output" / "samples.jsonl").read_text().splitlines()]
    assert {sample["sampleId"]: sample["values"] for sample in samples} == {
        f"colours/{number}": {"colours/acc": float(each)} for number, each in enumerate(right)
    }
    assert ended.summary.message == ""
    assert ended.left_over == []
