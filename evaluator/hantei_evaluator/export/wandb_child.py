"""The child process that talks to W&B: reads a request on stdin, answers with a WandbOutcome on stdout."""

import json
import os
import sys
from pathlib import Path
from typing import Any

INIT_TIMEOUT_SECONDS = 10.0
"""wandb's own default, 90 s, would eat a third of a run's wall."""
_SHORTEST_SECONDS = 0.5
_ANSWER_SECONDS = 0.5
"""Left for the answer, so that our own time-out speaks before the parent's."""


def main() -> None:
    """Log the request's values as a run of their own."""
    body = json.load(sys.stdin)
    # wandb prints to stdout: the answer keeps that to itself.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    answer.write(json.dumps(_log(body)))
    answer.close()


def _log(body: dict[str, Any]) -> dict[str, Any]:
    import wandb  # noqa: PLC0415  # slow to import, and its failure is part of the answer

    offline = body["mode"] == "offline"
    seconds = max(body["seconds"] - _ANSWER_SECONDS, _SHORTEST_SECONDS)
    root = Path(body["directory"])
    root.mkdir(parents=True, exist_ok=True)
    # The mode is decided before the first init: after one that failed, an offline init times out too.
    settings = wandb.Settings(
        mode=body["mode"],
        root_dir=str(root),
        init_timeout=min(INIT_TIMEOUT_SECONDS, seconds),
        finish_timeout=seconds,
        finish_timeout_raises=True,
        console="off",
        silent=True,
        x_disable_stats=True,
        x_save_requirements=False,
        disable_code=True,
        disable_git=True,
    )
    run = wandb.init(
        project=body["project"],
        entity=body["entity"],
        group=body["group"],
        job_type="evaluation",
        id=body["id"],
        name=body["name"],
        config=body["config"],
        resume="allow",
        settings=settings,
    )
    run.define_metric("evaluation/timestep")
    run.define_metric("evaluation/*", step_metric="evaluation/timestep")
    run.log(body["values"])
    url = run.url
    sync_directory = Path(run.settings.sync_dir)
    run.finish()
    if offline:
        return {"synced": False, "message": f"Logged offline; to upload it: wandb sync --yes {sync_directory}"}
    return {"synced": True, "message": "", "url": url}


if __name__ == "__main__":
    main()
