"""Runs that between them set every field of EvaluationRun, and a status that sets every one of its own."""

import copy
from typing import Any

from hantei_api.names import API_VERSION, RUN_KIND

Body = dict[str, Any]

_SHA = "0" * 63 + "1"
_WHEN = "2026-01-02T03:04:05Z"

COMMAND: Body = {
    "checkpoint": {"pvc": {"claimName": "models", "path": "step-1/model.pt"}, "sha256": _SHA, "trainingStep": 1},
    "inputs": [{"name": "data", "pvc": {"claimName": "data", "path": "digits"}, "sha256": _SHA}],
    "image": "registry.example/team/evaluator:1",
    "suite": {"command": {"argv": ["python", "evaluate.py"]}},
    "seed": 1,
    "resources": {
        "gpus": 2,
        "gpuResource": "nvidia.com/mig-1g.10gb",
        "cpu": 2,
        "memory": "8Gi",
        "ephemeralStorage": "1Gi",
        "nodeSelector": {"zone": "a"},
        "allowCpu": True,
    },
    "sla": {
        "latencySeconds": 10.5,
        "memoryOverheadBytes": 1000,
        "trainingImpactPercent": 1.5,
        "gpuUtilizationPercent": 50.5,
        "enforce": True,
    },
    "politeness": {
        "dutyCyclePercent": 50,
        "holdUtilization": True,
        "lowPriorityStream": False,
        "gpuMemoryFraction": 0.5,
    },
    "baseline": {"run": "step-0"},
    "gate": {
        "metric": "accuracy",
        "minimum": 0.5,
        "maxDrop": 0.02,
        "lowerIsBetter": False,
        "confidence": 0.9,
        "power": 0.9,
        "onInconclusive": "Fail",
    },
    "clocks": {
        "queueSeconds": 60,
        "startSeconds": 60,
        "runSeconds": 100,
        "wallSeconds": 200,
        "publishSeconds": 30,
        "stallSeconds": 30,
    },
    "retries": {"infrastructure": 1, "evaluation": 1},
    "onPreemption": "Drop",
    "output": {"pvc": {"claimName": "results", "path": "runs"}},
    "wandb": {"project": "p", "entity": "e", "group": "g", "mode": "online", "secretName": "hantei-wandb"},
    "suspend": True,
    "cancel": False,
    "ttlSecondsAfterFinished": {"succeeded": 60, "failed": 600},
}
CLASSIFICATION: Body = {
    "checkpoint": {
        "uri": "https://models.example/step-2.pt",
        "credentialsSecretName": "hantei-models",
        "sha256": _SHA,
        "trainingStep": 2,
    },
    "inputs": [{"name": "data", "uri": "s3://data/digits.npz", "credentialsSecretName": "hantei-data"}],
    "image": "registry.example/team/evaluator:2",
    "suite": {
        "classification": {
            "model": "code/model.py:build",
            "data": "data/digits.npz",
            "preprocess": "code/model.py:preprocess",
            "batchSize": 64,
            "maxSamples": 100,
            "calibrationBins": 10,
            "precision": "fp32",
        }
    },
    "seed": 2,
    "resources": {"gpus": 0},
    "sla": {"latencySeconds": 1},
    "politeness": {"dutyCyclePercent": 80},
    "baseline": {
        "checkpoint": {"uri": "s3://models/step-1.pt", "credentialsSecretName": "hantei-models", "sha256": _SHA}
    },
    "gate": {"maxDrop": 0.01},
    "clocks": {"wallSeconds": 120},
    "retries": {"infrastructure": 0},
    "onPreemption": "Requeue",
    "output": {"uri": "s3://results/runs", "credentialsSecretName": "hantei-results"},
    "wandb": {"project": "p", "mode": "offline"},
    "suspend": False,
    "cancel": True,
    "ttlSecondsAfterFinished": {"succeeded": 0},
}
GYMNASIUM: Body = {
    "checkpoint": {"pvc": {"claimName": "models", "path": "policy.pt"}},
    "inputs": [{"name": "code", "pvc": {"claimName": "models", "path": "code"}}],
    "baseline": {"checkpoint": {"pvc": {"claimName": "models", "path": "policy-1.pt"}}},
    "suite": {
        "gymnasium": {
            "environment": "CartPole-v1",
            "arguments": {"sutton_barto_reward": "true"},
            "policy": "code/policy.py:load",
            "episodes": 50,
            "parallelEnvironments": 8,
            "maxEpisodeSteps": 200,
        }
    },
}
SHOGI: Body = {
    "checkpoint": {"pvc": {"claimName": "models", "path": "checkpoint.pth"}},
    "inputs": [{"name": "rival", "uri": "hf://team/model@0123456/rival.pth"}],
    "suite": {
        "shogi": {
            "strategy": "single_opponent",
            "opponent": {"type": "checkpoint", "checkpoint": "rival/rival.pth", "actionPerspective": "relative"},
            "numGames": 4,
            "maxMoves": 100,
            "openings": "random",
            "openingPlies": 4,
            "actionPerspective": "relative",
            "precision": "bf16",
            "sprt": {"elo0": 0, "elo1": 20, "alpha": 0.1, "beta": 0.1},
            "eloRegistry": "elo_ratings.json",
        }
    },
    "output": {"pvc": {"claimName": "results"}},
}
PLUGIN: Body = {
    "checkpoint": {"pvc": {"claimName": "models", "path": "model.pt"}},
    "suite": {"plugin": {"name": "my-suite", "settings": {"threshold": "0.5"}}},
}
LADDER: Body = {
    "checkpoint": {"pvc": {"claimName": "models", "path": "checkpoint.pth"}},
    "inputs": [{"name": "rival", "uri": "hf://team/model@0123456/rival.pth"}],
    "suite": {
        "shogi": {
            "strategy": "ladder",
            "opponents": [
                {
                    "name": "rival",
                    "type": "checkpoint",
                    "checkpoint": "rival/rival.pth",
                    "actionPerspective": "relative",
                    "rating": 1600,
                },
                {"name": "random"},
            ],
            "ladder": {"initialRating": 1500, "ratingRange": 300, "maxOpponents": 3, "kFactor": 16},
        }
    },
}
BENCHMARK: Body = {
    "checkpoint": {"pvc": {"claimName": "models", "path": "checkpoint.pth"}},
    "suite": {"shogi": {"strategy": "benchmark", "benchmark": {"cases": "cases/mates.jsonl", "gamesPerCase": 2}}},
}
CUSTOM: Body = {
    "checkpoint": {"pvc": {"claimName": "models", "path": "checkpoint.pth"}},
    "suite": {
        "shogi": {
            "strategy": "custom",
            "opponents": [{"name": "random"}, {"name": "heuristic", "type": "heuristic"}],
            "sequence": [{"opponent": "random", "numGames": 10}, {"opponent": "heuristic", "numGames": 20}],
        }
    },
}
MINIMAL: Body = {
    "checkpoint": {"pvc": {"claimName": "models", "path": "model.pt"}},
    "suite": {"command": {"argv": ["true"]}},
}
SPECS = {
    "command": COMMAND,
    "classification": CLASSIFICATION,
    "gymnasium": GYMNASIUM,
    "plugin": PLUGIN,
    "shogi": SHOGI,
    "ladder": LADDER,
    "benchmark": BENCHMARK,
    "custom": CUSTOM,
    "minimal": MINIMAL,
}

