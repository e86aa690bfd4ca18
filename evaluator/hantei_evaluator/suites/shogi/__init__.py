"""Games of Shogi by a Keisei policy network, on OpenSpiel's rules."""

from hantei_evaluator.suites.shogi.suite import ShogiSuite

__all__ = ["ShogiSuite"]
