"""What the samples of a checkpoint say, metric by metric: for the comparison with another checkpoint's."""

import json
import math
from array import array
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


class SampleValues:
    """The ``values`` of samples in columns: a million samples are to take tens of bytes each, not a dict each."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._pairs: list[str | None] = []
        self._columns: dict[str, array[float]] = {}

    @classmethod
    def of_lines(cls, lines: Iterable[bytes]) -> "SampleValues":
        """From the lines of a samples file."""
        values = cls()
        for line in lines:
            values.add(json.loads(line))
        return values

    def add(self, record: Mapping[str, Any]) -> None:
        """Take in a sample; of samples with the same id the first counts, and what is no number is left out."""
        sample_id = record["sampleId"]
        if sample_id in self._rows:
            return
        row = self._rows[sample_id] = len(self._pairs)
        pair = record.get("pair")
        self._pairs.append(None if pair is None else str(pair))
        values = record.get("values")
        for name, value in values.items() if isinstance(values, Mapping) else ():
            if isinstance(value, int | float):
                column = self._columns.setdefault(name, array("d"))
                column.extend([math.nan] * (row - len(column)))
                column.append(value)

    def __len__(self) -> int:
        return len(self._pairs)

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics that samples have numbers of."""
        return list(self._columns)

    def of(self, metric: str) -> dict[str, float]:
        """The finite numbers of a metric by sampleId."""
        column = self._columns.get(metric, array("d"))
        return {
            sample_id: column[row]
            for sample_id, row in self._rows.items()
            if row < len(column) and math.isfinite(column[row])
        }

    def pairs(self, sample_ids: Iterable[str]) -> NDArray[np.int64] | None:
        """A number for the pair of each of those samples, or None when samples stand alone."""
        names = [self._pairs[self._rows[sample_id]] for sample_id in sample_ids]
        if all(name is None for name in names):
            return None
        numbers: dict[str, int] = {}
        alone = (f"\0{row}" for row in range(len(names)))
        return np.array(
            [numbers.setdefault(next(alone) if name is None else name, len(numbers)) for name in names], dtype=np.int64
        )
