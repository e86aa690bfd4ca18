"""A checkpoint's way to its samples: the suite is loaded, and takes over what is there already."""

import logging
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from typing import cast

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.run.resume import Identity
from hantei_evaluator.run.store import SampleStore
from hantei_evaluator.suites.protocol import Context, Outcome, Suite

SUITES = "hantei.suites"
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """A loaded suite, and the samples that it need not compute."""

    suite: Suite
    context: Context
    store: SampleStore
    identity: Identity | None

    def evaluate(self) -> Outcome:
        """Run the suite's loop; what others may take over is left whole."""
        outcome = self.suite.evaluate(replace(self.context, done=self.store.stored))
        if outcome.complete:
            self.store.complete()
        return outcome


def prepare(suite: Suite, context: Context, store: SampleStore, checkpoint_sha256: str) -> Prepared:
    """Load the suite and open the store. Raises what the suite raises."""
    suite.load(context)
    identity = _identity_of(suite, context, checkpoint_sha256)
    store.open(identity)
    return Prepared(suite, context, store, identity)


def load_suite(name: str) -> Suite:
    """The suite of that name, from the entry points ``hantei.suites``; raises InvalidTask when there is none."""
    found = entry_points(group=SUITES, name=name)
    if not found:
        installed = ", ".join(sorted(point.name for point in entry_points(group=SUITES))) or "none"
        raise EvaluationError(Reason.INVALID_TASK, f"suite: {name} is not installed in this image; it has {installed}.")
    return cast("Suite", next(iter(found)).load()())


def _identity_of(suite: Suite, context: Context, checkpoint_sha256: str) -> Identity | None:
    asked = getattr(suite, "identity", None)
    parts = asked(context) if asked is not None else None
    if parts is None:
        return None
    return Identity(
        suite=context.task.suite.name,
        checkpoint_sha256=checkpoint_sha256,
        seed=context.task.seed,
        parts=dict(sorted(parts.items())),
    )
