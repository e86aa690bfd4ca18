"""From a checkpoint to a verdict on a real cluster: baselines, gates, service levels, memory, and a pod that is killed on the way."""

import json
from pathlib import Path

import pytest

from support.evaluations import SMALL, evaluation_run, make_claim, on_claim, python_run
from support.kind import SYSTEM, VERDICTS, Body, Kind, condition
from support.waiting import POD_SECONDS, eventually

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).parents[2]
CLAIM = "models"
DIGITS = ROOT / "examples" / "digits"
KEISEI = ROOT / "tests" / "fixtures" / "keisei" / "checkpoint_ts20000.pth"
TRAIN_AND_SPOIL = """
import pathlib, shutil, subprocess, torch
subprocess.run(["python3", "digits/train.py", "digits"], check=True)
(good,) = pathlib.Path("digits").glob("*.pt")
shutil.move(good, "digits/good.pt")
content = torch.load("digits/good.pt", weights_only=True)
weights = content.get("model_state_dict", content)
torch.manual_seed(1)
for tensor in weights.values():
    tensor += 0.6 * tensor.std() * torch.randn_like(tensor)
torch.save(weights, "digits/worse.pt")
"""
TORCH = {**SMALL, "cpu": "500m", "memory": "2Gi"}
OUTPUT = {"pvc": {"claimName": CLAIM, "path": "results"}}
INPUTS = [{"name": "digits", "pvc": {"claimName": CLAIM, "path": "digits"}}]
SUITE = {"classification": {"model": "digits/model.py:build", "data": "digits/digits.npz"}}
GATE = {"metric": "accuracy", "maxDrop": 0.02}
GROWS = """
import json, os, time
with open(os.environ["HANTEI_RESULT"], "w") as file:
    json.dump({"metrics": [{"name": "accuracy", "value": 0.5, "stderr": 0.05, "n": 100}]}, file)
kept = []
while True:
    kept.append(b"x" * 4_000_000)
    time.sleep(0.1)
"""


def digits(name: str, checkpoint: str, **spec: object) -> Body:
    source = {**on_claim(CLAIM, f"digits/{checkpoint}.pt"), "trainingStep": 100}
    given = {"checkpoint": source, "inputs": INPUTS, "resources": TORCH, "output": OUTPUT} | spec
    return evaluation_run(name, SUITE, **{field: value for field, value in given.items() if value is not None})


@pytest.fixture(scope="module")
def volume(ring: Kind) -> str:
    """A digits classifier, a spoiled copy of it, and Keisei's checkpoint."""
    files = {f"digits/{file}": (DIGITS / file).read_bytes() for file in ("model.py", "train.py", "digits.csv.gz")}
    make_claim(ring, VERDICTS, CLAIM, TRAIN_AND_SPOIL, files | {"shogi/checkpoint_ts20000.pth": KEISEI.read_bytes()})
    return CLAIM


@pytest.fixture(scope="module")
def good(ring: Kind, volume: str) -> Body:
    """The run that others are compared with; a run that names it waits until it is there and done."""
    ring.create(digits("worse", "worse", baseline={"run": "good"}, gate=GATE), VERDICTS)

    def waits(body: Body) -> bool:
        conditions = body.get("status", {}).get("conditions", [])
        return any(each["reason"] == "WaitingForBaseline" for each in conditions)

    eventually(lambda: ring.look("worse", VERDICTS, waits), describe=lambda: ring.report(VERDICTS))
    ring.create(digits("good", "good"), VERDICTS)
    return ring.finished("good", VERDICTS, 2 * POD_SECONDS)


def test_worse_checkpoint_waits_for_its_baseline_and_regresses(ring: Kind, good: Body) -> None:
    assert good["status"]["reason"] == "Completed", good["status"]["message"]
    status = ring.finished("worse", VERDICTS, 2 * POD_SECONDS)["status"]
    assert (status["phase"], status["reason"], status["verdict"]) == ("Succeeded", "GateFailed", "Regressed")
    compared = status["comparison"]
    assert (compared["metric"], compared["baseline"], compared["n"]) == ("accuracy", "run good", 500)
    assert compared["low"] <= compared["difference"] <= compared["high"] < 0
    assert compared["baselineValue"] == pytest.approx(good["status"]["metrics"][0]["value"])
    assert "accuracy" in status["message"]


def test_same_checkpoint_passes_and_its_samples_are_not_computed_again(ring: Kind, good: Body) -> None:
    ring.create(digits("same", "good", baseline={"run": "good"}, gate=GATE), VERDICTS)
    status = ring.finished("same", VERDICTS, 2 * POD_SECONDS)["status"]
    assert (status["reason"], status["verdict"]) == ("Completed", "Pass"), status["message"]
    assert status["comparison"]["difference"] == 0
    assert status["provenance"]["reusedSamples"] == 500
    assert status["metrics"][0] == good["status"]["metrics"][0]


def test_baseline_checkpoint_is_evaluated_in_the_same_pod(ring: Kind, good: Body) -> None:
    baseline = {"checkpoint": on_claim(CLAIM, "digits/good.pt")}
    ring.create(digits("beside", "worse", baseline=baseline, gate=GATE, output=None), VERDICTS)
    status = ring.finished("beside", VERDICTS, 2 * POD_SECONDS)["status"]
    assert (status["reason"], status["verdict"]) == ("GateFailed", "Regressed"), status["message"]
    assert status["comparison"]["baselineValue"] == pytest.approx(good["status"]["metrics"][0]["value"])


