"""Mean absolute error of a linear model: weight [features] and bias in the checkpoint, x [n, features] and y [n] in the data."""

from typing import ClassVar

import numpy as np

from hantei_api.metrics import Metric
from hantei_evaluator.run.weights import load_state_dict
from hantei_evaluator.statistics.intervals import standard_error
from hantei_evaluator.suites.protocol import Context, Outcome
from hantei_evaluator.suites.settings import plugin_settings


class RegressionSuite:
    """The suite ``regression``, with the settings data (NAME/FILE.npz) and tolerance (default 1.0)."""

    reports_progress: ClassVar[bool] = True

    def load(self, context: Context) -> None:
        """Read the checkpoint and the data; what is wrong is said here, before anything is measured."""
        settings = plugin_settings(context, required={"data"}, optional={"tolerance"})
        self.tolerance = float(settings.get("tolerance", 1.0))
        weights = load_state_dict(context.checkpoint)
        self.weight, self.bias = weights["weight"].numpy(), float(weights["bias"])
        with np.load(context.inputs / settings["data"]) as arrays:
            self.x, self.y = arrays["x"], arrays["y"]

    def evaluate(self, context: Context) -> Outcome:
        """One sample after the other, until all are done or the time is over."""
        errors: list[float] = []
        for row, (x, y) in enumerate(zip(self.x, self.y, strict=True)):
            if context.stop.requested():
                break
            errors.append(abs(float(x @ self.weight) + self.bias - float(y)))
            values = {"mean_absolute_error": errors[-1], "within": float(errors[-1] <= self.tolerance)}
            context.recorder.sample({"sampleId": f"row-{row}", "values": values})
            context.recorder.progress(len(errors), len(self.y))
        found = [("mean_absolute_error", np.array(errors)), ("within", np.array(errors) <= self.tolerance)]
        metrics = [Metric(name=k, value=v.mean(), stderr=standard_error(v), n=len(v)) for k, v in found if errors]
        return Outcome(metrics=metrics, complete=len(errors) == len(self.y))
