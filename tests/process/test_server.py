"""What a probe and a scrape see of a running evaluation."""

import json
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from prometheus_client.parser import text_string_to_metric_families

from hantei_api.provenance import SlaMetric
from support.evaluation import WRITE_RESULT, Evaluation, python_command
from support.ports import free_port, get
from support.waiting import eventually

pytestmark = pytest.mark.timeout(30)


def samples(text: str) -> dict[tuple[str, str], float]:
    return {
        (sample.name, sample.labels.get("metric", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_probes_are_answered_while_the_suite_loads(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(
        f"import os, time\ndef build():\n    while not os.path.exists({str(tmp_path / 'go')!r}): time.sleep(0.05)\n"
    )
    np.savez(tmp_path / "data.npz", x=np.zeros((1, 4)), y=np.zeros(1, int))
    torch.save({}, tmp_path / "checkpoint")
    port = free_port()
    suite = {"classification": {"model": "in/model.py:build", "data": "in/data.npz"}}
    evaluation = Evaluation(tmp_path, {"suite": suite, "inputs": [{"name": "in", "path": str(tmp_path)}]}, port=port)

    assert eventually(lambda: get(port, "/ready")) == (503, "loading\n")
    assert get(port, "/live")[0] == 200
    assert get(port, "/nothing")[0] == 404

    (tmp_path / "go").touch()
    assert evaluation.wait().exit_code == 64


def test_a_scrape_shows_the_readings_of_the_result(tmp_path: Path) -> None:
    code = (
        WRITE_RESULT
        + f"import time; p = {str(tmp_path / 'go')!r}\nwhile not os.path.exists(p): time.sleep(0.02)\nblock = bytearray(50_000_000)\ntime.sleep(0.7)"
    )
    port = free_port()
    task = python_command(code, sla={"latencySeconds": 0.05}, limits={"runSeconds": 20})
    evaluation = Evaluation(tmp_path, task, port=port)
    eventually(lambda: get(port, "/ready")[0] == 200)
    eventually(lambda: samples(get(port, "/metrics")[1])[("hantei_evaluation_sla_latency_seconds", "")] > 0.05)

    seen = samples(get(port, "/metrics")[1])
    status = json.loads(get(port, "/status")[1])
    (tmp_path / "go").touch()
    ended = evaluation.wait()

    assert ended.exit_code == 0, ended.stderr
    assert ended.summary.sla is not None
    assert seen[("hantei_evaluation_sla_violations_total", "latency_seconds")] == 1
    assert seen[("hantei_evaluation_sla_violations_total", "memory_overhead_bytes")] == 0
    assert ended.summary.sla.violations == [SlaMetric.LATENCY_SECONDS]
    for reading in ended.summary.sla.readings:
        assert seen[("hantei_evaluation_sla_threshold", reading.metric.value)] == reading.threshold
        name = (f"hantei_evaluation_sla_{reading.metric.value}", "")
        assert (name in seen) == (reading.value is not None)
        assert (reading.reason is None) == (reading.value is not None)
    memory = next(each for each in ended.summary.sla.readings if each.metric is SlaMetric.MEMORY_OVERHEAD_BYTES)
    assert memory.value is not None
    assert memory.value > 50_000_000
    assert status["phase"] == "evaluating"
    assert 0 < status["remainingSeconds"] <= 20
    assert status["device"] == "cpu"


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        ended = Evaluation(tmp_path, {"suite": {"command": {"argv": [sys.executable]}}}, port=port).wait()

    assert ended.exit_code == 70
    assert f"Port {port} can't be served: Address already in use" in ended.summary.message
