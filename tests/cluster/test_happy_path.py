"""What the README promises, on a real cluster: checkpoints are evaluated, and the status says it all."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from hantei_api.names import EVALUATOR_PORT
from support.evaluations import RESULT, evaluation_run, make_claim, on_claim, python_run
from support.kind import HAPPY, LOST, Body, Kind, Watch, condition, is_terminal
from support.waiting import POD_SECONDS, consistently, eventually

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).parents[2]
CLAIM = "models"
DIGITS = ROOT / "examples" / "digits"
KEISEI = ROOT / "tests" / "fixtures" / "keisei" / "checkpoint_ts20000.pth"
TRAIN = 'import subprocess; subprocess.run(["python3", "digits/train.py", "digits"], check=True)'
SLOW = f"import time; time.sleep(8); {RESULT}"
FOR_EVER = "import time; time.sleep(600)"
MAX_COLUMNS = 120


def example(name: str, **spec: Any) -> Body:
    """An example of the repository as it is, on this ring's claim and with what the test adds."""
    body: Body = yaml.safe_load((ROOT / "examples" / name / "evaluationrun.yaml").read_text())
    for source in (body["spec"]["checkpoint"], *body["spec"].get("inputs", [])):
        source["pvc"]["claimName"] = CLAIM
    resources = {**body["spec"]["resources"], **spec.pop("resources", {})}
    body["spec"] |= {**spec, "resources": resources}
    return body


def digits_without_allow_cpu() -> Body:
    body = example("digits", resources={"cpu": "300m"})
    body["metadata"]["name"] = "digits-needs-gpu"
    del body["spec"]["resources"]["allowCpu"]
    return body


@dataclass
class Evaluated:
    """Two examples that have ended, and every version of every run and Job on the way there."""

    digits: Body
    shogi: Body
    runs: Watch
    jobs: Watch


@pytest.fixture(scope="module")
def volume(ring: Kind) -> str:
    """The digits classifier, trained in the evaluator image onto a volume, and Keisei's checkpoint."""
    files = {f"digits/{file}": (DIGITS / file).read_bytes() for file in ("model.py", "train.py", "digits.csv.gz")}
    make_claim(ring, HAPPY, CLAIM, TRAIN, files | {"shogi/checkpoint_ts20000.pth": KEISEI.read_bytes()})
    return CLAIM


@pytest.fixture(scope="module")
def evaluated(ring: Kind, volume: str) -> Iterator[Evaluated]:
    output = {"pvc": {"claimName": volume, "path": "results"}}
    offline = {"project": "digits", "mode": "offline", "group": "training-1"}
    runs, jobs = Watch(ring, "EvaluationRun", HAPPY), Watch(ring, "Job", HAPPY)
    ring.create(example("digits", output=output, wandb=offline, resources={"cpu": "500m"}), HAPPY)
    ring.create(example("shogi", resources={"cpu": "800m"}), HAPPY)
    ring.create(digits_without_allow_cpu(), HAPPY)
    arguments = ["-n", HAPPY, "--for=condition=Finished", f"--timeout={2 * POD_SECONDS:.0f}s"]
    for name in ("digits", "shogi", "digits-needs-gpu"):
        try:
            ring.kubectl("wait", f"evaluationrun/{name}", *arguments)
        except AssertionError as error:
            pytest.fail(f"{error}\n{ring.report(HAPPY)}")
    digits, shogi = (ring.get("EvaluationRun", name, HAPPY) for name in ("digits", "shogi"))
    yield Evaluated(digits, shogi, runs, jobs)
    runs.stop()
    jobs.stop()


def test_status_has_metrics_provenance_clocks_and_gpu_seconds(evaluated: Evaluated) -> None:
    for body in (evaluated.digits, evaluated.shogi):
        status = body["status"]
        assert (status["phase"], status["reason"], status["verdict"]) == ("Succeeded", "Completed", "None")
        first = status["metrics"][0]
        assert 0 <= first["value"] <= 1
        assert first["stderr"] > 0
        assert first["n"] >= 20
        provenance = status["provenance"]
        assert provenance["device"] == "cpu"
        assert "sha256:" in provenance["imageDigest"]
        assert {"python", "torch"} <= set(provenance["versions"])
        assert status["clocks"]["starting"] > 0
        assert status["clocks"]["running"] > 0
        assert status["gpuSeconds"]["running"] == pytest.approx(status["clocks"]["running"], abs=0.01)
        assert status["gpuSeconds"].get("wasted", 0) == 0
    accuracy = evaluated.digits["status"]["metrics"][0]
    assert (accuracy["name"], accuracy["n"]) == ("accuracy", 500)
    assert accuracy["value"] > 0.9
    digest = evaluated.shogi["status"]["provenance"]["checkpointSha256"]
    assert digest == hashlib.sha256(KEISEI.read_bytes()).hexdigest()


