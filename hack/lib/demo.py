"""The demo on a cluster that is up: install the chart, lay checkpoints onto a volume, evaluate them, read the verdicts.

Standard library only; kubectl and helm do the work, and each command that a user would type is shown.
"""

import hashlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SYSTEM, NAMESPACE, CLAIM, COPIER = "hantei-system", "hantei-demo", "hantei-demo", "checkpoints"
VOLUME = "/volume"
FOLLOW_SECONDS = 480
"""Longer than a run's clocks (start and run 300 s, publishing 60 s) and a pull of the image from the node's disk."""

PARTS = ("queued", "starting", "running", "publishing")
START = time.monotonic()

RESTRICTED = {
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "runAsGroup": 10001,
    "fsGroup": 10001,
    "seccompProfile": {"type": "RuntimeDefault"},
}
CLAIM_BODY = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": CLAIM, "namespace": NAMESPACE},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}
COPIER_BODY = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": COPIER, "namespace": NAMESPACE},
    "spec": {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "activeDeadlineSeconds": 900,
        "securityContext": RESTRICTED,
        "containers": [
            {
                "name": "copier",
                "image": "hantei/evaluator:dev",
                "imagePullPolicy": "Never",
                "command": ["sleep", "900"],
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "2Gi"}},
                "volumeMounts": [
                    {"name": "volume", "mountPath": VOLUME},
                    {"name": "tmp", "mountPath": "/tmp"},
                ],
            }
        ],
        "volumes": [
            {"name": "volume", "persistentVolumeClaim": {"claimName": CLAIM}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}},
        ],
    },
}


def say(text: str = "") -> None:
    """One line for the person who watches."""
    print(text, flush=True)


@contextmanager
def step(title: str) -> Iterator[None]:
    """A part of the demo, with the time it took."""
    begin = time.monotonic()
    say(f"\n=== {title}")
    yield
    say(f"    ({time.monotonic() - begin:.0f} s)")


def run(*command: str, show: bool = False, stdin: str | bytes | None = None) -> str:
    """The output of a command; the demo ends with its error text when it fails."""
    if show:
        say(f"  $ {' '.join(command)}")
    data = stdin.encode() if isinstance(stdin, str) else stdin
    result = subprocess.run(command, input=data, capture_output=True, check=False, cwd=ROOT)
    if result.returncode:
        sys.exit(f"demo: {' '.join(command)} failed with exit code {result.returncode}\n{result.stderr.decode()}")
    return result.stdout.decode()


def kubectl(*arguments: str, show: bool = False, stdin: str | bytes | None = None) -> str:
    """Kubectl in the demo's namespace."""
    return run("kubectl", "-n", NAMESPACE, *arguments, show=show, stdin=stdin)


def apply(body: dict[str, Any]) -> None:
    """Create or update one object."""
    run("kubectl", "apply", "-f", "-", stdin=json.dumps(body))


def install() -> None:
    """The chart, with the images that were just built; new images under the same tag restart the operator."""
    for name in (SYSTEM, NAMESPACE):
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    say(f"  namespaces {SYSTEM} and {NAMESPACE}: Pod Security `restricted` is enforced in both")
    image = run("docker", "image", "inspect", "-f", "{{.Id}}", "hantei/operator:dev").strip()
    values = ["--set", "image.tag=dev", "--set", "evaluations.image.tag=dev"]
    values += ["--set", "image.pullPolicy=Never", "--set", "evaluations.image.pullPolicy=Never"]
    values += ["--set", f"podAnnotations.demo/image={image}"]
    run("helm", "upgrade", "--install", "hantei", "charts/hantei", "-n", SYSTEM, "--take-ownership", *values, show=True)
    run("kubectl", "-n", SYSTEM, "rollout", "status", "deployment/hantei", "--timeout=180s", show=True)
    say(indent(run("kubectl", "-n", SYSTEM, "get", "pods", "-l", "app.kubernetes.io/name=hantei")))


def indent(text: str) -> str:
    """Output of a command, set off from our own words."""
    return "\n".join(f"    {line}" for line in text.rstrip().splitlines())


