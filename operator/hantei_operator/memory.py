"""What this process saw of each run's current attempt; lost with the process, and nothing depends on it for safety."""

from dataclasses import replace
from datetime import datetime

from hantei_api.status import Progress
from hantei_operator.domain.attempt import EARLY_WORDS
from hantei_operator.domain.facts import AttemptMemory, EventFacts, JobFacts, PodFacts

Key = tuple[str, str]


class Memories:
    """One AttemptMemory a run."""

    def __init__(self) -> None:
        self._memories: dict[Key, AttemptMemory] = {}

    def of(self, key: Key, attempt: int) -> AttemptMemory:
        """The memory of a run's attempt; an earlier attempt's is dropped."""
        memory = self._memories.get(key)
        if memory is None or memory.attempt != attempt:
            memory = AttemptMemory(attempt=attempt)
            self._memories[key] = memory
        return memory

    def see_job(self, key: Key, job: JobFacts) -> None:
        """The attempt's Job exists: from now on its absence means that somebody deleted it."""
        self._update(key, job.attempt, job_seen=True)

    def see_pod(self, key: Key, pod: PodFacts) -> None:
        """Keep the pod as it was last seen, and what its container last waited for."""
        waiting = pod.container.waiting_reason
        if waiting not in EARLY_WORDS:
            self._update(
                key, pod.attempt, last_pod=pod, waiting_reason=waiting, waiting_message=pod.container.waiting_message
            )
        else:
            self._update(key, pod.attempt, last_pod=pod)

    def see_events(self, key: Key, attempt: int, kind: str, events: tuple[EventFacts, ...]) -> bool:
        """Keep what Events say about the attempt's Job or pod; True when it is news."""
        before = self.of(key, attempt)
        if kind == "Job":
            self._update(key, attempt, job_events=events)
        else:
            self._update(key, attempt, pod_events=events)
        return self.of(key, attempt) != before

    def see_placement(self, key: Key, attempt: int, why: str) -> None:
        """The attempt's volumes bind it to a node."""
        self._update(key, attempt, placement=why)

    def see_refusal(self, key: Key, attempt: int, why: str) -> None:
        """No Job can be made of the run."""
        self._update(key, attempt, refused=why)

    def see_conflict(self, key: Key, attempt: int, whose: str) -> None:
        """The name of the attempt's Job is held by somebody else's."""
        self._update(key, attempt, name_conflict=whose)

    def see_progress(self, key: Key, attempt: int, progress: Progress) -> None:
        """How far the evaluation says it is."""
        self._update(key, attempt, progress=progress)

    def wrote(self, key: Key, attempt: int, now: datetime) -> None:
        """A status was written: the next one that only decorates can wait."""
        self._update(key, attempt, written_at=now)

    def forget(self, key: Key) -> None:
        """The run is gone."""
        self._memories.pop(key, None)

    def _update(self, key: Key, attempt: int, **changes: object) -> None:
        self._memories[key] = replace(self.of(key, attempt), **changes)  # type: ignore[arg-type]
