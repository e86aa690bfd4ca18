"""Episodes of a policy in a Gymnasium environment."""

from hantei_evaluator.suites.gymnasium.suite import GymnasiumSuite

__all__ = ["GymnasiumSuite"]