def lay_out_checkpoints() -> None:
    """The digits classifier is trained on the cluster; Keisei's checkpoint is copied from the tests' fixtures."""
    apply(CLAIM_BODY)
    kubectl("delete", "pod", COPIER, "--ignore-not-found", "--wait")
    apply(COPIER_BODY)
    kubectl("wait", "--for=condition=Ready", f"pod/{COPIER}", "--timeout=180s")
    for name in ("model.py", "train.py", "digits.csv.gz"):
        copy(ROOT / "examples" / "digits" / name, f"digits/{name}")
    trained = kubectl("exec", COPIER, "--", "python3", f"{VOLUME}/digits/train.py", f"{VOLUME}/digits", show=True)
    say(indent(trained))
    copy(ROOT / "tests/fixtures/keisei/checkpoint_ts20000.pth", "shogi/checkpoint_ts20000.pth")
    say(
        indent(kubectl("exec", COPIER, "--", "find", VOLUME, "-type", "f", "-size", "+0", "-printf", r"%P  %s bytes\n"))
    )
    kubectl("delete", "pod", COPIER, "--wait")


def copy(source: Path, target: str) -> None:
    """One file onto the volume, unless it is there; a copy that was cut off never has the file's name."""
    data = source.read_bytes()
    path = f"{VOLUME}/{target}"
    script = (
        "import hashlib, os, pathlib, sys; path = pathlib.Path(sys.argv[1]); data = sys.stdin.buffer.read(); "
        "path.parent.mkdir(parents=True, exist_ok=True); part = path.with_suffix('.part'); "
        "assert hashlib.sha256(data).hexdigest() == sys.argv[2], 'cut off'; part.write_bytes(data); os.replace(part, path)"
    )
    kubectl("exec", "-i", COPIER, "--", "python3", "-c", script, path, hashlib.sha256(data).hexdigest(), stdin=data)
    say(f"  {source.relative_to(ROOT)} -> {target}")


def manifest(example: str) -> dict[str, Any]:
    """An example's EvaluationRun."""
    text = kubectl("create", "--dry-run=client", "-o", "json", "-f", f"examples/{example}/evaluationrun.yaml")
    body: dict[str, Any] = json.loads(text)
    return body


def evaluate(name: str) -> dict[str, Any]:
    """Follow a run that was just applied to its end; return it."""
    kubectl("get", "evaluationrun", name)
    follow(name)
    kubectl("wait", "--for=condition=Finished", f"evaluationrun/{name}", "--timeout=60s", show=True)
    body: dict[str, Any] = json.loads(kubectl("get", "evaluationrun", name, "-o", "json"))
    return body


FOLLOWED = (
    "{.status.phase}|{.status.reason}|{.status.progress.text}|{.status.nodeName}"
    '|{.status.conditions[?(@.type=="Finished")].status}{"\\n"}'
)


def follow(name: str) -> None:
    """One line for each change, until the run has finished."""
    say(f"  $ kubectl -n {NAMESPACE} get evaluationrun {name} --watch")
    begin = time.monotonic()
    command = ["kubectl", "-n", NAMESPACE, "get", "evaluationrun", name, "--watch", "-o", f"jsonpath={FOLLOWED}"]
    last = None
    while time.monotonic() - begin < FOLLOW_SECONDS:  # the API server ends a watch now and then
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watch:
            alarm = threading.Timer(FOLLOW_SECONDS - (time.monotonic() - begin), watch.kill)
            alarm.start()
            assert watch.stdout is not None
            for line in watch.stdout:
                phase, reason, progress, node, finished = line.rstrip("\n").split("|")
                now = (phase or "(not seen yet)", reason, progress, f"on {node}" if node else "")
                if now != last:
                    say(f"    {time.monotonic() - begin:6.1f} s  {'  '.join(part for part in now if part)}")
                    last = now
                if finished == "True":
                    break
            alarm.cancel()
            watch.kill()
        if last and finished == "True":
            return
    give_up(f"{name} has not finished within {FOLLOW_SECONDS} s", name)


def give_up(problem: str, name: str) -> None:
    """End the demo with what a person would look at."""
    say(f"\ndemo: {problem}. What the cluster says:")
    commands = [
        ["kubectl", "-n", NAMESPACE, "describe", "evaluationrun", name],
        ["kubectl", "-n", NAMESPACE, "get", "jobs,pods", "-o", "wide"],
        ["kubectl", "-n", NAMESPACE, "get", "events", "--sort-by=.lastTimestamp"],
        ["kubectl", "-n", SYSTEM, "logs", "deployment/hantei", "--tail=40"],
    ]
    for command in commands:
        say(f"  $ {' '.join(command)}")
        subprocess.run(command, check=False)
    sys.exit(1)


