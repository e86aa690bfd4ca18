"""What the evaluator is told, and which claims and Secrets that takes: pure, from the run and its baseline."""

from kubernetes.utils.quantity import parse_quantity

from hantei_api.artifacts import Artifact
from hantei_api.names import GRACE_SECONDS, OUTPUT_DIRECTORY
from hantei_api.spec import EvaluationRunSpec
from hantei_api.status import ResultsLocation
from hantei_api.task import EvaluationTask, TaskArtifact, TaskBaseline, TaskInput, TaskLimits, TaskRun
from hantei_operator.domain.actions import CreateJob
from hantei_operator.domain.facts import RunFacts
from hantei_operator.domain.statuses import results_parts

VOLUMES_DIRECTORY = "/volumes"
"""Claims that are read are mounted whole, below this by their names. A subPath that is missing would be made by the kubelet
or end in a mount error; like this the evaluator finds it missing, and says so."""
SUITES_WITHOUT_PROGRESS = frozenset({"command"})
SCRATCH_SHARE = 0.9
"""What may be fetched, of spec.resources.ephemeralStorage; the rest is for partial results and the log."""


def build_task(
    run: RunFacts, spec: EvaluationRunSpec, action: CreateJob, baseline: RunFacts | None = None
) -> EvaluationTask:
    """The task of an attempt; ``baseline`` is the run that ``spec.baseline.run`` names.

    Raises
    ------
    ValueError
        The baseline's results are gone, which were there when the attempt was planned.
    """
    directory, root, uri = _output(run, spec, action.attempt)
    return EvaluationTask(
        run=TaskRun(namespace=run.namespace, name=run.name, uid=run.uid, attempt=action.attempt),
        checkpoint=_artifact(spec.checkpoint),
        training_step=spec.checkpoint.training_step,
        inputs=[TaskInput(name=each.name, path=_path(each), uri=each.uri, sha256=each.sha256) for each in spec.inputs],
        suite=spec.suite,
        seed=spec.seed,
        limits=TaskLimits(
            run_seconds=action.run_seconds,
            wall_seconds=action.wall_seconds,
            grace_seconds=GRACE_SECONDS,
            publish_seconds=spec.clocks.publish_seconds,
            stall_seconds=None if spec.suite.name in SUITES_WITHOUT_PROGRESS else spec.clocks.stall_seconds,
            gpus=spec.resources.gpus,
            allow_cpu=spec.resources.allow_cpu,
            scratch_bytes=int(number(spec.resources.ephemeral_storage) * SCRATCH_SHARE),
        ),
        sla=spec.sla,
        politeness=spec.politeness,
        baseline=_baseline(spec, baseline),
        gate=spec.gate,
        output_directory=directory,
        output_root=root,
        output_uri=uri,
        wandb=spec.wandb,
    )


def claims_of(run: RunFacts, baseline: RunFacts | None) -> set[str]:
    """Names of all claims that the run's pod mounts."""
    if run.spec is None:
        return set()
    return {*claims_read(run.spec, baseline), *claims_written(run.spec)}


def claims_read(spec: EvaluationRunSpec, baseline: RunFacts | None) -> list[str]:
    """Names of the claims that are mounted for reading, each once."""
    names = [each.pvc.claim_name for each in _artifacts(spec) if each.pvc]
    results = _results(spec, baseline)
    if results is not None and results.claim_name is not None:
        names.append(results.claim_name)
    return list(dict.fromkeys(names))


def claims_written(spec: EvaluationRunSpec) -> list[str]:
    """The output's claim, if it is one."""
    return [spec.output.pvc.claim_name] if spec.output is not None and spec.output.pvc is not None else []


def credentials(spec: EvaluationRunSpec, baseline: RunFacts | None) -> list[str]:
    """Names of the Secrets whose keys become environment variables, each once; of the same key the last one's counts."""
    theirs = baseline.spec.output if baseline is not None and baseline.spec is not None else None
    # The baseline's first: where both hold a key, the run reads and writes with its own.
    names = [theirs.credentials_secret_name if theirs is not None else None]
    names += [each.credentials_secret_name for each in _artifacts(spec)]
    names += [spec.output.credentials_secret_name if spec.output is not None else None]
    return list(dict.fromkeys(name for name in names if name))


def number(quantity: int | str) -> float:
    """A Kubernetes quantity in its base unit: cores or bytes."""
    return float(parse_quantity(quantity))  # type: ignore[no-untyped-call]


def _artifacts(spec: EvaluationRunSpec) -> list[Artifact]:
    compared = spec.baseline.checkpoint if spec.baseline is not None else None
    return [spec.checkpoint, *spec.inputs, *([compared] if compared is not None else [])]


def _output(run: RunFacts, spec: EvaluationRunSpec, attempt: int) -> tuple[str | None, str | None, str | None]:
    """The attempt's directory and the root that all runs share, or the attempt's URI."""
    if spec.output is None:
        return None, None, None
    parts = results_parts(run, attempt)
    if spec.output.pvc is None:
        return None, None, "/".join([(spec.output.uri or "").rstrip("/"), *parts])
    root = "/".join([OUTPUT_DIRECTORY, *filter(None, [(spec.output.pvc.path or "").strip("/")])])
    return "/".join([root, *parts]), root, None


def _baseline(spec: EvaluationRunSpec, baseline: RunFacts | None) -> TaskBaseline | None:
    wanted = spec.baseline
    if wanted is None:
        return None
    if wanted.checkpoint is not None:
        return TaskBaseline(name="checkpoint", checkpoint=_artifact(wanted.checkpoint))
    results = _results(spec, baseline)
    if results is None:
        raise ValueError(f"the results of baseline run {wanted.run} are gone")
    directory = results.uri or f"{VOLUMES_DIRECTORY}/{results.claim_name}/{results.path}"
    return TaskBaseline(name=f"run {wanted.run}", directory=directory)


def _results(spec: EvaluationRunSpec, baseline: RunFacts | None) -> ResultsLocation | None:
    named = spec.baseline is not None and spec.baseline.run is not None
    return baseline.status.results if named and baseline is not None else None


def _artifact(artifact: Artifact) -> TaskArtifact:
    return TaskArtifact(path=_path(artifact), uri=artifact.uri, sha256=artifact.sha256)


def _path(artifact: Artifact) -> str | None:
    return f"{VOLUMES_DIRECTORY}/{artifact.pvc.claim_name}/{artifact.pvc.path}" if artifact.pvc else None