def test_pod_had_requests_equal_to_limits_one_gpu_300_s_and_restricted_rights(ring: Kind, evaluated: Evaluated) -> None:
    (pod,) = ring.pods_of("digits", HAPPY)
    spec = pod["spec"]
    (container,) = spec["containers"]
    resources = container["resources"]
    assert resources["requests"] == resources["limits"]
    assert resources["limits"]["nvidia.com/gpu"] == "1"
    assert spec["activeDeadlineSeconds"] == 300
    assert spec["restartPolicy"] == "Never"
    assert spec["automountServiceAccountToken"] is False
    assert not [volume for volume in spec["volumes"] if "projected" in volume], "no API token"
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_successful_run_costs_at_most_6_writes_and_3_events(ring: Kind, evaluated: Evaluated) -> None:
    for name in ("digits", "shogi"):
        status_writes = evaluated.runs.count("MODIFIED", name)
        job_writes = sum(
            evaluated.jobs.count(kind, job["metadata"]["name"])
            for kind in ("ADDED", "DELETED")
            for job in ring.list_all("Job", HAPPY, f"hantei.dev/run={name}")
        )
        assert 3 <= status_writes + job_writes <= 6, (status_writes, job_writes)
        involved = [event for event in ring.list_all("Event", HAPPY) if event["involvedObject"].get("name") == name]
        assert 1 <= sum(event["count"] for event in involved) <= 3


def test_wide_listing_fits_a_terminal_of_120_columns(ring: Kind, evaluated: Evaluated) -> None:
    listing = ring.kubectl("get", "er", "digits", "shogi", "-n", HAPPY, "-o", "wide").splitlines()
    assert max(len(line.rstrip()) for line in listing) <= MAX_COLUMNS, "\n".join(listing)
    (digits,) = [line for line in listing if line.startswith("digits ")]
    score = evaluated.digits["status"]["score"]
    for word in ("classification", "Succeeded", "Completed", score, "hantei-worker", "cpu"):
        assert word in digits


