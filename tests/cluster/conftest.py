"""The chart on the kind cluster, once for the whole ring, and the namespaces that its operator looks after."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.chart import CHART
from support.controlplane import binary
from support.kind import EVALUATOR, SYSTEM, WATCHED, Kind, output, paused
from support.waiting import POD_SECONDS, eventually

VALUES = {
    "watchNamespaces": list(WATCHED),
    "replicas": 2,
    "image": {"tag": "dev", "pullPolicy": "Never"},
    "evaluations": {
        "image": {"tag": "dev", "pullPolicy": "IfNotPresent"},
        "imagePrefixes": [EVALUATOR, "hantei.invalid/"],
        "maxConcurrent": 24,
    },
}


@pytest.fixture(scope="session")
def kind() -> Kind:
    return Kind()


@pytest.fixture(scope="session")
def ring(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kind]:
    """The cluster with an operator, installed by Helm, that looks after the ring's namespaces."""
    values = tmp_path_factory.mktemp("chart") / "values.json"
    values.write_text(json.dumps(VALUES))
    with alone(), paused(kind, SYSTEM):
        for namespace in (SYSTEM, *WATCHED):
            kind.delete("Namespace", namespace)
        for namespace in (SYSTEM, *WATCHED):
            kind.fresh_namespace(namespace)
        _install(values)
        kind.kubectl("rollout", "status", "-n", SYSTEM, "deployment/hantei", "--timeout=90s")
        eventually(lambda: _leader(kind), POD_SECONDS, describe=lambda: kind.report(SYSTEM))
        yield kind
        output(binary("helm"), "uninstall", "hantei", "--namespace", SYSTEM, "--wait")
        for namespace in (*WATCHED, SYSTEM):
            kind.delete("Namespace", namespace)


@contextmanager
def alone() -> Iterator[None]:
    """One ring at a time: a second one on this machine waits here."""
    lab = Path(__file__).parents[2] / ".lab"
    with (lab / "ring.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(values: Path) -> None:
    arguments = ["upgrade", "--install", "hantei", str(CHART), "--namespace", SYSTEM, "--take-ownership"]
    output(binary("helm"), *arguments, "--values", str(values))


def _leader(kind: Kind) -> bool:
    return bool(
        kind.exists("Lease", "hantei", SYSTEM) and kind.get("Lease", "hantei", SYSTEM)["spec"]["holderIdentity"]
    )
