"""The two images are what a cluster's owner expects: small where they can be, unprivileged, and cheap to update."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

pytestmark = pytest.mark.cluster

OPERATOR = "hantei/operator:dev"
EVALUATOR = "hantei/evaluator:dev"
OPERATOR_LIMIT_BYTES = 180_000_000
BASE_LABEL = "org.opencontainers.image.base.name"

# The ten largest packages of an image's environment, and whether it has torch.
SURVEY = """
import importlib.util, json, pathlib, site
def size(path):
    return sum(f.stat().st_size for f in path.rglob("*") if f.is_file()) if path.is_dir() else path.stat().st_size
packages = [(size(p), p.name) for p in pathlib.Path(site.getsitepackages()[0]).iterdir()]
torch = importlib.util.find_spec("torch") is not None
print(json.dumps({"largest": sorted(packages, reverse=True)[:10], "torch": torch}))
"""

# What a pod with a read-only root file system may do, and what it may not.
WRITES = """
import json, os, pathlib, tempfile
tempfile.NamedTemporaryFile().close()
pathlib.Path(pathlib.Path.home(), ".cache").mkdir()
try:
    pathlib.Path("/opt/hantei/x").touch()
except OSError as error:
    refused = error.strerror
print(json.dumps({"uid": os.getuid(), "gid": os.getgid(), "refused": refused}))
"""

LOAD_ENTRY_POINT = """
import importlib.metadata, json
(script,) = importlib.metadata.entry_points(group="console_scripts", name="{command}")
script.load()
print(json.dumps({{"loaded": script.name}}))
"""


def docker(*arguments: str) -> str:
    result = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, f"docker {' '.join(arguments[:4])}: {result.stderr}"
    return result.stdout


def inspect(image: str) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(docker("image", "inspect", image))[0]
    return facts


def run_python(image: str, program: str) -> dict[str, Any]:
    """Run ``program`` the way a restricted pod would, and read the JSON it prints."""
    options = ["--rm", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--network", "none"]
    answer: dict[str, Any] = json.loads(docker("run", *options, "--entrypoint", "python3", image, "-c", program))
    return answer


def test_operator_adds_at_most_180_mb_to_its_base() -> None:
    operator = inspect(OPERATOR)
    added = operator["Size"] - inspect(operator["Config"]["Labels"][BASE_LABEL])["Size"]
    largest = run_python(OPERATOR, SURVEY)["largest"]
    listing = "\n".join(f"{size / 1e6:8.1f} MB  {name}" for size, name in largest)
    assert added <= OPERATOR_LIMIT_BYTES, f"{OPERATOR} adds {added / 1e6:.0f} MB to its base:\n{listing}"


def test_only_the_evaluator_has_torch() -> None:
    assert run_python(OPERATOR, SURVEY)["torch"] is False
    assert run_python(EVALUATOR, SURVEY)["torch"] is True


@pytest.mark.parametrize("image", [OPERATOR, EVALUATOR])
def test_image_runs_as_a_numeric_user_on_a_read_only_root_file_system(image: str) -> None:
    user, group = inspect(image)["Config"]["User"].split(":")
    assert int(user) >= 10_000, "a numeric user lets the kubelet check runAsNonRoot"
    assert run_python(image, WRITES) == {"uid": int(user), "gid": int(group), "refused": "Read-only file system"}


@pytest.mark.parametrize("image", [OPERATOR, EVALUATOR])
def test_entry_point_of_the_image_imports_with_the_packages_it_has(image: str) -> None:
    (command,) = inspect(image)["Config"]["Entrypoint"]
    assert run_python(image, LOAD_ENTRY_POINT.format(command=command)) == {"loaded": command}


def test_a_change_of_our_code_leaves_the_layers_of_torch_and_the_packages_untouched() -> None:
    history = docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", EVALUATOR).splitlines()
    newest_first = [
        next(i for i, step in enumerate(history) if part in step)
        for part in ("/wheels/*.whl", "image-install -r /opt/hantei/lock/evaluator.txt", "lock/torch.txt #")
    ]
    assert newest_first == sorted(newest_first), history
    code_layer_bytes = int(
        docker("history", "--human=false", "--format", "{{.Size}}", EVALUATOR).splitlines()[newest_first[0]]
    )
    assert code_layer_bytes < 5_000_000, "the layer that every code change rebuilds holds our code alone"
