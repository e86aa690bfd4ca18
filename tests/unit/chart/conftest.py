"""Each test of the chart is run with both supported Helms."""

import pytest

from support.chart import Helm


@pytest.fixture(params=["helm", "helm4"])
def helm(request: pytest.FixtureRequest) -> Helm:
    """Helm 3 and Helm 4."""
    return Helm(request.param)
