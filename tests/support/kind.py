"""The kind cluster: objects as dictionaries, the node behind them, and a report of it all for when a wait gives up."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import pytest
import yaml

from hantei_api.names import RUN_LABEL
from hantei_operator.cluster import paths
from hantei_operator.cluster.client import Client, connect
from hantei_operator.cluster.errors import ApiError, NotFound, Unavailable
from support.controlplane import binary
from support.waiting import POD_SECONDS, REACTION_SECONDS, eventually

Body = dict[str, Any]

WORKER = "hantei-worker"
EVALUATOR = "hantei/evaluator:dev"
PAUSE = "registry.k8s.io/pause:3.10"
CALL_SECONDS = 15.0
WATCH_SECONDS = 900
RESTRICTED_LABELS = {"pod-security.kubernetes.io/enforce": "restricted"}
RESTRICTED_POD = {
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "runAsGroup": 10001,
    "fsGroup": 10001,
    "seccompProfile": {"type": "RuntimeDefault"},
}
RESTRICTED_CONTAINER = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}

SYSTEM = "hantei-ring-system"
FAILURES, QUOTA, HAPPY, VERDICTS, LOST = WATCHED = (
    "hantei-ring-failures",
    "hantei-ring-quota",
    "hantei-ring-happy",
    "hantei-ring-verdicts",
    "hantei-ring-lost",
)
"""Where the ring's operator runs, and the namespaces that it looks after."""

KINDS = {
    "EvaluationRun": paths.RUNS,
    "Job": paths.JOBS,
    "Pod": paths.PODS,
    "Event": paths.EVENTS,
    "PersistentVolumeClaim": paths.CLAIMS,
    "Lease": paths.LEASES,
    "Namespace": ("/api/v1", "namespaces"),
    "Node": ("/api/v1", "nodes"),
    "ResourceQuota": ("/api/v1", "resourcequotas"),
    "PriorityClass": ("/apis/scheduling.k8s.io/v1", "priorityclasses"),
    "Deployment": ("/apis/apps/v1", "deployments"),
}


