"""Whether the run that another is compared with has results yet, and whether it ever will."""

from dataclasses import dataclass

from hantei_api.reasons import Reason
from hantei_api.status import Phase
from hantei_operator.domain.facts import RunFacts


@dataclass(frozen=True)
class Hold:
    """Why a run can't be launched yet, or not at all."""

    message: str
    final: bool
    """Waiting longer changes nothing: the run ends with InvalidTask."""


def hold(run: RunFacts, baseline: RunFacts | None) -> Hold | None:
    """What keeps ``run`` from being launched; ``baseline`` is the run that ``spec.baseline.run`` names, None when it isn't there."""
    if run.spec is None or run.spec.baseline is None or run.spec.baseline.run is None:
        return None
    name = run.spec.baseline.run
    if baseline is None or baseline.deleting:
        return Hold(f"waiting for baseline run {name}, which does not exist", final=False)
    theirs, ours = baseline.spec.suite.name if baseline.spec else "no suite", run.spec.suite.name
    if theirs != ours:
        return Hold(
            f"spec.baseline.run: {name} is of suite {theirs}, this run of {ours}: name one of {ours}", final=True
        )
    status = baseline.status
    if not status.finished:
        return Hold(f"waiting for baseline run {name}, which is {status.phase}", final=False)
    kept = status.results is not None and status.results.complete
    if status.phase is not Phase.SUCCEEDED or not kept:
        reason = status.reason or Reason.EVALUATOR_ERROR
        where = "kept complete results" if kept else "kept no complete results: give it spec.output"
        return Hold(f"spec.baseline.run: {name} ended with {reason} and {where}; name one that succeeded", final=True)
    return None
