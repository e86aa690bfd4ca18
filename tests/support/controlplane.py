"""A real etcd and kube-apiserver in a temporary directory, and on demand the controllers, the scheduler and kwok."""

import os
import shutil
import socket
import ssl
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client, config

from support.waiting import START_SECONDS, eventually

TOKEN = "control-plane-test"
CONTROLLERS = (
    "job-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "serviceaccount-controller",
    "resourcequota-controller",
    "ttl-after-finished-controller",
    "pod-garbage-collector-controller",
    "node-lifecycle-controller",
    "taint-eviction-controller",
    "disruption-controller",
)


def binary(name: str) -> str:
    """Path of a program that ``make tools`` provides; the test fails without it."""
    cache = Path(os.environ.get("KINDLAB_CACHE", Path.home() / ".cache" / "kindlab"))
    path = shutil.which(name, path=f"{os.environ['PATH']}:{cache / 'bin'}")
    if path is None:
        pytest.fail(f"{name} is neither on PATH nor in {cache / 'bin'}: run make tools")
    return path


class ControlPlane:
    """One API server with its own etcd; ``stop`` ends every program it started."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.url = f"https://127.0.0.1:{_free_port()}"
        self.kubeconfig = directory / "kubeconfig"
        self._account_key = directory / "service-accounts.key"
        self._certificate = directory / "serving" / "apiserver.crt"
        self._programs: list[tuple[str, subprocess.Popen[bytes]]] = []

    def start(self) -> None:
        """Start etcd and kube-apiserver; returns when the API server is ready."""
        self._make_key()
        self.kubeconfig.write_text(yaml.safe_dump(self._kubeconfig()))
        (self.directory / "tokens.csv").write_text(f"{TOKEN},admin,admin,system:masters\n")
        etcd, peer = (f"http://127.0.0.1:{_free_port()}" for _ in range(2))
        self._launch(
            "etcd",
            f"--data-dir={self.directory / 'etcd'}",
            f"--listen-client-urls={etcd}",
            f"--advertise-client-urls={etcd}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
        )
        self._launch(
            "kube-apiserver",
            f"--etcd-servers={etcd}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self.url.rpartition(':')[2]}",
            f"--cert-dir={self._certificate.parent}",
            f"--token-auth-file={self.directory / 'tokens.csv'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self._account_key}",
            f"--service-account-signing-key-file={self._account_key}",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--authorization-mode=Node,RBAC",
            "--max-requests-inflight=2000",
            "--max-mutating-requests-inflight=1000",
        )
        eventually(self._ready, START_SECONDS, describe=self.logs)

    def start_controllers(self) -> None:
        """Start kube-controller-manager with the controllers that Jobs, pods, quotas and namespaces need."""
        self._launch(
            "kube-controller-manager",
            f"--kubeconfig={self.kubeconfig}",
            f"--service-account-private-key-file={self._account_key}",
            f"--controllers={','.join(CONTROLLERS)}",
            "--leader-elect=false",
            "--secure-port=0",
        )

    def start_scheduler(self) -> None:
        """Start kube-scheduler."""
        self._launch("kube-scheduler", f"--kubeconfig={self.kubeconfig}", "--leader-elect=false", "--secure-port=0")

    def start_kwok(self, *configurations: Path) -> None:
        """Start kwok as the stand-in for the kubelets of all nodes annotated ``kwok.x-k8s.io/node: fake``."""
        self._launch(
            "kwok",
            f"--kubeconfig={self.kubeconfig}",
            "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
            "--node-lease-duration-seconds=40",
            *(f"--config={path}" for path in configurations),
        )

    def api_client(self) -> client.ApiClient:
        """A client with every right."""
        return config.new_client_from_config(str(self.kubeconfig))

    def kubectl(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run kubectl against this API server; who calls looks at the exit status."""
        command = [binary("kubectl"), f"--kubeconfig={self.kubeconfig}", *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)

    def logs(self) -> str:
        """The last lines of every program that was started."""
        return "\n".join(
            f"== {name} (exit status {program.poll()})\n{_tail(self._log(name))}" for name, program in self._programs
        )

    def stop(self) -> None:
        """End what was started, the last one first."""
        for _, program in reversed(self._programs):
            program.terminate()
            try:
                program.wait(timeout=5)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()

    def _launch(self, name: str, *arguments: str) -> None:
        with self._log(name).open("wb") as log:
            command = [binary(name), *arguments]
            # A session of its own: Ctrl-C in the terminal ends the test first, which then stops these in order.
            program = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.directory, start_new_session=True)
        self._programs.append((name, program))

    def _log(self, name: str) -> Path:
        return self.directory / f"{name}.log"

    def _ready(self) -> bool:
        for name, program in self._programs:
            if program.poll() is not None:
                pytest.fail(f"{name} ended\n{self.logs()}")
        request = urllib.request.Request(f"{self.url}/readyz", headers={"Authorization": f"Bearer {TOKEN}"})
        try:
            trust = ssl.create_default_context(cafile=self._certificate)
            with urllib.request.urlopen(request, timeout=2, context=trust) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _make_key(self) -> None:
        openssl = shutil.which("openssl") or pytest.fail("openssl is not on PATH: install it")
        command = [openssl, "genrsa", "-out", str(self._account_key), "2048"]
        subprocess.run(command, check=True, capture_output=True, timeout=60)

    def _kubeconfig(self) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
            "users": [{"name": "admin", "user": {"token": TOKEN}}],
            "clusters": [
                {
                    "name": "test",
                    "cluster": {"server": self.url, "certificate-authority": str(self._certificate)},
                }
            ],
        }


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _tail(path: Path, characters: int = 3000) -> str:
    return path.read_text(errors="replace")[-characters:]
