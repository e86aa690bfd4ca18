"""Accuracy, per-class accuracy and calibration of any torch classifier."""

from hantei_evaluator.suites.classification.suite import ClassificationSuite

__all__ = ["ClassificationSuite"]