def test_gpu_that_torch_cannot_use_is_never_silently_the_cpu(ring: Kind, evaluated: Evaluated) -> None:
    status = ring.get("EvaluationRun", "digits-needs-gpu", HAPPY)["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "DeviceUnavailable")
    assert "spec.resources.allowCpu: true" in status["message"]


def test_full_results_and_an_offline_wandb_run_are_in_the_output(ring: Kind, evaluated: Evaluated) -> None:
    status = evaluated.digits["status"]
    assert condition(evaluated.digits, "ResultsPublished") == "True"
    synced = next(each for each in status["conditions"] if each["type"] == "WandbSynced")
    assert synced["status"] == "False"
    assert "wandb sync" in synced["message"]
    results = status["results"]
    assert (results["claimName"], results["complete"]) == (CLAIM, True)
    assert results["path"] == f"results/{HAPPY}/digits/attempt-1"
    found = _files(ring, results["path"])
    assert {"result.json", "samples.jsonl"} <= found
    assert any("offline-run-" in file and file.endswith(".wandb") for file in found), found


def test_scrape_of_a_running_pod_agrees_with_the_sla_in_status(ring: Kind, volume: str) -> None:
    suite = {"shogi": {"strategy": "single_opponent", "opponent": {"type": "random"}, "numGames": 40}}
    resources = {"gpus": 0, "cpu": "800m", "memory": "2Gi"}
    checkpoint = on_claim(volume, "shogi/checkpoint_ts20000.pth")
    sla = {"latencySeconds": 0.5, "memoryOverheadBytes": 2**40}
    ring.create(evaluation_run("scraped", suite, checkpoint=checkpoint, resources=resources, sla=sla), HAPPY)
    pod = ring.reach("scraped", HAPPY, "Running")["status"]["podName"]

    def scrape() -> dict[tuple[str, str], float]:
        families = text_string_to_metric_families(ring.through_proxy(pod, HAPPY, EVALUATOR_PORT, "/metrics"))
        samples = [sample for family in families for sample in family.samples]
        found = {(sample.name, sample.labels.get("metric", "")): sample.value for sample in samples}
        return found if found["hantei_evaluation_sla_violations_total", "latency_seconds"] else {}

    scraped = eventually(scrape, describe=lambda: ring.report(HAPPY))

    status = ring.finished("scraped", HAPPY, POD_SECONDS)["status"]
    readings = {reading["metric"]: reading for reading in status["sla"]["readings"]}
    assert len(readings) == 4
    for metric, reading in readings.items():
        assert scraped["hantei_evaluation_sla_threshold", metric] == reading["threshold"]
        assert (f"hantei_evaluation_sla_{metric}", "") in scraped or reading.get("value") is None
        violations = scraped["hantei_evaluation_sla_violations_total", metric]
        assert violations == (metric in status["sla"]["violations"])
    for growing in ("latency_seconds", "memory_overhead_bytes"):
        assert 0 < scraped[f"hantei_evaluation_sla_{growing}", ""] <= readings[growing]["value"]
    assert status["sla"]["passed"] is False


def test_suspended_run_stops_and_its_clocks_stand_still_until_it_is_resumed(ring: Kind) -> None:
    ring.create(python_run("suspended", SLOW, retries={"infrastructure": 0}), HAPPY)
    ring.reach("suspended", HAPPY, "Running")
    ring.patch("EvaluationRun", "suspended", HAPPY, {"spec": {"suspend": True}})

    def stands_still(body: Body) -> bool:
        conditions = body["status"]["conditions"]
        return any(each["reason"] == "Suspended" for each in conditions) and body["status"]["phase"] == "Queued"

    still = eventually(
        lambda: ring.look("suspended", HAPPY, stands_still), POD_SECONDS, describe=lambda: ring.report(HAPPY)
    )
    assert all(is_terminal(pod) for pod in ring.pods_of("suspended", HAPPY))
    assert "queuedSince" not in still["status"]
    consistently(
        lambda: ring.get("EvaluationRun", "suspended", HAPPY)["status"] == still["status"],
        describe=lambda: ring.report(HAPPY),
    )
    ring.patch("EvaluationRun", "suspended", HAPPY, {"spec": {"suspend": False}})
    status = ring.finished("suspended", HAPPY, POD_SECONDS)["status"]
    assert [attempt["reason"] for attempt in status["attempts"]] == ["Cancelled", "Completed"]
    assert status["clocks"]["queued"] < still["status"]["clocks"]["queued"] + 3


def test_cancelled_run_stops_at_once_and_stays_cancelled(ring: Kind) -> None:
    ring.create(python_run("cancelled", FOR_EVER), HAPPY)
    ring.reach("cancelled", HAPPY, "Running")
    ring.patch("EvaluationRun", "cancelled", HAPPY, {"spec": {"cancel": True}})
    status = ring.finished("cancelled", HAPPY, POD_SECONDS)["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "Cancelled")
    assert "cancelled by spec.cancel" in status["message"]
    assert status["failure"]["exitCode"] == 75, "the evaluator was told to stop, and said so"
    with pytest.raises(AssertionError, match="a cancelled run stays cancelled"):
        ring.kubectl("patch", "er", "cancelled", "-n", HAPPY, "--type=merge", "-p", '{"spec":{"cancel":false}}')


def test_run_whose_time_to_live_is_over_goes_with_all_that_it_owned(ring: Kind) -> None:
    ring.create(python_run("short-lived", RESULT, ttlSecondsAfterFinished={"succeeded": 3}), HAPPY)
    ring.finished("short-lived", HAPPY, POD_SECONDS)
    eventually(
        lambda: not ring.exists("EvaluationRun", "short-lived", HAPPY) and not ring.pods_of("short-lived", HAPPY),
        describe=lambda: ring.report(HAPPY),
    )
    assert not ring.list_all("Job", HAPPY, "hantei.dev/run=short-lived")


def _files(ring: Kind, path: str) -> set[str]:
    """Files below a path of the claim, as the node has them."""
    name = ring.get("PersistentVolumeClaim", CLAIM, HAPPY)["spec"]["volumeName"]
    volume = ring.kubectl("get", "pv", name, "-o", "jsonpath={.spec.hostPath.path}{.spec.local.path}")
    return set(ring.on_worker("find", f"{volume}/{path}", "-type", "f", "-printf", r"%P\n").splitlines())


def test_every_example_is_accepted_by_the_api_server(ring: Kind) -> None:
    for path in sorted((ROOT / "examples").glob("*/evaluationrun.yaml")):
        ring.kubectl("create", "--dry-run=server", "-n", LOST, "-f", str(path))
