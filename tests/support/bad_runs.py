"""For every CEL rule of EvaluationRun's spec a run that is good but for one value, which that rule refuses."""

import copy
from dataclasses import dataclass
from typing import Any

from support.runs import (
    BENCHMARK,
    CLASSIFICATION,
    COMMAND,
    CUSTOM,
    GYMNASIUM,
    LADDER,
    MINIMAL,
    PLUGIN,
    SHOGI,
    Body,
)


@dataclass(frozen=True)
class Example:
    """A run that is good but for one value."""

    rule: str
    """Path of the rule and the start of its message."""
    base: Body
    at: str
    value: Any
    field: str

    def __str__(self) -> str:
        return self.rule


DROP = object()
"""In an example: the field is left out."""

EXAMPLES = [
    Example("spec: wandb.mode offline needs output", CLASSIFICATION, "output", DROP, "spec.wandb"),
    Example("spec.checkpoint: name exactly one of pvc, uri", COMMAND, "checkpoint.uri", "s3://a/b", "spec.checkpoint"),
    Example("spec.checkpoint: name exactly one of pvc, uri", COMMAND, "checkpoint.pvc", DROP, "spec.checkpoint"),
    Example(
        "spec.checkpoint: credentialsSecretName is for uri",
        COMMAND,
        "checkpoint.credentialsSecretName",
        "hantei-x",
        "spec.checkpoint",
    ),
    Example(
        "spec.checkpoint.pvc.path: must be a path inside",
        COMMAND,
        "checkpoint.pvc.path",
        "a/../../b",
        "spec.checkpoint.pvc.path",
    ),
    Example(
        "spec.checkpoint.credentialsSecretName: must start with hantei-",
        CLASSIFICATION,
        "checkpoint.credentialsSecretName",
        "database",
        "spec.checkpoint.credentialsSecretName",
    ),
    Example("spec.inputs[]: name exactly one of pvc, uri", COMMAND, "inputs.0.uri", "s3://a/b", "spec.inputs[0]"),
    Example(
        "spec.inputs[]: credentialsSecretName is for uri",
        COMMAND,
        "inputs.0.credentialsSecretName",
        "hantei-x",
        "spec.inputs[0]",
    ),
    Example(
        "spec.inputs[].pvc.path: must be a path inside", COMMAND, "inputs.0.pvc.path", "..", "spec.inputs[0].pvc.path"
    ),
    Example(
        "spec.inputs[].credentialsSecretName: must start with hantei-",
        CLASSIFICATION,
        "inputs.0.credentialsSecretName",
        "database",
        "spec.inputs[0].credentialsSecretName",
    ),
    Example("spec.suite: name exactly one of", COMMAND, "suite.shogi", {}, "spec.suite"),
    Example("spec.suite: name exactly one of", COMMAND, "suite.command", DROP, "spec.suite"),
    Example(
        "spec.suite.classification.model: must be NAME/file.py:function",
        CLASSIFICATION,
        "suite.classification.model",
        "code/../../etc/x.py:build",
        "spec.suite.classification.model",
    ),
    Example(
        "spec.suite.classification.data: must be NAME/path",
        CLASSIFICATION,
        "suite.classification.data",
        "data/../../x",
        "spec.suite.classification.data",
    ),
    Example(
        "spec.suite.shogi.opponent: checkpoint is given exactly when",
        SHOGI,
        "suite.shogi.opponent.type",
        "random",
        "spec.suite.shogi.opponent",
    ),
    Example(
        "spec.suite.shogi.opponent: checkpoint is given exactly when",
        SHOGI,
        "suite.shogi.opponent.checkpoint",
        DROP,
        "spec.suite.shogi.opponent",
    ),
    Example(
        "spec.suite.shogi.opponent.checkpoint: must be NAME/path",
        SHOGI,
        "suite.shogi.opponent.checkpoint",
        "rival/../x",
        "spec.suite.shogi.opponent.checkpoint",
    ),
    Example("spec.suite.shogi: opponents is given exactly", LADDER, "suite.shogi.opponents", DROP, "spec.suite.shogi"),
    Example(
        "spec.suite.shogi: opponents is given exactly",
        BENCHMARK,
        "suite.shogi.opponents",
        [{"name": "random"}],
        "spec.suite.shogi",
    ),
    Example("spec.suite.shogi: sequence is given exactly", CUSTOM, "suite.shogi.sequence", DROP, "spec.suite.shogi"),
    Example(
        "spec.suite.shogi: sequence is given exactly",
        LADDER,
        "suite.shogi.sequence",
        [{"opponent": "rival", "numGames": 2}],
        "spec.suite.shogi",
    ),
    Example(
        "spec.suite.shogi: sequence names an opponent",
        CUSTOM,
        "suite.shogi.sequence.0.opponent",
        "nobody",
        "spec.suite.shogi",
    ),
    Example(
        "spec.suite.shogi: openingPlies is for openings random",
        SHOGI,
        "suite.shogi.openings",
        "shipped",
        "spec.suite.shogi",
    ),
    Example(
        "spec.suite.shogi: opponent is for strategy",
        LADDER,
        "suite.shogi.opponent",
        {"type": "random"},
        "spec.suite.shogi",
    ),
    Example("spec.suite.shogi: numGames is for strategy", CUSTOM, "suite.shogi.numGames", 2, "spec.suite.shogi"),
    Example(
        "spec.suite.shogi: ladder is for strategy", CUSTOM, "suite.shogi.ladder", {"kFactor": 8}, "spec.suite.shogi"
    ),
    Example(
        "spec.suite.shogi: benchmark is for strategy",
        LADDER,
        "suite.shogi.benchmark",
        {"gamesPerCase": 1},
        "spec.suite.shogi",
    ),
    Example("spec.suite.shogi: sprt is for strategy", BENCHMARK, "suite.shogi.sprt", {"elo1": 9}, "spec.suite.shogi"),
    Example(
        "spec.suite.shogi.sprt: elo0 (default 0) must be less",
        SHOGI,
        "suite.shogi.sprt.elo0",
        20,
        "spec.suite.shogi.sprt",
    ),
    Example(
        "spec.suite.shogi.sprt: elo0 (default 0) must be less",
        SHOGI,
        "suite.shogi.sprt",
        {"elo1": -1},
        "spec.suite.shogi.sprt",
    ),
    Example(
        "spec.suite.shogi.eloRegistry: must be a path inside",
        SHOGI,
        "suite.shogi.eloRegistry",
        "../elo.json",
        "spec.suite.shogi.eloRegistry",
    ),
    Example("spec: suite.shogi.eloRegistry needs output.pvc", SHOGI, "output", DROP, "spec.suite"),
    Example("spec: suite.shogi.eloRegistry needs output.pvc", SHOGI, "output", {"uri": "s3://a/b"}, "spec.suite"),
    Example(
        "spec.suite.shogi.benchmark.cases: must be NAME/path",
        BENCHMARK,
        "suite.shogi.benchmark.cases",
        "cases/../x",
        "spec.suite.shogi.benchmark.cases",
    ),
    Example(
        "spec.suite.shogi.opponents[]: checkpoint is given exactly when",
        LADDER,
        "suite.shogi.opponents.0.type",
        "random",
        "spec.suite.shogi.opponents[0]",
    ),
    Example(
        "spec.suite.shogi.opponents[].checkpoint: must be NAME/path",
        LADDER,
        "suite.shogi.opponents.0.checkpoint",
        "rival/../x",
        "spec.suite.shogi.opponents[0].checkpoint",
    ),
    Example(
        "spec.suite.shogi.opponents[].name: 'agent' is the evaluated",
        LADDER,
        "suite.shogi.opponents.0.name",
        "agent",
        "spec.suite.shogi.opponents[0].name",
    ),
    Example(
        "spec.suite.gymnasium.policy: must be NAME/file.py:function",
        GYMNASIUM,
        "suite.gymnasium.policy",
        "code/../x.py:load",
        "spec.suite.gymnasium.policy",
    ),
    Example(
        "spec.suite.gymnasium.arguments: a key has at most 64",
        GYMNASIUM,
        "suite.gymnasium.arguments",
        {"k" * 65: "1"},
        "spec.suite.gymnasium.arguments",
    ),
    Example(
        "spec.suite.plugin.name: is a suite of Hantei's own",
        PLUGIN,
        "suite.plugin.name",
        "command",
        "spec.suite.plugin.name",
    ),
    Example(
        "spec.suite.plugin.settings: a key has at most 64",
        PLUGIN,
        "suite.plugin.settings",
        {"k" * 65: "1"},
        "spec.suite.plugin.settings",
    ),
    Example("spec.baseline: name exactly one of run", COMMAND, "baseline", {}, "spec.baseline"),
    Example("spec.baseline: name exactly one of run", CLASSIFICATION, "baseline.run", "a", "spec.baseline"),
    Example(
        "spec.baseline.checkpoint: name exactly one of pvc, uri",
        CLASSIFICATION,
        "baseline.checkpoint.pvc",
        {"claimName": "a", "path": "b"},
        "spec.baseline.checkpoint",
    ),
    Example(
        "spec.baseline.checkpoint: credentialsSecretName is for uri",
        GYMNASIUM,
        "baseline.checkpoint.credentialsSecretName",
        "hantei-x",
        "spec.baseline.checkpoint",
    ),
    Example(
        "spec.baseline.checkpoint.pvc.path: must be a path inside",
        GYMNASIUM,
        "baseline.checkpoint.pvc.path",
        "..",
        "spec.baseline.checkpoint.pvc.path",
    ),
    Example(
        "spec.baseline.checkpoint.credentialsSecretName: must start with hantei-",
        CLASSIFICATION,
        "baseline.checkpoint.credentialsSecretName",
        "database",
        "spec.baseline.checkpoint.credentialsSecretName",
    ),
    Example(
        "spec: baseline.checkpoint is not for the command suite",
        COMMAND,
        "baseline",
        {"checkpoint": {"uri": "s3://a/b"}},
        "spec.baseline",
    ),
    Example("spec.gate: name minimum, or maxDrop", COMMAND, "gate", {"metric": "accuracy"}, "spec.gate"),
    Example("spec: gate.maxDrop needs baseline", COMMAND, "baseline", DROP, "spec.gate"),
    Example("spec.output: name exactly one of pvc, uri", COMMAND, "output.uri", "s3://a/b", "spec.output"),
    Example(
        "spec.output: credentialsSecretName is for uri",
        COMMAND,
        "output.credentialsSecretName",
        "hantei-x",
        "spec.output",
    ),
    Example(
        "spec.output.credentialsSecretName: must start with hantei-",
        CLASSIFICATION,
        "output.credentialsSecretName",
        "database",
        "spec.output.credentialsSecretName",
    ),
    Example(
        "spec.resources: gpuResource must be an extended resource",
        COMMAND,
        "resources.gpuResource",
        "requests.kubernetes.io/gpu",
        "spec.resources",
    ),
    Example(
        "spec.resources.cpu: must be a positive Kubernetes quantity",
        COMMAND,
        "resources.cpu",
        "fast",
        "spec.resources.cpu",
    ),
    Example(
        "spec.resources.cpu: must be a positive Kubernetes quantity", COMMAND, "resources.cpu", 0, "spec.resources.cpu"
    ),
    Example(
        "spec.resources.memory: must be a positive Kubernetes quantity",
        COMMAND,
        "resources.memory",
        "-1Gi",
        "spec.resources.memory",
    ),
    Example(
        "spec.resources.ephemeralStorage: must be a positive Kubernetes quantity",
        COMMAND,
        "resources.ephemeralStorage",
        "2GB",
        "spec.resources.ephemeralStorage",
    ),
    Example(
        "spec.resources.nodeSelector: a key has at most 317",
        COMMAND,
        "resources.nodeSelector",
        {"k" * 318: "v"},
        "spec.resources.nodeSelector",
    ),
    Example(
        "spec.clocks: startSeconds (default 120) must not be more",
        COMMAND,
        "clocks.startSeconds",
        201,
        "spec.clocks.startSeconds",
    ),
    Example(
        "spec.clocks: startSeconds (default 120) must not be more",
        MINIMAL,
        "clocks",
        {"wallSeconds": 119},
        "spec.clocks.startSeconds",
    ),
    Example("spec.clocks: runSeconds must not be more", COMMAND, "clocks.runSeconds", 201, "spec.clocks.runSeconds"),
    Example("spec.output.pvc.path: must be a path inside", COMMAND, "output.pvc.path", "a/..", "spec.output.pvc.path"),
    Example("spec.wandb: online logging needs secretName", COMMAND, "wandb.secretName", DROP, "spec.wandb"),
    Example(
        "spec.wandb.secretName: must start with hantei-",
        COMMAND,
        "wandb.secretName",
        "wandb",
        "spec.wandb.secretName",
    ),
]


def changed(body: Body, at: str, value: object) -> Body:
    """A copy of ``body`` with the value at a dotted path changed, added, or dropped."""
    copied = copy.deepcopy(body)
    *above, last = [int(step) if step.isdigit() else step for step in at.split(".")]
    holder: Any = copied
    for step in above:
        holder = holder[step]
    if value is DROP:
        del holder[last]
    else:
        holder[last] = value
    return copied