@pytest.mark.parametrize(("enforce", "reason"), [(False, "Completed"), (True, "SlaViolated")])
def test_breach_is_in_status_event_metric_and_wandb_and_ends_the_run_only_when_enforced(
    ring: Kind, volume: str, reason: str, *, enforce: bool
) -> None:
    name = "enforced" if enforce else "recorded"
    sla = {"latencySeconds": 0.0001, "memoryOverheadBytes": 1, "enforce": enforce}
    wandb = {"project": "digits", "mode": "offline"}
    ring.create(digits(name, "good", sla=sla, wandb=wandb), VERDICTS)
    status = ring.finished(name, VERDICTS, 2 * POD_SECONDS)["status"]
    assert status["reason"] == reason, status["message"]
    assert status["metrics"][0]["n"] == 500
    assert status["sla"]["passed"] is False
    assert {"latency_seconds", "memory_overhead_bytes"} <= set(status["sla"]["violations"])
    assert "latency_seconds" in status["message"]

    def said() -> list[Body]:
        events = ring.list_all("Event", VERDICTS)
        mine = [each for each in events if each["involvedObject"]["name"] == name and each["reason"] == reason]
        return [each for each in mine if "latency_seconds" in each["message"]]

    eventually(said, describe=lambda: ring.report(VERDICTS))
    assert _violations(ring)["latency_seconds"] >= 1
    result = json.loads(_on_volume(ring, "cat", f"{status['results']['path']}/result.json"))
    assert result["sla"]["passed"] is False
    logged = _on_volume(ring, "find", status["results"]["path"], "-name", "*.wandb", "-size", "+0")
    assert "offline-run-" in logged


def test_growing_evaluation_ends_with_its_own_reason_before_the_kernel_kills_it(ring: Kind, volume: str) -> None:
    ring.create(python_run("grows", GROWS, resources={**SMALL, "memory": "300Mi"}), VERDICTS)
    status = ring.finished("grows", VERDICTS, 2 * POD_SECONDS)["status"]
    assert status["reason"] == "MemoryLimitReached", status["message"]
    assert status["metricsPartial"] is True
    assert status["metrics"][0]["name"] == "accuracy"
    assert status["failure"]["exitCode"] == 75


def test_killed_pod_is_followed_by_one_that_plays_only_the_missing_games(ring: Kind, volume: str) -> None:
    games = 120
    suite = {"shogi": {"numGames": games, "maxMoves": 200}}
    checkpoint = on_claim(CLAIM, "shogi/checkpoint_ts20000.pth")
    retries = {"infrastructure": 1}
    ring.create(
        evaluation_run("resumed", suite, checkpoint=checkpoint, resources=TORCH, output=OUTPUT, retries=retries),
        VERDICTS,
    )
    body = ring.reach("resumed", VERDICTS, "Running")
    samples = f"results/{VERDICTS}/resumed/attempt-1/samples.jsonl"
    eventually(
        lambda: len(_on_volume(ring, "cat", samples).splitlines()) >= 3,
        POD_SECONDS,
        describe=lambda: ring.report(VERDICTS),
    )
    ring.kubectl("delete", "pod", "-n", VERDICTS, body["status"]["podName"], "--grace-period=1", "--wait=false")
    status = ring.finished("resumed", VERDICTS, 3 * POD_SECONDS)["status"]
    assert [attempt["reason"] for attempt in status["attempts"]] == ["PodLost", "Completed"]
    assert status["metrics"][0]["n"] == games
    assert 0 < status["provenance"]["reusedSamples"] < games
    lines = _on_volume(ring, "cat", f"{status['results']['path']}/samples.jsonl").splitlines()
    ids = [json.loads(line)["sampleId"] for line in lines]
    assert len(ids) == len(set(ids)) == games


def test_run_with_output_says_where_its_results_are(ring: Kind, good: Body) -> None:
    assert condition(good, "ResultsPublished") == "True"
    assert good["status"]["results"]["path"] == f"results/{VERDICTS}/good/attempt-1"


def _on_volume(ring: Kind, program: str, path: str, *arguments: str) -> str:
    """Output of a program on the node, over a path of the claim."""
    name = ring.get("PersistentVolumeClaim", CLAIM, VERDICTS)["spec"]["volumeName"]
    volume = ring.kubectl("get", "pv", name, "-o", "jsonpath={.spec.hostPath.path}{.spec.local.path}")
    return ring.on_worker(program, f"{volume}/{path}", *arguments)


def _violations(ring: Kind) -> dict[str, float]:
    """The operator's counts of missed service levels, over both replicas: one of them leads."""
    found: dict[str, float] = {}
    for pod in ring.list_all("Pod", SYSTEM, "app.kubernetes.io/component=operator"):
        text = ring.through_proxy(pod["metadata"]["name"], SYSTEM, 8080, "/metrics")
        for line in text.splitlines():
            if line.startswith("hantei_run_sla_violations_total{"):
                metric = line.partition('metric="')[2].partition('"')[0]
                found[metric] = found.get(metric, 0.0) + float(line.rpartition(" ")[2])
    return found
