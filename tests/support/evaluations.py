"""Runs for the kind cluster: commands that end as the test wants, on small resources."""

from typing import Any

from hantei_api.names import API_VERSION, RUN_KIND
from support.kind import EVALUATOR, RESTRICTED_CONTAINER, RESTRICTED_POD, Body, Kind
from support.waiting import POD_SECONDS

ANY_CHECKPOINT = {"uri": "file:///etc/hostname"}
"""A file of the image: for commands, which read their checkpoint themselves or not at all."""
SMALL = {"gpus": 0, "cpu": "150m", "memory": "256Mi", "ephemeralStorage": "64Mi"}
RESULT = (
    "import json, os; "
    "json.dump({'metrics': [{'name': 'accuracy', 'value': 0.5, 'stderr': 0.05, 'n': 100}]}, open(os.environ['HANTEI_RESULT'], 'w'))"
)


def evaluation_run(name: str, suite: Body, **spec: Any) -> Body:
    """An EvaluationRun; fields of the spec in camelCase."""
    return {
        "apiVersion": API_VERSION,
        "kind": RUN_KIND,
        "metadata": {"name": name},
        "spec": {"checkpoint": ANY_CHECKPOINT, "suite": suite, "resources": SMALL, **spec},
    }


def python_run(name: str, code: str, **spec: Any) -> Body:
    """A run of the command suite whose program is Python code; the run's name stands in the program's arguments."""
    return evaluation_run(name, {"command": {"argv": ["python3", "-c", code, f"marker-{name}"]}}, **spec)


def on_claim(claim: str, path: str) -> Body:
    """A checkpoint in a volume."""
    return {"pvc": {"claimName": claim, "path": path}}


def make_claim(kind: Kind, namespace: str, claim: str, code: str, files: dict[str, bytes]) -> None:
    """A volume with files on it, and what Python code in the evaluator image makes of them (its working directory)."""
    kind.create(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": claim},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "256Mi"}}},
        },
        namespace,
    )
    maker = f"{claim}-maker"
    kind.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": maker},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": False,
                "terminationGracePeriodSeconds": 1,
                "activeDeadlineSeconds": 600,
                "securityContext": RESTRICTED_POD,
                "containers": [
                    {
                        "name": "maker",
                        "image": EVALUATOR,
                        "imagePullPolicy": "Never",
                        "command": ["sleep", "600"],
                        "workingDir": "/volume",
                        "securityContext": RESTRICTED_CONTAINER,
                        "volumeMounts": [
                            {"name": "volume", "mountPath": "/volume"},
                            {"name": "tmp", "mountPath": "/tmp"},
                        ],
                    }
                ],
                "volumes": [
                    {"name": "volume", "persistentVolumeClaim": {"claimName": claim}},
                    {"name": "tmp", "emptyDir": {}},
                ],
            },
        },
        namespace,
    )
    kind.kubectl("wait", "-n", namespace, "--for=condition=Ready", f"pod/{maker}", f"--timeout={POD_SECONDS:.0f}s")
    inside = ["exec", "-i", "-n", namespace, maker, "--", "python3", "-c"]
    write = "import pathlib, sys; path = pathlib.Path(sys.argv[1]); path.parent.mkdir(parents=True, exist_ok=True); path.write_bytes(sys.stdin.buffer.read())"
    for path, data in files.items():
        kind.kubectl(*inside, write, path, stdin=data)
    if code:
        kind.kubectl(*inside, code)
    kind.delete("Pod", maker, namespace)
