"""A stand-in for the module pynvml, where there is no GPU."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, NoReturn


class NVMLError(Exception):
    """As NVML's: any failure."""


class NotSupportedError(NVMLError):
    """As NVML's: the device can't do that."""


class NotFoundError(NVMLError):
    """As NVML's: there is no such device."""


def nvml_error(*_: object) -> NoReturn:
    """Fail as NVML does without a driver."""
    raise NVMLError("Driver Not Loaded")


class StandInNvml:
    """Answers as pynvml does for one device, with one value of each list per call; the last one stays."""

    NVML_DEVICE_MIG_ENABLE = 1
    NVMLError_NotSupported = NotSupportedError
    NVMLError_NotFound = NotFoundError

    def __init__(
        self,
        *,
        utilization: Sequence[int] = (0,),
        used: Sequence[int] = (0,),
        mig_mode: int | None = None,
        mig_device: bool = False,
    ) -> None:
        self.opened: list[str] = []
        self._utilization = list(utilization)
        self._used = list(used)
        self._mig_mode = mig_mode
        self._mig_device = mig_device
        self.nvmlInit: Any = lambda: None
        self.nvmlDeviceGetHandleByUUID: Any = self._open
        self.nvmlDeviceGetUtilizationRates: Any = lambda _: SimpleNamespace(gpu=self._next(self._utilization))
        self.nvmlDeviceGetMemoryInfo: Any = lambda _: SimpleNamespace(used=self._next(self._used), total=1000)
        self.nvmlDeviceGetMigMode: Any = self._mode

    @staticmethod
    def _next(values: list[int]) -> int:
        return values.pop(0) if len(values) > 1 else values[0]

    def _open(self, uuid: str) -> str:
        if uuid.startswith("MIG-") != self._mig_device:
            raise NotFoundError("Not Found")
        self.opened.append(uuid)
        return uuid

    def _mode(self, _: object) -> tuple[int, int]:
        if self._mig_mode is None:
            raise NotSupportedError("Not Supported")
        return self._mig_mode, self._mig_mode
