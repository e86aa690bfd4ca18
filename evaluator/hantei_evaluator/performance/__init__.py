"""What an evaluation costs beside a training, against what was agreed: for use from Python, and by ``hantei evaluate``."""

from hantei_evaluator.performance.manager import (
    EvaluationPerformanceManager,
    SafeguardedEvaluation,
    SlaViolatedError,
)
from hantei_evaluator.performance.monitor import ResourceMonitor, ResourceReadings
from hantei_evaluator.performance.sla import EvaluationPerformanceSLA, Validation, training_impact_percent

__all__ = [
    "EvaluationPerformanceManager",
    "EvaluationPerformanceSLA",
    "ResourceMonitor",
    "ResourceReadings",
    "SafeguardedEvaluation",
    "SlaViolatedError",
    "Validation",
    "training_impact_percent",
]
