"""Runs ``hantei evaluate --task`` as a pod does: a process of its own, a termination log, a scratch directory."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hantei_api.result import EvaluationResult, ResultSummary, parse_termination_message


@dataclass(frozen=True)
class Ended:
    """What an evaluation left."""

    exit_code: int
    summary: ResultSummary
    result: EvaluationResult | None
    stderr: str
    left_over: list[str]
    """Files below the scratch directory."""


class Evaluation:
    """One started evaluation."""

    def __init__(
        self,
        directory: Path,
        task: dict[str, Any],
        environment: dict[str, str] | None = None,
        *,
        port: int = 0,
        hantei: Sequence[str] = (sys.executable, "-m", "hantei_cli.main"),
    ) -> None:
        self.directory = directory
        self.scratch = directory / "scratch"
        self.scratch.mkdir()
        self.output = directory / "output"
        self._message = directory / "termination-log"
        self._message.touch()
        checkpoint = directory / "checkpoint"
        if not checkpoint.exists():
            checkpoint.write_bytes(b"weights")
        file = directory / "task.json"
        file.write_text(
            json.dumps({"checkpoint": {"path": str(checkpoint)}, "outputDirectory": str(self.output)} | task)
        )
        self.process = subprocess.Popen(
            [*hantei, "evaluate", "--task", str(file), "--port", str(port)],
            env={
                **os.environ,
                "HANTEI_TERMINATION_LOG": str(self._message),
                "TMPDIR": str(self.scratch),
                **(environment or {}),
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait(self, timeout_seconds: float = 30) -> Ended:
        """Wait for its end and collect what it left."""
        try:
            _, stderr = self.process.communicate(timeout=timeout_seconds)
        finally:
            self.process.kill()
            self.process.wait()
        summary = parse_termination_message(self._message.read_text())
        assert summary is not None, stderr
        result_file = self.output / "result.json"
        result = EvaluationResult.model_validate_json(result_file.read_text()) if result_file.exists() else None
        left_over = sorted(path.name for path in self.scratch.iterdir())
        return Ended(self.process.returncode, summary, result, stderr, left_over)


def evaluate(directory: Path, task: dict[str, Any], environment: dict[str, str] | None = None) -> Ended:
    """Start an evaluation and wait for its end."""
    return Evaluation(directory, task, environment).wait()


def python_command(code: str, **task: Any) -> dict[str, Any]:
    """A task for the command suite that runs Python code."""
    return {"suite": {"command": {"argv": [sys.executable, "-c", code]}}, **task}


WRITE_RESULT = (
    "import os, json; json.dump({'metrics': [{'name': 'accuracy', 'value': 0.5, 'stderr': 0.1, 'n': 10}]}, "
    "open(os.environ['HANTEI_RESULT'], 'w')); "
)
