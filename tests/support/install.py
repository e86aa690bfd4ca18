"""A cluster that the chart is installed on, by the command lines that a person would use."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Self

from support.controlplane import binary


class Cluster:
    """One cluster and one Helm; releases go to ``namespace``."""

    def __init__(self, kubeconfig: Path, helm: str, home: Path, namespace: str = "hantei-system") -> None:
        self._helm = [binary(helm), "--namespace", namespace]
        self._kubectl = [binary("kubectl"), f"--kubeconfig={kubeconfig}"]
        self._environment = os.environ | {
            "KUBECONFIG": str(kubeconfig),
            "HELM_CACHE_HOME": str(home),
            "HELM_CONFIG_HOME": str(home),
            "HELM_DATA_HOME": str(home),
        }

    @classmethod
    def of_environment(cls, helm: str, home: Path, namespace: str = "hantei-system") -> Self:
        """The cluster that KUBECONFIG names."""
        return cls(Path(os.environ["KUBECONFIG"]), helm, home, namespace)

    def helm(self, *arguments: str, succeeds: bool = True) -> str:
        """Output of Helm, which must succeed unless the test says otherwise."""
        command = [*self._helm, *arguments]
        result = subprocess.run(command, capture_output=True, text=True, check=False, env=self._environment)
        assert (result.returncode == 0) is succeeds, result.stdout + result.stderr
        return result.stdout + result.stderr

    def run_kubectl(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Kubectl; who calls looks at the exit status."""
        command = [*self._kubectl, *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Output of kubectl, which must succeed."""
        result = self.run_kubectl(*arguments, stdin=stdin)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def apply(self, body: dict[str, Any]) -> None:
        """Create or update an object."""
        self.kubectl("apply", "-f", "-", stdin=json.dumps(body))

    def may(self, user: str, verb: str, resource: str, namespace: str, subresource: str = "") -> bool:
        """Whether the API server lets a user do it; the resource may be TYPE/NAME."""
        arguments = [verb, resource, f"--subresource={subresource}", f"--namespace={namespace}", f"--as={user}"]
        answer = self.run_kubectl("auth", "can-i", *arguments)
        assert answer.stdout.strip() in {"yes", "no"}, answer.stderr
        return answer.stdout.strip() == "yes"
