"""Two operators and one Lease: whoever lost it writes nothing more, and the run in flight ends right."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from support.controlplane import binary
from support.evaluations import RESULT, python_run
from support.kind import HostOperator, Kind
from support.waiting import POD_SECONDS, REACTION_SECONDS, TIME_SCALE, consistently, eventually

pytestmark = pytest.mark.cluster

STOPPED_SECONDS = 30.0
LOST_THE_LEASE = 3
SLOW = f"import time; time.sleep(12); {RESULT}"
_REQUEST = re.compile(r"accepting (?P<method>[A-Z]+) (?P<path>\S+)")


class LoggingProxy:
    """kubectl proxy: every request of whoever goes through it stands in its log."""

    def __init__(self, directory: Path) -> None:
        self._log = directory / "proxy.log"
        self.kubeconfig = directory / "kubeconfig"
        with self._log.open("wb") as log:
            command = [binary("kubectl"), "proxy", "--port=0", "-v=3"]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        (port,) = eventually(lambda: re.findall(r"Starting to serve on [\d.]+:(\d+)", self._log.read_text()))
        cluster = {"name": "proxy", "cluster": {"server": f"http://127.0.0.1:{port}"}}
        context = {"name": "proxy", "context": {"cluster": "proxy", "user": ""}}
        body = {"apiVersion": "v1", "kind": "Config", "clusters": [cluster], "contexts": [context]}
        self.kubeconfig.write_text(yaml.safe_dump({**body, "current-context": "proxy"}))

    def writes(self) -> list[str]:
        """Method and path of every request that changes something."""
        requests = [match.groups() for match in _REQUEST.finditer(self._log.read_text())]
        return [f"{method} {path}" for method, path in requests if method != "GET"]

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)


@pytest.fixture
def namespace(ring: Kind, request: pytest.FixtureRequest) -> Iterator[str]:
    name = ring.fresh_namespace(f"hantei-lease-{request.node.originalname.split('_')[2]}")
    yield name
    ring.delete("Namespace", name)


def pods_made(kind: Kind, namespace: str) -> list[str]:
    """The job controller says each pod that it made."""
    made = [event["message"] for event in kind.list_all("Event", namespace) if event["reason"] == "SuccessfulCreate"]
    return [message for message in made if message.startswith("Created pod")]


def test_leader_killed_another_leads_and_the_run_in_flight_ends_right(
    ring: Kind, namespace: str, tmp_path: Path
) -> None:
    with HostOperator(ring, tmp_path, namespace, "first") as first:
        first.wait_until_leading()
        with HostOperator(ring, tmp_path, namespace, "second") as second:
            ring.create(python_run("flight", SLOW), namespace)
            ring.reach("flight", namespace, "Running")
            first.process.kill()
            second.wait_until_leading()
            status = ring.finished("flight", namespace, POD_SECONDS)["status"]
    assert (status["phase"], status["reason"], len(status["attempts"])) == ("Succeeded", "Completed", 1)
    assert len(pods_made(ring, namespace)) == 1


def test_leader_stopped_for_30_s_and_continued_writes_nothing_more_and_ends_itself(
    ring: Kind, namespace: str, tmp_path: Path
) -> None:
    proxy = LoggingProxy(tmp_path)
    through = {"KUBECONFIG": str(proxy.kubeconfig)}
    try:
        with HostOperator(ring, tmp_path, namespace, "first", environment=through) as first:
            first.wait_until_leading()
            with HostOperator(ring, tmp_path, namespace, "second") as second:
                ring.create(python_run("flight", SLOW), namespace)
                ring.reach("flight", namespace, "Running")
                assert proxy.writes(), "its writes are seen"
                os.kill(first.process.pid, signal.SIGSTOP)
                stopped_at = time.monotonic()
                before = proxy.writes()
                second.wait_until_leading()
                ring.create(python_run("later", RESULT), namespace)
                ends = {run: ring.finished(run, namespace, POD_SECONDS)["status"] for run in ("flight", "later")}
                left = STOPPED_SECONDS - (time.monotonic() - stopped_at) / TIME_SCALE
                consistently(lambda: first.process.poll() is None, left)
                ring.create(python_run("last", SLOW), namespace)
                os.kill(first.process.pid, signal.SIGCONT)
                assert first.wait_for_exit(REACTION_SECONDS) == LOST_THE_LEASE, first.text()
                ends["last"] = ring.finished("last", namespace, POD_SECONDS)["status"]
                holder = ring.get("Lease", "operator", namespace)["spec"]["holderIdentity"]
                assert f"leading as {holder}" in second.text()
        after = proxy.writes()[len(before) :]
    finally:
        proxy.stop()
    assert not [write for write in after if "/leases/" not in write], after
    assert {status["reason"] for status in ends.values()} == {"Completed"}
    assert {len(status["attempts"]) for status in ends.values()} == {1}
    assert len(pods_made(ring, namespace)) == 3