def expect(body: dict[str, Any], phase: str, reason: str) -> None:
    """The demo shows what was promised, or fails."""
    status = body["status"]
    if (status["phase"], status["reason"]) != (phase, reason):
        name = body["metadata"]["name"]
        give_up(f"{name} ended as {status['phase']}/{status['reason']} and not as {phase}/{reason}", name)


def show_verdict(body: dict[str, Any]) -> None:
    """What a person wants to know: how good, how sure, by what, how long."""
    status = body["status"]
    say(f"\n  {body['metadata']['name']}: {status['phase']}, {status['reason']}, verdict {status.get('verdict')}")
    say(f"    {'metric':<28}{'value':>12}{'stderr':>12}{'n':>9}")
    for metric in status.get("metrics", [])[:8]:
        stderr = f"{metric['stderr']:.4g}" if metric.get("stderr") is not None else "-"
        say(f"    {metric['name']:<28}{metric['value']:>12.4g}{stderr:>12}{metric['n']:>9}")
    if (left_out := len(status.get("metrics", [])) - 8) > 0:
        say(f"    and {left_out} more in .status.metrics")
    provenance = status.get("provenance", {})
    say(
        f"    device      {provenance.get('device')} (the run sets allowCpu, because this cluster's GPUs are stand-ins)"
    )
    say(f"    image       {provenance.get('imageDigest') or provenance.get('image')}")
    say(f"    checkpoint  sha256 {provenance.get('checkpointSha256')}")
    say(
        f"    versions    {', '.join(f'{key} {value}' for key, value in sorted(provenance.get('versions', {}).items()))}"
    )
    clocks, held = status.get("clocks", {}), status.get("gpuSeconds", {})
    say(f"    clocks      {', '.join(f'{key} {clocks[key]:.1f} s' for key in PARTS if key in clocks)}")
    say(f"    GPU-seconds {', '.join(f'{key} {held[key]:.1f}' for key in (*PARTS[1:], 'wasted') if key in held)}")
    if results := status.get("results"):
        say(
            f"    results     claim {results.get('claimName')}, {results.get('path')}, complete: {results.get('complete')}"
        )


def evaluate_example(example: str) -> None:
    """Apply an example as it is in the repository, replacing the run of an earlier demo."""
    path = f"examples/{example}/evaluationrun.yaml"
    kubectl("delete", "-f", path, "--ignore-not-found", "--wait")
    kubectl("apply", "-f", path, show=True)
    body = evaluate(manifest(example)["metadata"]["name"])
    expect(body, "Succeeded", "Completed")
    show_verdict(body)


def evaluate_without_allow_cpu() -> None:
    """The same run, but the GPU that it holds must be one that torch can use."""
    body = manifest("digits")
    name = body["metadata"]["name"] = "no-gpu"
    body["spec"].setdefault("resources", {}).pop("allowCpu", None)
    kubectl("delete", "evaluationrun", name, "--ignore-not-found", "--wait")
    kubectl("apply", "-f", "-", stdin=json.dumps(body))
    say("  the digits run again, without resources.allowCpu")
    finished = evaluate(name)
    expect(finished, "Failed", "DeviceUnavailable")
    say(f"    message: {finished['status']['message']}")


def main() -> None:
    """The demo from the chart on."""
    with step("Hantei, by Helm"):
        install()
    with step("two checkpoints on a volume: digits (trained now, on the cluster) and Keisei's Shogi network"):
        lay_out_checkpoints()
    with step("the digits classifier"):
        evaluate_example("digits")
    with step("the Shogi network against random moves"):
        evaluate_example("shogi")
    with step("a GPU that can't be used is never silently replaced by the CPU"):
        evaluate_without_allow_cpu()
    with step("all runs"):
        say("  $ kubectl -n hantei-demo get evaluationruns -o wide")
        say(indent(kubectl("get", "evaluationruns", "-o", "wide")))
    say(f"""
Done in {time.monotonic() - START:.0f} s. Where to look next:
  eval "$(hack/lab env)"                                    kubectl, helm and the cluster's KUBECONFIG
  kubectl -n {NAMESPACE} get evaluationrun digits -o yaml   all of the verdict
  kubectl -n {NAMESPACE} describe evaluationrun digits      its events
  kubectl explain evaluationrun.spec                        the manual
  examples/, docs/reasons.md                                runs to copy from; every failure and its way out
  make test                                                 the tests, on the same cluster
  make clean                                                removes everything that was made""")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\ndemo: interrupted; `make demo` goes on from what is there")
