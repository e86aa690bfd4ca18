"""The CustomResourceDefinitions, generated from the models: ``python -m hantei_api.crd [--check] [DIRECTORY ...]``.

Nobody edits the YAML: change the model and run ``make crds``.
"""

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from typing_extensions import override  # typing has it from Python 3.12

from hantei_api.base import cel
from hantei_api.crd_schema import structural
from hantei_api.names import GROUP, RUN_KIND, RUN_PLURAL, VERSION
from hantei_api.spec import MUTABLE_FIELDS, EvaluationRunSpec
from hantei_api.status import RunStatus

DIRECTORIES = ("crds", "charts/hantei/files/crds")
"""Where the repository keeps the definitions: for people, and for the chart."""


@dataclass(frozen=True)
class Column:
    """One column of ``kubectl get``; a wide one is shown with ``-o wide`` alone."""

    name: str
    json_path: str
    description: str
    type: str = "string"
    wide: bool = False

    def to_body(self) -> dict[str, Any]:
        """The entry of ``additionalPrinterColumns``."""
        return {
            "name": self.name,
            "type": self.type,
            "description": self.description,
            "jsonPath": self.json_path,
            "priority": int(self.wide),
        }


@dataclass(frozen=True)
class Resource:
    """A kind of ours: its names, its two models, and what only the whole object can say."""

    kind: str
    plural: str
    singular: str
    short_names: tuple[str, ...]
    scope: str
    description: str
    spec: type[BaseModel]
    status: type[BaseModel]
    mutable_fields: frozenset[str]
    rules: tuple[dict[str, str], ...]
    columns: tuple[Column, ...]

    @property
    def name(self) -> str:
        """Name of the definition."""
        return f"{self.plural}.{GROUP}"

    @property
    def file_name(self) -> str:
        """File of the definition, as controller-gen names it."""
        return f"{GROUP}_{self.plural}.yaml"


def _finished(holder: str) -> str:
    return (
        f"has({holder}.status) && has({holder}.status.conditions)"
        f" && {holder}.status.conditions.exists(c, c.type == 'Finished' && c.status == 'True')"
    )


def _kept(field: str) -> str:
    """A status field that stays: absent before and after, or the same."""
    return (
        f"has(self.status.{field}) == has(oldSelf.status.{field})"
        f" && (!has(self.status.{field}) || self.status.{field} == oldSelf.status.{field})"
    )


FINISHED_STAYS = cel(
    f"!({_finished('oldSelf')}) || (has(self.status) && has(self.status.conditions)"
    " && self.status.conditions.exists(c, c.type == 'Finished' && c.status == 'True'"
    " && oldSelf.status.conditions.exists(o, o.type == 'Finished'"
    " && o.reason == c.reason && o.lastTransitionTime == c.lastTransitionTime)))",
    "a finished run stays as it ended: condition Finished=True, its reason and its lastTransitionTime are never changed or removed; create a new run",
)
OUTCOME_STAYS = cel(
    f"!({_finished('oldSelf')}) || (has(self.status) && {_kept('phase')} && {_kept('reason')} && {_kept('verdict')})",
    "a finished run stays as it ended: status.phase, status.reason and status.verdict are never changed or removed; create a new run",
)
NAME_IS_A_LABEL = cel(
    "size(self.metadata.name) <= 63",
    "metadata.name has at most 63 characters, because it becomes the label hantei.dev/run of Jobs and pods: choose a shorter name",
)

NOT_ITS_OWN_BASELINE = cel(
    "!has(self.spec.baseline) || !has(self.spec.baseline.run) || self.spec.baseline.run != self.metadata.name",
    "spec.baseline.run names this run itself: name another run",
)

