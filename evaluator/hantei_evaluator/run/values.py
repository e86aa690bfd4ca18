"""What the samples of a checkpoint say, metric by metric: for the comparison with another checkpoint's."""

import json
import math
from array import array
from collections.abc import Iterable, Mapping
from typing import Any


class SampleValues:
    """The ``values`` of samples in columns: a million samples are to take tens of bytes each, not a dict each."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._pairs: dict[str, str] = {}
        self._columns: dict[str, array[float]] = {}

    @classmethod
    def of_lines(cls, lines: Iterable[bytes]) -> "SampleValues":
        """From the lines of a samples file."""
        values = cls()
        for line in lines:
            values.add(json.loads(line))
        return values

    def add(self, record: Mapping[str, Any]) -> None:
        """Take in a sample; of samples with the same id the first counts, and what is no finite number is left out."""
        sample_id = record["sampleId"]
        if sample_id in self._rows:
            return
        row = self._rows[sample_id] = len(self._rows)
        if record.get("pair") is not None:
            self._pairs[sample_id] = str(record["pair"])
        values = record.get("values")
        for name, value in values.items() if isinstance(values, Mapping) else ():
            if isinstance(value, int | float) and math.isfinite(value):
                column = self._columns.setdefault(name, array("d"))
                column.extend([math.nan] * (row - len(column)))
                column.append(value)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics that samples have numbers of."""
        return list(self._columns)

    @property
    def pairs(self) -> Mapping[str, str]:
        """The pair of each sample that depends on others."""
        return self._pairs

    def of(self, metric: str) -> dict[str, float]:
        """The numbers of a metric by sampleId, of the samples that have one."""
        column = self._columns.get(metric, array("d"))
        found = zip(self._rows, column, strict=False)
        return {sample_id: value for sample_id, value in found if not math.isnan(value)}
