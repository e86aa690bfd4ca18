"""How well a classifier's confidence matches its accuracy."""

import numpy as np
from numpy.typing import NDArray


def expected_calibration_error(confidence: NDArray[np.float64], correct: NDArray[np.bool_], bins: int) -> float:
    """Mean distance of confidence [n] in [0, 1] from accuracy over bins of equal width, weighted by their samples.

    C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equation 5.
    """
    which = np.clip(np.ceil(confidence * bins).astype(np.intp) - 1, 0, bins - 1)
    gap = np.bincount(which, weights=correct - confidence, minlength=bins)
    return float(np.abs(gap).sum() / confidence.size)
