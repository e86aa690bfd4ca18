"""Keisei's opponents as a run's spec names them."""

import posixpath
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from hantei_api.reasons import Reason
from hantei_api.shogi import AGENT_NAME
from hantei_evaluator.run.errors import EvaluationError

CHECKPOINT_TYPES: Final = ("ppo", "ppo_agent")
MOVE_RULES: Final = ("random", "heuristic")
_NAME_LENGTH: Final = 64


class Opponents:
    """Turns opponents into the spec's, and collects the inputs that their checkpoints lie in."""

    def __init__(self, claim: str) -> None:
        self._claim = claim
        self._directories: dict[str, str] = {}
        """Input's name by directory in the claim."""
        self._names: set[str] = {AGENT_NAME}

    @property
    def inputs(self) -> list[dict[str, Any]]:
        """The spec's inputs."""
        return [
            {"name": name, "pvc": {"claimName": self._claim, "path": directory}}
            for directory, name in self._directories.items()
        ]

    def opponent(self, field: str, kind: object, checkpoint_path: object) -> dict[str, Any]:
        """The spec's opponent for Keisei's type and checkpoint path; ``field`` is the entry's name in an error.

        Raises:
            EvaluationError: a type that Keisei doesn't know, or a checkpoint without a path.

        """
        if kind in MOVE_RULES:
            return {"type": kind}
        if kind not in CHECKPOINT_TYPES:
            known = ", ".join((*MOVE_RULES, *CHECKPOINT_TYPES))
            raise EvaluationError(
                Reason.INVALID_TASK, f"{field}.type is {kind!r}, which must be one of {known}: correct it."
            )
        if not isinstance(checkpoint_path, str) or not checkpoint_path:
            raise EvaluationError(
                Reason.INVALID_TASK,
                f"{field}.checkpoint_path is {checkpoint_path!r}, which must be a path where type is {kind}: name it.",
            )
        return {"type": "checkpoint", "checkpoint": self._reference(field, checkpoint_path)}

    def named(self, field: str, entry: object, default_name: str, default_type: str = "random") -> dict[str, Any]:
        """The spec's named opponent for an entry of a pool: {name, type, checkpoint_path, initial_rating, metadata}.

        Raises:
            EvaluationError: the entry is no mapping, or its opponent is none that Keisei knows.

        """
        if not isinstance(entry, dict):
            raise EvaluationError(Reason.INVALID_TASK, f"{field} is {entry!r}, which must be a mapping: correct it.")
        opponent = self.opponent(field, entry.get("type", default_type), entry.get("checkpoint_path"))
        named = {"name": free_name(str(entry.get("name") or default_name), self._names), **opponent}
        rating = entry.get("initial_rating", _metadata(entry).get("initial_rating"))
        return named if rating is None else named | {"rating": rating}

    def _reference(self, field: str, path: str) -> str:
        inside = inside_volume(f"{field}.checkpoint_path", path)
        directory, file = posixpath.split(inside)
        # A claim's root can't be named as a path: a file in it is an input by itself, and appears as NAME/FILE all the same.
        name = self._directories.setdefault(directory or file, f"opponents-{len(self._directories) + 1}")
        return f"{name}/{file}"


def free_name(name: str, taken: set[str]) -> str:
    """A name that results can carry (letters, digits, dot, underscore, hyphen), like ``name`` and not ``taken``; it is taken then."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "-", name).lstrip("._-")[:_NAME_LENGTH] or "unnamed"
    free, number = plain, 1
    while free in taken:
        number += 1
        free = f"{plain[: _NAME_LENGTH - 6]}-{number}"
    taken.add(free)
    return free


def inside_volume(field: str, path: str) -> str:
    """Keisei's path, taken from the volume's root.

    Raises:
        EvaluationError: it leads out of the volume.

    """
    inside = posixpath.normpath(path.replace("\\", "/")).lstrip("/")
    if inside in {"", "."} or ".." in PurePosixPath(inside).parts:
        raise EvaluationError(
            Reason.INVALID_TASK, f"{field} is {path!r}, which must be a path inside the volume: name it from its root."
        )
    return inside


def _metadata(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = entry.get("metadata")
    return metadata if isinstance(metadata, dict) else {}