FINISHED: Body = {
    "type": "Finished",
    "status": "True",
    "reason": "GateFailed",
    "message": "accuracy fell",
    "lastTransitionTime": _WHEN,
    "observedGeneration": 1,
}
STATUS: Body = {
    "suite": "classification",
    "gpus": 1,
    "phase": "Succeeded",
    "reason": "GateFailed",
    "message": "accuracy fell",
    "observedGeneration": 1,
    "conditions": [FINISHED],
    "verdict": "Regressed",
    "comparison": {
        "metric": "accuracy",
        "baseline": "run step-0",
        "value": 0.942,
        "baselineValue": 0.98,
        "difference": -0.038,
        "stderr": 0.01,
        "low": -0.058,
        "high": -0.018,
        "confidence": 0.95,
        "n": 360,
        "minimumDetectable": 0.028,
        "method": "McNemar",
    },
    "score": "0.942±0.006",
    "metrics": [{"name": "accuracy", "value": 0.942, "stderr": 0.006, "n": 360}],
    "metricsTruncated": False,
    "metricsPartial": False,
    "attempts": [
        {
            "number": 1,
            "jobName": "digits-1",
            "jobUid": "11111111-2222-3333-4444-555555555555",
            "podName": "digits-1-abcde",
            "nodeName": "worker",
            "reservedAt": _WHEN,
            "scheduledAt": _WHEN,
            "readyAt": _WHEN,
            "endedAt": _WHEN,
            "gpus": 1,
            "stopping": "Preempted",
            "stoppingSince": _WHEN,
            "reason": "GateFailed",
            "message": "evaluated",
            "exitCode": 0,
        }
    ],
    "clocks": {"queued": 1.5, "starting": 2.5, "running": 3.5, "publishing": 0.5},
    "gpuSeconds": {"starting": 2.5, "running": 3.5, "publishing": 0.5, "wasted": 0.25},
    "queuedSince": _WHEN,
    "queuePosition": 0,
    "progress": {"done": 360, "total": 360, "etaSeconds": 0.5, "text": "360/360"},
    "jobName": "digits-1",
    "podName": "digits-1-abcde",
    "nodeName": "worker",
    "finishedAt": _WHEN,
    "duration": "6s",
    "failure": {"exitCode": 0, "reason": "GateFailed", "node": "worker", "logTail": "the end"},
    "provenance": {
        "image": "hantei/evaluator:1",
        "imageDigest": "sha256:" + _SHA,
        "checkpointSha256": _SHA,
        "versions": {"torch": "2.13.0"},
        "seed": 0,
        "device": "cpu",
        "precision": "fp32",
        "reusedSamples": 0,
    },
    "results": {
        "uri": "s3://results/runs",
        "claimName": "results",
        "path": "runs/digits",
        "complete": True,
        "wandbUrl": "https://wandb.example/r",
    },
    "sla": {
        "passed": False,
        "readings": [{"metric": "latency_seconds", "value": 6.5, "threshold": 5.5, "reason": "measured"}],
        "violations": ["latency_seconds"],
    },
}


def run(spec: Body, name: str = "run") -> Body:
    """An EvaluationRun of that spec, which the caller may change."""
    return {"apiVersion": API_VERSION, "kind": RUN_KIND, "metadata": {"name": name}, "spec": copy.deepcopy(spec)}