class Kind:
    """The cluster that ``make up`` made."""

    def __init__(self) -> None:
        self.client: Client = connect()
        self.programs: dict[str, Path] = {}
        """Logs of operators that run on this machine, by name: part of every report."""

    def get(self, kind: str, name: str, namespace: str | None = None) -> Body:
        """One object; raises NotFound."""
        return self._call("GET", paths.path(KINDS[kind], namespace, name))

    def list_all(self, kind: str, namespace: str | None = None, selector: str = "") -> list[Body]:
        """The objects of a namespace, or of all."""
        query = {"labelSelector": selector} if selector else None
        items: list[Body] = self._call("GET", paths.path(KINDS[kind], namespace), query=query)["items"]
        return items

    def create(self, body: Body, namespace: str | None = None) -> Body:
        """Create an object."""
        return self._call("POST", paths.path(KINDS[body["kind"]], namespace), body=body)

    def patch(self, kind: str, name: str, namespace: str | None, patch: Body, *, subresource: str = "") -> Body:
        """Merge into an object."""
        return self._call("PATCH", paths.path(KINDS[kind], namespace, name, subresource=subresource), body=patch)

    def delete(self, kind: str, name: str, namespace: str | None = None) -> None:
        """Delete an object, or nothing when it is gone."""
        try:
            self._call("DELETE", paths.path(KINDS[kind], namespace, name), body={"propagationPolicy": "Background"})
        except NotFound:
            return

    def evict(self, pod: str, namespace: str) -> None:
        """What kubectl drain does to each pod of a node."""
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": namespace}}
        self._call("POST", paths.path(paths.PODS, namespace, pod, subresource="eviction"), body=body)

    def through_proxy(self, pod: str, namespace: str, port: int, page: str) -> str:
        """A page of a pod, through the API server."""
        return self.kubectl("get", "--raw", f"/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy{page}")

    def kubectl(self, *arguments: str, stdin: str | bytes | None = None) -> str:
        """Output of kubectl, which must succeed."""
        return output(binary("kubectl"), *arguments, stdin=stdin)

    def on_worker(self, *command: str) -> str:
        """Output of a command on the worker node, whatever its exit status."""
        program = ["docker", "exec", WORKER, *command]
        return subprocess.run(program, capture_output=True, text=True, check=False, timeout=60).stdout

    def pods_of(self, run: str, namespace: str) -> list[Body]:
        """All pods of a run."""
        return self.list_all("Pod", namespace, f"{RUN_LABEL}={run}")

    def finished(self, run: str, namespace: str, timeout_seconds: float) -> Body:
        """Wait for the end of a run; its body."""
        return eventually(
            lambda: self.look(run, namespace, is_finished), timeout_seconds, describe=lambda: self.report(namespace)
        )

    def reach(self, run: str, namespace: str, phase: str, timeout_seconds: float = POD_SECONDS) -> Body:
        """Wait for a phase; the run's body. A run that has ended instead fails the test at once."""

        def there(body: Body) -> bool:
            if is_finished(body) and body["status"]["phase"] != phase:
                pytest.fail(f"{run} ended before {phase}: {body['status']['message']}\n{self.report(namespace)}")
            return bool(body.get("status", {}).get("phase") == phase)

        return eventually(
            lambda: self.look(run, namespace, there), timeout_seconds, describe=lambda: self.report(namespace)
        )

    def look(self, run: str, namespace: str, wanted: Callable[[Body], bool]) -> Body:
        """A run's body; an empty one while it is not as wanted."""
        body = self.get("EvaluationRun", run, namespace)
        return body if wanted(body) else {}

    def fresh_namespace(self, name: str) -> str:
        """An empty namespace where Pod Security restricted is enforced; one that an earlier test run left goes first."""
        self.delete("Namespace", name)
        eventually(lambda: not self.exists("Namespace", name), POD_SECONDS, describe=lambda: f"{name} does not go")
        self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED_LABELS}})
        return name

    def exists(self, kind: str, name: str, namespace: str | None = None) -> bool:
        """Whether an object is there."""
        try:
            self.get(kind, name, namespace)
        except NotFound:
            return False
        return True

    def report(self, namespace: str) -> str:
        """What a person would look at: runs, Jobs, pods, Events, and what the operators say."""
        parts = []
        for kind in ("EvaluationRun", "Job", "Pod"):
            try:
                parts += [
                    f"--- {kind} {body['metadata']['name']}\n{_brief(body)}" for body in self.list_all(kind, namespace)
                ]
            except ApiError as error:
                parts.append(f"--- {kind}: {error}")
        events = self.kubectl("get", "events", "-n", namespace, "--sort-by=.metadata.creationTimestamp")
        parts.append(f"--- events of {namespace}\n{events[-6000:]}")
        for name, log in list(self.programs.items()):
            if name.startswith((f"{namespace}/", "ring/")):
                parts.append(f"--- {name}\n{log.read_text(errors='replace')[-4000:]}")
        if namespace in WATCHED:
            parts.append(f"--- the operator\n{self._operator_logs()}")
        return "\n".join(parts)

    def _operator_logs(self) -> str:
        arguments = ["logs", "-n", SYSTEM, "-l", "app.kubernetes.io/component=operator", "--prefix", "--tail=60"]
        return self.kubectl(*arguments)

    def _call(self, method: str, path: str, *, query: Body | None = None, body: Body | None = None) -> Body:
        return self.client.call(method, path, query=query, body=body, timeout_seconds=CALL_SECONDS)


class Watch:
    """Every version of every object of a kind that a namespace had since now."""

    def __init__(self, kind: Kind, name: str, namespace: str) -> None:
        self.events: list[Body] = []
        query = {"watch": "true", "timeoutSeconds": WATCH_SECONDS}
        self._stream = kind.client.stream(
            paths.path(KINDS[name], namespace), query=query, read_timeout_seconds=WATCH_SECONDS
        )
        threading.Thread(target=self._follow, daemon=True).start()

    def count(self, event: str, name: str) -> int:
        """How often an object was ADDED, MODIFIED or DELETED."""
        return sum(1 for each in self.events if (each["type"], each["object"]["metadata"]["name"]) == (event, name))

    def stop(self) -> None:
        """End it."""
        self._stream.stop()

    def _follow(self) -> None:
        with suppress(Unavailable, ValueError):  # stopped
            for event in self._stream:
                self.events.append(event)  # one by one: others read it meanwhile


