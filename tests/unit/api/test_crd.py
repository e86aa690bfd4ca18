"""The generator of the CRDs: the files are what the models say, and what a CRD can't say is an error."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import AwareDatetime, BaseModel, Field, StringConstraints

from hantei_api.crd import DIRECTORIES, RUN, definition, main, render
from hantei_api.crd_schema import SchemaError, structural

ROOT = Path(__file__).parents[3]
Text = Annotated[str, StringConstraints(max_length=5)]


class Colour(StrEnum):
    """A colour."""

    RED = "red"


class Inner(BaseModel):
    """Words
    on two lines."""

    colour: Colour | None = Field(default=None, description="Which colour.")


class Good(BaseModel):
    """Every construct that has a counterpart."""

    one: Literal["only"] = Field(default="only", description="One value.")
    inner: Inner | None = None
    many: list[Inner] = Field(default_factory=list, max_length=3, description="Several.")
    ratio: float = Field(default=0.5, gt=0, lt=1, description="Between.")
    labels: dict[Text, Text] = Field(default_factory=dict, max_length=2, description="A map.")
    when: AwareDatetime | None = Field(default=None, description="When.")


class Tree(BaseModel):
    """A tree."""

    children: list["Tree"] = Field(max_length=2, description="Below it.")


def model_of(annotation: Any, **field: Any) -> type[BaseModel]:
    """A model with one field of that type."""
    namespace = {"__annotations__": {"field": annotation}, "__doc__": "A model.", "field": Field(**field)}
    return type("Model", (BaseModel,), namespace)


@pytest.mark.parametrize("directory", DIRECTORIES)
def test_the_files_are_what_the_models_say(directory: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check", str(ROOT / directory)]) == 0, capsys.readouterr().err


def test_check_names_what_is_missing_changed_or_not_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check", str(tmp_path)]) == 1
    assert f"{RUN.file_name}: missing" in capsys.readouterr().err
    assert main([str(tmp_path)]) == 0
    assert main(["--check", str(tmp_path)]) == 0
    (tmp_path / RUN.file_name).write_text("edited by hand")
    (tmp_path / "other.yaml").write_text("")
    capsys.readouterr()
    assert main(["--check", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert f"{RUN.file_name}: out of date: run `make crds`" in said
    assert "other.yaml: not ours" in said


def test_keys_that_yaml_reads_as_booleans_are_quoted() -> None:
    assert "'n':" in render()[RUN.file_name]


def test_models_become_structural_schemas() -> None:
    inner = {
        "type": "object",
        "description": "Words on two lines.",
        "properties": {"colour": {"type": "string", "enum": ["red"], "description": "Which colour."}},
    }
    too_long = {"rule": "self.all(key, size(key) <= 5)", "message": "a key has at most 5 characters: shorten it"}
    assert structural(Good, "spec", bounded_numbers=True) == {
        "type": "object",
        "description": "Every construct that has a counterpart.",
        "properties": {
            "one": {"type": "string", "enum": ["only"], "description": "One value."},
            "inner": inner,
            "many": {"type": "array", "items": inner, "maxItems": 3, "description": "Several."},
            "ratio": {
                "type": "number",
                "minimum": 0,
                "exclusiveMinimum": True,
                "maximum": 1,
                "exclusiveMaximum": True,
                "description": "Between.",
            },
            "labels": {
                "type": "object",
                "additionalProperties": {"type": "string", "maxLength": 5},
                "maxProperties": 2,
                "description": "A map.",
                "x-kubernetes-validations": [too_long],
            },
            "when": {"type": "string", "format": "date-time", "description": "When."},
        },
    }


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (model_of(str, description="A text."), "spec.field: needs maxLength"),
        (model_of(list[Text], description="A list."), "spec.field: needs maxItems"),
        (model_of(list[str], description="A list.", max_length=2), r"spec.field\[\]: needs maxLength"),
        (model_of(dict[Text, Text], description="A map."), "spec.field: needs maxProperties"),
        (model_of(dict[Text, str], description="A map.", max_length=2), r"spec.field\{\}: needs maxLength"),
        (model_of(dict[Text, Any], description="A map.", max_length=2), "spec.field: a map needs a type of its values"),
        (model_of(dict[Colour, Text], description="A map.", max_length=2), "spec.field: of the keys of a map only"),
        (model_of(int, description="A number.", ge=0), "spec.field: needs maximum"),
        (model_of(bool), "spec.field: no description"),
        (model_of(int | bool, description="Either."), "spec.field: a union of 2 types"),
        (model_of(Any, description="Anything."), "spec.field: needs type"),
        (
            model_of(int, description="Even.", multiple_of=2),
            "spec.field: a CRD schema has no counterpart of 'multipleOf'",
        ),
        (Tree, "contains itself"),
    ],
)
def test_what_a_crd_cannot_say_or_should_is_refused_with_its_path(model: type[BaseModel], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        structural(model, "spec", bounded_numbers=True)


def test_the_run_has_its_names_its_status_and_no_defaults() -> None:
    body = definition(RUN)
    version = body["spec"]["versions"][0]
    assert body["spec"]["names"]["shortNames"] == ["er", "evalrun"]
    assert body["spec"]["names"]["categories"] == ["hantei"]
    assert version["subresources"] == {"status": {}}
    assert "\n  default:" not in render()[RUN.file_name].replace("    ", "")