# Headers are short, because with -o wide a line should stay within a terminal of 120 columns.
RUN = Resource(
    kind=RUN_KIND,
    plural=RUN_PLURAL,
    singular="evaluationrun",
    short_names=("er", "evalrun"),
    scope="Namespaced",
    description="One evaluation of one checkpoint: the spec says what is wanted and stays as it was created, the status says what became of it.",
    spec=EvaluationRunSpec,
    status=RunStatus,
    mutable_fields=MUTABLE_FIELDS,
    rules=(NAME_IS_A_LABEL, NOT_ITS_OWN_BASELINE, FINISHED_STAYS, OUTCOME_STAYS),
    columns=(
        Column("Suite", ".status.suite", "What is evaluated."),
        Column("Phase", ".status.phase", "Where the run is."),
        Column("Reason", ".status.reason", "Why it ended."),
        Column("Done", ".status.progress.text", "Samples done of all."),
        Column("Score", ".status.score", "The first metric with its standard error."),
        Column("Verdict", ".status.verdict", "What the metrics say against the baseline."),
        Column("Age", ".metadata.creationTimestamp", "Time since the run was created.", type="date"),
        Column("Node", ".status.nodeName", "Node of the current attempt.", wide=True),
        Column("GPU", ".status.gpus", "GPUs that the run asks for.", type="integer", wide=True),
        Column("Dev", ".status.provenance.device", "What computed.", wide=True),
        Column("Took", ".status.duration", "Time from the pod's binding to its end.", wide=True),
    ),
)

RESOURCES = (RUN,)


def definition(resource: Resource) -> dict[str, Any]:
    """The CustomResourceDefinition.

    Raises
    ------
    SchemaError
        When a model says what a structural schema can't, or a field lacks its description or bound.
    """
    spec = structural(resource.spec, "spec", bounded_numbers=True)
    spec["x-kubernetes-validations"] = [
        *spec.get("x-kubernetes-validations", ()),
        *(_immutable(field, resource) for field in spec["properties"] if field not in resource.mutable_fields),
    ]
    schema = {
        "type": "object",
        "description": resource.description,
        "required": ["spec"],
        "x-kubernetes-validations": list(resource.rules),
        "properties": {
            "apiVersion": {"type": "string", "description": f"{GROUP}/{VERSION}."},
            "kind": {"type": "string", "description": f"{resource.kind}."},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": structural(resource.status, "status", bounded_numbers=False),
        },
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": resource.name},
        "spec": {
            "group": GROUP,
            "scope": resource.scope,
            "names": {
                "kind": resource.kind,
                "listKind": f"{resource.kind}List",
                "plural": resource.plural,
                "singular": resource.singular,
                "shortNames": list(resource.short_names),
                "categories": ["hantei"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [column.to_body() for column in resource.columns],
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def _immutable(field: str, resource: Resource) -> dict[str, str]:
    # On spec and not on the field: a rule on the field itself is not asked when the field comes or goes.
    return cel(
        f"has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})",
        f"spec.{field} can't be changed after creation: create a new {resource.kind}",
        field_path=f".{field}",
    )


class _Dumper(yaml.SafeDumper):
    """Writes shared parts out in full, and quotes y and n, which Kubernetes reads as YAML 1.1 does: as booleans."""

    @override
    def ignore_aliases(self, data: Any) -> bool:  # the base class's signature
        return True


_Dumper.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^[yYnN]$"), list("yYnN"))


def render() -> dict[str, str]:
    """File name to YAML of every definition."""
    head = "# Generated from api/hantei_api by `make crds`; do not edit.\n"
    return {
        resource.file_name: head
        + yaml.dump(definition(resource), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
        for resource in RESOURCES
    }


def stale(directory: Path) -> list[str]:
    """What in ``directory`` differs from what the models say, one line each."""
    wanted = render()
    found = {path.name: path.read_text(encoding="utf-8") for path in directory.glob("*.yaml")}
    return [
        f"{directory / name}: {'missing' if name not in found else 'not ours' if name not in wanted else 'out of date'}"
        for name in sorted(wanted.keys() | found.keys())
        if wanted.get(name) != found.get(name)
    ]


def main(arguments: list[str] | None = None) -> int:
    """Write the definitions, or with ``--check`` say what is out of date; 1 when something is."""
    parser = argparse.ArgumentParser(prog="python -m hantei_api.crd", description="Generate the CRDs from the models.")
    parser.add_argument("--check", action="store_true", help="write nothing; end with 1 when a file is out of date")
    parser.add_argument("directories", nargs="*", default=DIRECTORIES, help=f"default: {' and '.join(DIRECTORIES)}")
    options = parser.parse_args(arguments)
    directories = [Path(directory) for directory in options.directories]
    if options.check:
        problems = [problem for directory in directories for problem in stale(directory)]
        for problem in problems:
            sys.stderr.write(f"{problem}: run `make crds`\n")
        return 1 if problems else 0
    for directory in directories:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in render().items():
            (directory / name).write_text(text, encoding="utf-8")
            sys.stdout.write(f"{directory / name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
