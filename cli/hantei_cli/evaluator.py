"""The evaluator is an extra: say how to get it."""

import importlib
import sys
from types import ModuleType

EX_UNAVAILABLE = 69
"""sysexits.h: a service or program that is needed is missing."""


def load(module: str) -> ModuleType:
    """Import a module of the evaluator; without its extra, say how to install it and exit."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("hantei"):
            raise
        print(
            f"hantei: this command needs the package {error.name}, a part of the evaluator: pip install 'hantei[evaluator]'",
            file=sys.stderr,
        )
        sys.exit(EX_UNAVAILABLE)
