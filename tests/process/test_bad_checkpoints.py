"""Checkpoints that can't be evaluated, through the real command line: a clear error, the right code, nothing half written."""

import json
import os
import pickle
import resource
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from typing_extensions import override

HUGE_BYTES = 10_000_000_000
MEMORY_KIB = 1_000_000
"""Of the whole evaluator, torch and all: a fraction of what 10 GB read into memory would take."""


class Malicious:
    """Unpickling this runs a command."""

    @override
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("touch code-was-run",)


@dataclass(frozen=True)
class Refusal:
    """What the command left."""

    exit_code: int
    stderr: str
    peak_kib: int
    output: Path
    left_over: list[Path]

    @property
    def last_line(self) -> str:
        return self.stderr.strip().splitlines()[-1]


def evaluate(directory: Path, checkpoint: Path, *arguments: str) -> Refusal:
    """Run ``hantei evaluate`` on the checkpoint, in a directory of its own."""
    scratch, output = directory / "scratch", directory / "output"
    scratch.mkdir()
    command = ["-m", "hantei_cli.main", "evaluate", "--checkpoint", str(checkpoint), "--output-dir", str(output)]
    with subprocess.Popen(
        [sys.executable, *command, *arguments],
        cwd=directory,
        env={**os.environ, "TMPDIR": str(scratch)},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        _, stderr = process.communicate(timeout=100)
    peak_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return Refusal(process.returncode, stderr, peak_kib, output, list(scratch.rglob("*")))


def assert_refused(refusal: Refusal, checkpoint: Path, exit_code: int, *words: str) -> None:
    assert refusal.exit_code == exit_code, refusal.stderr
    assert str(checkpoint) in refusal.last_line
    assert not [word for word in words if word not in refusal.last_line], refusal.last_line
    assert "Traceback" not in refusal.stderr
    assert not refusal.left_over
    files = {path.name: path for path in refusal.output.rglob("*") if path.is_file()}
    result = json.loads(files["result.json"].read_text())
    assert result["complete"] is False
    assert not result["metrics"]
    assert files.keys() <= {"result.json", "samples.jsonl"}
    assert not files.get("samples.jsonl", Path(os.devnull)).read_bytes()


def with_another_number_of_actions(path: Path, keisei: dict[str, Any]) -> None:
    keisei["policy_head.4.weight"] = torch.zeros(11_259, 162)
    keisei["policy_head.4.bias"] = torch.zeros(11_259)
    torch.save({"model_state_dict": keisei}, path)


def with_nan(path: Path, keisei: dict[str, Any]) -> None:
    keisei["stem.weight"][0, 0, 0, 0] = float("nan")
    torch.save({"model_state_dict": keisei}, path)


def with_code(path: Path, keisei: dict[str, Any]) -> None:
    torch.save({"model_state_dict": keisei, "callback": Malicious()}, path)


def with_code_in_a_bare_pickle(path: Path, keisei: dict[str, Any]) -> None:
    path.write_bytes(pickle.dumps({"model_state_dict": Malicious()}, protocol=2))


def with_a_zip_bomb(path: Path, keisei: dict[str, Any]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(50_000_000))


def empty(path: Path, keisei: dict[str, Any]) -> None:
    path.touch()


def cut_off(path: Path, keisei: dict[str, Any]) -> None:
    torch.save({"model_state_dict": keisei}, path)
    os.truncate(path, path.stat().st_size * 9 // 10)


def cut_off_safetensors(path: Path, keisei: dict[str, Any]) -> None:
    save_file(keisei, path)
    os.truncate(path, path.stat().st_size * 9 // 10)


def a_folder(path: Path, keisei: dict[str, Any]) -> None:
    path.mkdir()
    (path / "model.safetensors").touch()


@pytest.mark.parametrize(
    ("make", "name", "words"),
    [
        (with_another_number_of_actions, "a.pth", ["11259", "13527"]),
        (with_nan, "a.pth", ["1 of", "hold NaN (first: stem.weight)", "Evaluate an earlier checkpoint"]),
        (with_code, "a.pth", ["system", "no code out of a checkpoint is run", "torch.save(model.state_dict()"]),
        (
            with_code_in_a_bare_pickle,
            "a.pth",
            ["a pickle that torch.save did not write", "no code out of a checkpoint is run"],
        ),
        (with_a_zip_bomb, "a.pth", ["unpack to 50000000 bytes", "torch.save compresses nothing"]),
        (empty, "a.pth", ["the file is empty", "Wait until it is written"]),
        (cut_off, "a.pth", ["the file is cut off", "rename them when they are complete"]),
        (cut_off_safetensors, "a.safetensors", ["the file is cut off", "its header speaks of"]),
        (a_folder, "a.pth", ["is a folder", "Name the checkpoint file inside it"]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_bad_checkpoint_is_refused(
    tmp_path: Path, keisei: Path, make: Callable[[Path, dict[str, Any]], None], name: str, words: list[str]
) -> None:
    weights = torch.load(keisei / "checkpoint_ts10000.pth", weights_only=True)["model_state_dict"]
    make(tmp_path / name, weights)

    refusal = evaluate(tmp_path, tmp_path / name, "--suite", "shogi", "--num-games", "2")

    assert_refused(refusal, tmp_path / name, 65, *words)
    assert not (tmp_path / "code-was-run").exists()


def test_an_absent_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b.pth").touch()

    refusal = evaluate(tmp_path, tmp_path / "a.pth", "--suite", "shogi", "--num-games", "2")

    assert_refused(refusal, tmp_path / "a.pth", 66, "no such file", "b.pth")


@pytest.mark.parametrize(
    ("name", "head", "words", "suite"),
    [
        ("zeros.pth", b"", "begins with 4096 zeros: its space was reserved, and nothing was written", "shogi"),
        ("zeros.pth", b"", "begins with 4096 zeros", "classification"),
        ("zeros.safetensors", b"", "begins with 4096 zeros", "shogi"),
        ("zip.pth", b"PK\x03\x04", "the file is cut off", "shogi"),
        ("pickle.pth", b"\x80\x02", "a pickle that torch.save did not write", "shogi"),
        ("header.safetensors", struct.pack("<Q", 1 << 62) + b"{", "not a safetensors file", "shogi"),
        ("long.safetensors", struct.pack("<Q", 99_000_000) + b"{", "not a safetensors file", "shogi"),
        ("text.pth", b"hello, this is a text", "neither a torch.save nor a safetensors file", "shogi"),
    ],
)
def test_ten_gigabytes_of_zeros_are_refused_in_little_memory_and_unread(
    tmp_path: Path, name: str, head: bytes, words: str, suite: str
) -> None:
    checkpoint = tmp_path / name
    with checkpoint.open("wb") as file:
        file.write(head)
        file.truncate(HUGE_BYTES)
    more = ["--model", "absent.module:build", "--data", str(tmp_path)] if suite == "classification" else []

    refusal = evaluate(tmp_path, checkpoint, "--suite", suite, *more)

    assert_refused(refusal, checkpoint, 65, words)
    assert refusal.peak_kib < MEMORY_KIB
