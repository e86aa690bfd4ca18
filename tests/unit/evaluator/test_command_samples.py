"""The samples of a program, read while it runs."""

import json
from pathlib import Path

import pytest

from hantei_evaluator.suites import command_samples
from hantei_evaluator.suites.command_samples import SamplesFile
from support.suites import Recorder

LINES = 500


@pytest.fixture
def samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SamplesFile:
    monkeypatch.setattr(command_samples, "_CHUNK_BYTES", 400)
    path = tmp_path / "samples.jsonl"
    lines = [json.dumps({"sampleId": f"row-{number}", "values": {"accuracy": 1.0}}) for number in range(LINES)]
    path.write_text("\n".join(lines) + "\n")
    return SamplesFile(path, Recorder())


def test_a_program_that_writes_faster_than_is_read_does_not_hide_the_deadline(samples: SamplesFile) -> None:
    samples.read(lambda: samples.count > 0)
    assert 0 < samples.count < LINES


def test_what_is_left_at_the_deadline_is_read_for_a_moment_only(samples: SamplesFile) -> None:
    samples.close(torn=True, seconds=0.0)
    assert samples.count == 0


def test_what_is_left_when_the_program_ends_is_read_whole(samples: SamplesFile) -> None:
    samples.read(lambda: True)
    samples.close(torn=False)
    assert samples.count == LINES
