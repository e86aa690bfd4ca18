"""What computes: a GPU that torch can really use, or the CPU knowingly."""

import json
import subprocess
import sys
import warnings
from dataclasses import asdict, dataclass

from hantei_api.reasons import Reason
from hantei_api.task import TaskLimits
from hantei_evaluator.run.errors import EvaluationError

PROBE_TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Device:
    """A torch device and what it is."""

    kind: str
    """cuda or cpu."""
    name: str
    """The GPU's name, or cpu."""
    uuid: str | None = None
    """As NVML knows it: GPU-..."""
    problem: str = ""
    """Why no GPU can be used."""


CPU = Device(kind="cpu", name="cpu")


def choose(limits: TaskLimits, *, in_child: bool) -> Device:
    """The device to evaluate on.

    ``in_child`` looks in a process of its own, so that this one holds no CUDA context beside the command's.
    Raises DeviceUnavailable when the pod holds a GPU that torch can't use and ``allow_cpu`` isn't set.
    """
    if limits.gpus == 0:
        return CPU
    device = _probe_in_child() if in_child else probe()
    if device.kind == "cpu" and not limits.allow_cpu:
        raise EvaluationError(
            Reason.DEVICE_UNAVAILABLE,
            f"The pod holds {limits.gpus} GPU(s), but torch can't use any: {device.problem}. Use an image whose CUDA "
            "build fits the node's driver, or set spec.resources.allowCpu: true to evaluate on the CPU knowingly.",
        )
    return device


def probe() -> Device:
    """The first GPU, if a kernel really runs on it; else the CPU and why."""
    import torch  # noqa: PLC0415  # seconds to import

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if not torch.cuda.is_available():
                said = "; ".join(str(warning.message).splitlines()[0] for warning in caught)
                build = f"torch {torch.__version__} is built for CUDA {torch.version.cuda}"
                return Device(kind="cpu", name="cpu", problem=f"{said or 'no CUDA device is visible'} ({build})")
            torch.ones(1, device="cuda").add_(1).item()
            properties = torch.cuda.get_device_properties(0)
        except RuntimeError as error:
            return Device(kind="cpu", name="cpu", problem=str(error).splitlines()[0])
    return Device(kind="cuda", name=properties.name, uuid=f"GPU-{properties.uuid}")


def _probe_in_child() -> Device:
    try:
        answer = subprocess.run(  # our own module
            [sys.executable, "-m", "hantei_evaluator.run.device"],
            capture_output=True,
            check=True,
            timeout=PROBE_TIMEOUT_SECONDS,
        )
        return Device(**json.loads(answer.stdout))
    except subprocess.TimeoutExpired:
        return Device(kind="cpu", name="cpu", problem=f"a trial kernel did not end in {PROBE_TIMEOUT_SECONDS} s")
    except subprocess.CalledProcessError as error:
        return Device(kind="cpu", name="cpu", problem=f"a trial kernel ended with exit code {error.returncode}")


if __name__ == "__main__":
    print(json.dumps(asdict(probe())))  # noqa: T201  # the answer to the parent process
