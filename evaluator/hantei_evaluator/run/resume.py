"""Samples that an earlier evaluation left, and whether they are this one's too."""

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Literal

from typing_extensions import override

from hantei_api.base import Output
from hantei_evaluator.run.publish import RESULT_FILE
from hantei_evaluator.run.samples import SAMPLES_FILE
from hantei_evaluator.run.values import SampleValues
from hantei_evaluator.run.whole_file import write_whole

IDENTITY_FILE = "identity.json"
BASELINE_PREFIX = "baseline-"
logger = logging.getLogger(__name__)


class Identity(Output):
    """All that a sample depends on beside its sampleId: evaluations that agree in it give the same samples."""

    format: Literal[1] = 1
    """Version of the samples file and of this one."""
    suite: str
    checkpoint_sha256: str
    seed: int
    parts: dict[str, str]
    """The suite's own: digests of data and opponents, versions of rules, settings."""

    @property
    def digest(self) -> str:
        """SHA-256 of the identity in lower-case hex."""
        canonical = json.dumps(self.to_body(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


@dataclass(frozen=True)
class SampleFiles:
    """A samples file and the identity beside it."""

    samples: Path

    @classmethod
    def of(cls, directory: Path, prefix: str = "") -> "SampleFiles":
        """The files of an evaluation's output directory."""
        return cls(directory / f"{prefix}{SAMPLES_FILE}")

    @property
    def identity(self) -> Path:
        """The identity's own file."""
        return self.samples.with_name(self.samples.name.replace(SAMPLES_FILE, IDENTITY_FILE))


class StoredSamples(Mapping[str, Mapping[str, Any]]):
    """Samples by sampleId as the lines of their file, parsed when looked up: a parsed record takes many times the space."""

    def __init__(self, lines: dict[str, bytes], values: SampleValues | None = None) -> None:
        self.lines = lines
        self._values = values
        self.used: set[str] = set()
        """The ids that were looked up: those count as taken over."""

    @override
    def __getitem__(self, sample_id: str) -> Mapping[str, Any]:
        record: dict[str, Any] = json.loads(self.lines[sample_id])
        self.used.add(sample_id)
        if self._values is not None:
            self._values.add(record)
        return record

    @override
    def __contains__(self, sample_id: object) -> bool:
        return sample_id in self.lines

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self.lines)

    @override
    def __len__(self) -> int:
        return len(self.lines)


def read_identity(files: SampleFiles) -> Identity | None:
    """The identity beside a samples file, or None where none is or none that this version understands."""
    try:
        return Identity.model_validate_json(files.identity.read_bytes())
    except (OSError, ValueError):
        return None


def read_lines(path: Path) -> dict[str, bytes]:
    """The samples of a file by sampleId, each as its line, up to the first that isn't whole.

    A process or a node that died leaves a torn last line. Of samples with the same id the first counts. Raises OSError.
    """
    lines: dict[str, bytes] = {}
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            sample_id = _id_of(line)
            if sample_id is None:
                logger.info("%s: line %d is not whole and is dropped with all behind it", path, number)
                break
            lines.setdefault(sample_id, line)
    return lines


def samples_of(files: SampleFiles, identity: Identity) -> dict[str, bytes]:
    """The samples in those files if they are of the same identity; nothing when they aren't, or can't be read."""
    found = read_identity(files)
    if found is None:
        return {}
    if found != identity:
        logger.info(
            "%s is of another evaluation (%s) and is not taken over", files.samples, difference(found, identity)
        )
        return {}
    try:
        lines = read_lines(files.samples)
    except OSError as error:
        logger.warning("%s can't be read, its samples are computed again: %s", files.samples, error)
        return {}
    # Meanwhile another evaluation may have taken the directory over: its identity goes first, and comes last.
    return lines if read_identity(files) == identity else {}


def difference(one: Identity, other: Identity) -> str:
    """The names of what two identities differ in."""
    fields = [name for name in ("suite", "checkpoint_sha256", "seed") if getattr(one, name) != getattr(other, name)]
    parts = [name for name in sorted({*one.parts, *other.parts}) if one.parts.get(name) != other.parts.get(name)]
    return ", ".join(fields + parts) or "nothing"


def earlier_attempts(directory: Path, attempt: int) -> list[Path]:
    """The directories of the attempts before this one, the latest first, where they lie beside it as attempt-N."""
    if directory.name != f"attempt-{attempt}":
        return []
    return [directory.with_name(f"attempt-{number}") for number in range(attempt - 1, 0, -1)]


def gather(identity: Identity, sources: Iterable[SampleFiles]) -> dict[str, bytes]:
    """The samples of that identity in all of those files; of samples with the same id the first counts."""
    lines: dict[str, bytes] = {}
    for source in sources:
        for sample_id, line in samples_of(source, identity).items():
            lines.setdefault(sample_id, line)
    return lines


def move_aside(directory: Path) -> Path:
    """Move another evaluation's files out of the way, into previous-1, previous-2 ... below; returns where they are.

    The identities go last: a move that was cut short is taken up again. Raises OSError.
    """
    target = next(path for number in count(1) if not (path := directory / f"previous-{number}").exists())
    target.mkdir()
    both = (SampleFiles.of(directory), SampleFiles.of(directory, BASELINE_PREFIX))
    for path in (
        directory / RESULT_FILE,
        *(files.samples for files in both),
        *(files.identity for files in reversed(both)),
    ):
        with suppress(FileNotFoundError):
            path.rename(target / path.name)
    return target


def take_over(files: SampleFiles, identity: Identity, lines: Mapping[str, bytes]) -> None:
    """Make those the samples of this evaluation; at no time does an identity stand beside others. Raises OSError."""
    files.samples.parent.mkdir(parents=True, exist_ok=True)
    if read_identity(files) != identity:
        files.identity.unlink(missing_ok=True)
    write_whole(files.samples, b"".join(lines.values()))
    write_whole(files.identity, json.dumps(identity.to_body(), indent=2).encode() + b"\n")


def _id_of(line: bytes) -> str | None:
    if not line.endswith(b"\n"):
        return None
    try:
        sample_id = json.loads(line).get("sampleId")
    except (ValueError, AttributeError):
        return None
    return sample_id if isinstance(sample_id, str) else None
