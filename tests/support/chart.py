"""The chart as each supported Helm renders it."""

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from support.controlplane import binary

CHART = Path(__file__).parents[2] / "charts" / "hantei"

Rendered = dict[tuple[str, str], dict[str, Any]]
"""Objects by kind and name."""


class Helm:
    """One Helm binary."""

    def __init__(self, name: str) -> None:
        self._binary = binary(name)

    def template(self, **values: Any) -> subprocess.CompletedProcess[str]:
        """``helm template`` with top-level values; keys may be dotted with ``__``."""
        settings = [f"{key.replace('__', '.')}={json.dumps(value)}" for key, value in values.items()]
        return _run(self._binary, tuple(settings))

    def render(self, **values: Any) -> Rendered:
        """All objects that the chart makes of the values."""
        result = self.template(**values)
        assert result.returncode == 0, result.stderr
        objects = [body for body in yaml.safe_load_all(result.stdout) if body]
        found = {(body["kind"], body["metadata"]["name"]): body for body in objects}
        assert len(found) == len(objects) or values.get("watchNamespaces"), "two objects of one kind and name"
        return found

    def refusal(self, **values: Any) -> str:
        """What Helm says about values that the schema refuses."""
        result = self.template(**values)
        assert result.returncode != 0, "the values were accepted"
        return result.stderr

    def lint(self) -> subprocess.CompletedProcess[str]:
        """``helm lint --strict``."""
        return subprocess.run(
            [self._binary, "lint", "--strict", str(CHART)], capture_output=True, text=True, check=False
        )


@cache
def _run(binary: str, settings: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    command = [binary, "template", "hantei", str(CHART), "--namespace", "hantei-system", "--kube-version", "1.34.0"]
    for setting in settings:
        command += ["--set-json", setting]
    return subprocess.run(command, capture_output=True, text=True, check=False)