class HostOperator:
    """An operator that runs on this machine and looks after one namespace, for tests that kill and stop it."""

    def __init__(
        self,
        kind: Kind,
        directory: Path,
        namespace: str,
        name: str = "operator",
        *,
        settings: Body | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        config = directory / f"{name}.yaml"
        config.write_text(yaml.safe_dump(settings or host_settings(namespace)))
        self.log = directory / f"{name}.log"
        self._kind, self._name = kind, f"{namespace}/{name}"
        kind.programs[self._name] = self.log
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(Path(sys.executable).with_name("hantei-operator")), "--config", str(config)],
                env={**os.environ, **(environment or {})},
                stdout=log,
                stderr=log,
            )

    def wait_until_leading(self) -> None:
        """Wait until it says that it leads."""
        eventually(lambda: "leading: " in self.text(), REACTION_SECONDS * 2, describe=self.text)

    def wait_for_exit(self, timeout_seconds: float) -> int:
        """Its exit status."""
        eventually(lambda: self.process.poll() is not None, timeout_seconds, describe=self.text)
        return self.process.returncode

    def text(self) -> str:
        """Its log."""
        return self.log.read_text(errors="replace")

    def stop(self) -> None:
        """End it, by force if need be."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._kind.programs.pop(self._name, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def host_settings(namespace: str, **evaluations: Any) -> Body:
    """Settings of an operator that looks after one namespace and has its Lease there."""
    return {
        "watchNamespaces": [namespace],
        "leaseNamespace": namespace,
        "leaseName": "operator",
        "httpPort": 0,
        "evaluations": {"image": EVALUATOR, "imagePullPolicy": "Never", "maxConcurrent": 4, **evaluations},
    }


@contextmanager
def paused(kind: Kind, namespace: str) -> Iterator[None]:
    """Other releases that look after all namespaces stand still while the tests run, and come back after them."""
    others = []
    for body in kind.list_all("Deployment", None, "app.kubernetes.io/component=operator,app.kubernetes.io/name=hantei"):
        where = body["metadata"]["namespace"]
        if where != namespace and body["spec"].get("replicas"):
            others.append((body["metadata"]["name"], where, body["spec"]["replicas"]))
    for name, where, _ in others:
        kind.patch("Deployment", name, where, {"spec": {"replicas": 0}})
    try:
        yield
    finally:
        for name, where, replicas in others:
            kind.patch("Deployment", name, where, {"spec": {"replicas": replicas}})


def is_finished(body: Body) -> bool:
    """Whether a run's Finished condition is True."""
    return condition(body, "Finished") == "True"


def condition(body: Body, kind: str) -> str | None:
    """The status of a condition; None when it is absent."""
    return next((each["status"] for each in body.get("status", {}).get("conditions", []) if each["type"] == kind), None)


def is_terminal(pod: Body) -> bool:
    """Whether a pod has ended."""
    return pod["status"].get("phase") in {"Succeeded", "Failed"}


def output(*command: str, stdin: str | bytes | None = None) -> str:
    """Output of a command, which must succeed."""
    data = stdin.encode() if isinstance(stdin, str) else stdin
    result = subprocess.run(command, input=data, capture_output=True, check=False, timeout=300)
    assert result.returncode == 0, f"{' '.join(command[:6])}: {result.stderr.decode()}"
    return result.stdout.decode()


def seconds_between(start: str, end: str) -> float:
    """Seconds between two times of the API."""
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def _brief(body: Body) -> str:
    if body.get("kind", "") == "Pod" or "containers" in body.get("spec", {}):
        kept = {"spec": {"nodeName": body["spec"].get("nodeName")}, "status": body["status"]}
    else:
        kept = {"status": body.get("status", {})}
    kept["metadata"] = {key: body["metadata"].get(key) for key in ("creationTimestamp", "deletionTimestamp")}
    return json.dumps(kept, indent=1)[-5000:]
