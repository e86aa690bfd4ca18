"""Finds a function of the user's: FILE.py:FUNCTION below the inputs, or package.module:FUNCTION of the image."""

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError


def load_function(field: str, entry_point: str, inputs: Path) -> Callable[..., Any]:
    """The function; its file's directory is put on ``sys.path``, so that it may import its neighbours.

    Raises InvalidTask, naming ``field``, when there is no such file, module or function. What the code itself raises
    on import passes through, with its traceback.
    """
    place, _, name = entry_point.rpartition(":")
    module = _load_file(field, inputs / place, place) if place.endswith(".py") else _load_module(field, place)
    function: object = getattr(module, name, None)
    if not callable(function):
        found = ", ".join(each for each, value in vars(module).items() if callable(value) and not each.startswith("_"))
        raise EvaluationError(
            Reason.INVALID_TASK, f"{field}: {place} has no function {name}; it has {found[:200] or 'none'}."
        )
    return function


def digest_of(entry_point: str, inputs: Path) -> str:
    """SHA-256 of the function's source: of all Python files below its file's directory, or of its module's file.

    Call it after ``load_function``. A module without a file, such as a built-in one, is known by its name alone.
    """
    place, _, name = entry_point.rpartition(":")
    if place.endswith(".py"):
        directory = (inputs / place).parent
        files = sorted(directory.rglob("*.py"))
    else:
        origin = getattr(sys.modules[place], "__file__", None)
        directory, files = Path(), [Path(origin)] if origin else []
    digest = hashlib.sha256(f"{Path(place).name}:{name}\n".encode())
    for file in files:
        # The path below the directory: an input lies elsewhere on every machine.
        shown = file.relative_to(directory) if place.endswith(".py") else file.name
        digest.update(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {shown}\n".encode())
    return digest.hexdigest()


def _load_file(field: str, path: Path, place: str) -> ModuleType:
    if not path.is_file():
        there = sorted(each.name for each in path.parent.iterdir())[:8] if path.parent.is_dir() else []
        raise EvaluationError(
            Reason.INVALID_TASK,
            f"{field}: there is no file {place} below the inputs; its directory holds {', '.join(there) or 'nothing'}.",
        )
    sys.path.insert(0, str(path.parent))
    # A name of its own: a file may be called like a package that is imported already. Of the place below the inputs, because
    # it is part of what identities say of classes in the file.
    name = f"hantei_input_{hashlib.sha256(place.encode()).hexdigest()[:12]}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise EvaluationError(Reason.INVALID_TASK, f"{field}: {place} can't be imported.")
    module = importlib.util.module_from_spec(spec)
    # Before it runs: dataclasses and pickle look their module up.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _load_module(field: str, place: str) -> ModuleType:
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{place}.".startswith(f"{error.name}."):
            raise
        raise EvaluationError(
            Reason.INVALID_TASK,
            f"{field}: the image has no module {place}. Install it in the image, or name a .py file below the inputs.",
        ) from error
