"""For the ring of many runs: the operator as a process, and what kwok, the stand-in for kubelets, does with pods."""

import json
import os
import subprocess
import sys
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import yaml
from prometheus_client.parser import text_string_to_metric_families

from hantei_api.metrics import Metric
from hantei_api.names import CONTAINER_NAME
from hantei_api.reasons import Reason
from hantei_api.result import EvaluationResult, to_termination_message
from support.controlplane import ControlPlane, _free_port
from support.waiting import START_SECONDS, eventually

MAX_CONCURRENT: Final = 20
READY_FIRST = "ready-first"
"""Pods of namespaces that start with this are Ready for a moment; all others end as soon as they are bound."""
READY_MILLISECONDS = 500


class Operator:
    """The operator as a process of this machine."""

    def __init__(self, plane: ControlPlane, directory: Path, name: str, namespaces: tuple[str, ...]) -> None:
        self._port = _free_port()
        self._log = directory / f"{name}.log"
        config = directory / f"{name}.yaml"
        settings = {
            "watchNamespaces": list(namespaces),
            "leaseName": name.partition(".")[0],
            "httpPort": self._port,
            "evaluations": {"maxConcurrent": MAX_CONCURRENT},
        }
        config.write_text(yaml.safe_dump(settings))
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "hantei_operator", "--config", str(config)],
                env={**os.environ, "KUBECONFIG": str(plane.kubeconfig)},
                stdout=log,
                stderr=log,
            )

    def text(self) -> str:
        """Its log."""
        return self._log.read_text(errors="replace")[-5000:]

    def wait_until_leading(self) -> None:
        """Wait until it says that it leads."""
        eventually(lambda: "leading: " in self._log.read_text(), START_SECONDS, describe=self.text)

    def samples(self) -> list[tuple[str, dict[str, str], float]]:
        """Name, labels and value of everything that /metrics says."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=10) as answer:
            families = text_string_to_metric_families(answer.read().decode())
        return [(each.name, each.labels, each.value) for family in families for each in family.samples]

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it, by force if need be."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()


def stages() -> list[dict[str, Any]]:
    """What the stand-in kubelets do: end a bound pod with a result, in two ways; let a deleted pod go."""
    bound = [
        {"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"},
        {"key": ".spec.nodeName", "operator": "Exists"},
    ]
    ready_first = {
        "key": f'.metadata.namespace | startswith("{READY_FIRST}") | tostring',
        "operator": "In",
        "values": ["true"],
    }
    at_once = {**ready_first, "operator": "NotIn"}
    pending = {"key": ".status.phase", "operator": "In", "values": ["Pending"]}
    running = {**pending, "values": ["Running"]}
    deleted = {"key": ".metadata.deletionTimestamp", "operator": "Exists"}
    return [
        _stage("pod-ready", [*bound, ready_first, pending], {"statusTemplate": _ready()}),
        _stage("pod-ends-after-ready", [*bound, running], {"statusTemplate": _ended()}, READY_MILLISECONDS),
        _stage("pod-ends-at-once", [*bound, at_once, pending], {"statusTemplate": _ended()}),
        _stage("pod-goes", [deleted], {"finalizers": {"empty": True}, "delete": True}),
    ]


def _stage(name: str, when: list[dict[str, Any]], then: dict[str, Any], milliseconds: int = 0) -> dict[str, Any]:
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
            "selector": {"matchExpressions": when},
            "delay": {"durationMilliseconds": milliseconds},
            "next": then,
        },
    }


def _ready() -> str:
    state = {"running": {"startedAt": "NOW"}}
    return _status({"phase": "Running", "startTime": "NOW"}, state, ready="True")


def _ended() -> str:
    now = datetime.now(UTC)
    result = EvaluationResult(
        namespace="scale",
        run="stand-in",
        attempt=1,
        suite="command",
        reason=Reason.COMPLETED,
        complete=True,
        metrics=[Metric(name="accuracy", value=0.5, stderr=0.05, n=100)],
        started_at=now,
        finished_at=now,
    )
    terminated = {"exitCode": 0, "reason": "Completed", "startedAt": "NOW", "finishedAt": "NOW"}
    state = {"terminated": {**terminated, "message": to_termination_message(result)}}
    return _status({"phase": "Succeeded"}, state, ready="False")


def _status(status: dict[str, Any], state: dict[str, Any], ready: str) -> str:
    """A template of kwok's: JSON is YAML, and NOW is the time at which it is applied."""
    kinds = ("Initialized", "Ready", "ContainersReady")
    conditions = [
        {"type": kind, "status": "True" if kind == "Initialized" else ready, "lastTransitionTime": "NOW"}
        for kind in kinds
    ]
    container = {"name": CONTAINER_NAME, "image": "stand-in", "imageID": "stand-in", "restartCount": 0}
    container |= {"ready": ready == "True", "state": state}
    text = json.dumps({**status, "conditions": conditions, "containerStatuses": [container]}, indent=1)
    return text.replace('"NOW"', '"{{ Now }}"')
