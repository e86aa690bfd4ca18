"""What the operator adds between "created" and "pod created": EvaluationRuns beside plain Jobs, in one run.

Both are created alternately at 2/s each against the cluster of the current kubeconfig, whose CRD must be installed. The
clock runs from the answer to the create call to the pod's ADDED event on a watch, on one machine. Pods ask for a node
label that no node has, so that no kubelet takes part. The operator is this checkout's, a process of its own.

    python benchmarks/launch_latency.py [--count 300] [--rate 2]
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import Any

from hantei_api.names import API_VERSION, RUN_LABEL
from hantei_operator.cluster import paths
from hantei_operator.cluster.client import Client, connect

RESULTS = Path(__file__).parent / "results" / "launch_latency.json"
NOWHERE = {"hantei.dev/benchmark": "nowhere"}


def main() -> None:
    """Run, print and keep the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=300, help="objects of each kind")
    parser.add_argument("--rate", type=float, default=2.0, help="objects of each kind a second")
    arguments = parser.parse_args()
    client = connect()
    namespace = f"bench-{uuid.uuid4().hex[:8]}"
    client.call("POST", "/api/v1/namespaces", body={"metadata": {"name": namespace}}, timeout_seconds=10)
    try:
        result = measure(client, namespace, arguments.count, arguments.rate)
    finally:
        client.call("DELETE", f"/api/v1/namespaces/{namespace}", timeout_seconds=10)
    print(json.dumps(result, indent=2))
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")


def measure(client: Client, namespace: str, count: int, rate: float) -> dict[str, Any]:
    """Create and watch; milliseconds by kind, and what the operator adds."""
    seen: dict[str, float] = {}
    threading.Thread(target=_watch_pods, args=(client, namespace, seen), daemon=True).start()
    with tempfile.TemporaryDirectory() as directory, (Path(directory) / "log").open("w") as log:
        config = Path(directory) / "config.yaml"
        evaluations = {"maxConcurrent": 100_000, "podDefaults": {"nodeSelector": NOWHERE}}
        settings = {
            "watchNamespaces": [namespace],
            "leaseNamespace": namespace,
            "httpPort": 0,
            "evaluations": evaluations,
        }
        config.write_text(json.dumps(settings))
        command = [sys.executable, "-m", "hantei_operator", "--config", str(config)]
        operator = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            time.sleep(8)
            idle_bytes = _resident_bytes(operator.pid)
            created: dict[str, float] = {}
            start = time.monotonic()
            for number in range(count):
                for kind, offset in (("run", 0.0), ("job", 0.5)):
                    time.sleep(max(0.0, start + (number + offset) / rate - time.monotonic()))
                    name = f"{kind}-{number:04d}"
                    collection, body = _run(name) if kind == "run" else _job(name)
                    path = paths.path(collection, namespace)
                    client.call("POST", path, body=body, timeout_seconds=10)
                    created[name] = time.monotonic()
            time.sleep(5)
            loaded_bytes = _resident_bytes(operator.pid)
        finally:
            operator.terminate()
            operator.wait(20)
    waits = {
        kind: sorted(1000 * (seen[name] - at) for name, at in created.items() if name.startswith(kind) and name in seen)
        for kind in ("run", "job")
    }
    summary = {kind: _summary(each) for kind, each in waits.items()}
    return {
        "count": count,
        "rate_per_second": rate,
        "milliseconds": summary,
        "added_milliseconds": {key: round(summary["run"][key] - summary["job"][key], 1) for key in ("p50", "p99")},
        "operator_rss_mebibytes": {
            "idle": round(idle_bytes / 2**20, 1),
            f"with_{count}_runs": round(loaded_bytes / 2**20, 1),
        },
    }


def _watch_pods(client: Client, namespace: str, seen: dict[str, float]) -> None:
    stream = client.stream(paths.path(paths.PODS, namespace), query={"watch": "true"}, read_timeout_seconds=3600)
    for event in stream:
        metadata = event["object"]["metadata"]
        labels = metadata.get("labels", {})
        name = labels.get(RUN_LABEL) or labels.get("job-name", "")
        if event["type"] == "ADDED":
            seen.setdefault(name, time.monotonic())


def _run(name: str) -> tuple[tuple[str, str], dict[str, Any]]:
    return paths.RUNS, {
        "apiVersion": API_VERSION,
        "kind": "EvaluationRun",
        "metadata": {"name": name},
        "spec": {
            "checkpoint": {"pvc": {"claimName": "none", "path": "checkpoint.pt"}},
            "suite": {"command": {"argv": ["true"]}},
            "resources": {"gpus": 0},
        },
    }


def _job(name: str) -> tuple[tuple[str, str], dict[str, Any]]:
    container = {"name": "evaluator", "image": "hantei/evaluator:dev", "command": ["true"]}
    pod = {"restartPolicy": "Never", "nodeSelector": NOWHERE, "containers": [container]}
    return paths.JOBS, {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
    }


def _summary(values: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=100)
    return {"n": len(values), "p50": round(cuts[49], 1), "p99": round(cuts[98], 1), "max": round(values[-1], 1)}


def _resident_bytes(pid: int) -> int:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
