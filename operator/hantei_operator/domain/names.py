"""The name of an attempt's Job: a function of the run's UID and the attempt, so that creating it twice is impossible."""

import hashlib

PREFIX_CHARACTERS = 40


def job_name(run_name: str, run_uid: str, attempt: int) -> str:
    """``NAME-HASH-ATTEMPT``, at most 63 characters: readable, and different for a run created again under the same name."""
    digest = hashlib.sha256(run_uid.encode()).hexdigest()[:10]
    prefix = run_name[:PREFIX_CHARACTERS].replace(".", "-").rstrip("-")
    return f"{prefix}-{digest}-{attempt}"
