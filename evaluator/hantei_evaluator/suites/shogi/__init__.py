"""Games of Shogi by a Keisei policy network, on OpenSpiel's rules."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hantei_evaluator.suites.shogi.suite import ShogiSuite

__all__ = ["ShogiSuite"]


def __getattr__(name: str) -> Any:
    # torch takes seconds to import, and Keisei's files (``keisei/``) are read without it.
    if name == "ShogiSuite":
        from hantei_evaluator.suites.shogi.suite import ShogiSuite  # noqa: PLC0415

        return ShogiSuite
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
