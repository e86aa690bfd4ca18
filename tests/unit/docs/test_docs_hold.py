"""What the pages tell a reader to open, type or apply exists."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hantei_api.spec import EvaluationRunSpec

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "hack" / "README.md"])


def names(path: Path) -> str:
    """A page's path in the repository, as the test's id."""
    return str(path.relative_to(ROOT))


def manifests(text: str) -> Iterator[dict[str, Any]]:
    """The EvaluationRuns in a page's YAML blocks."""
    for block in re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL):
        yield from (body for body in yaml.safe_load_all(block) if body and body.get("kind") == "EvaluationRun")


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_links_lead_to_files_of_the_repository(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{names(page)} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    mentioned = set(re.findall(r"`make ([a-z-]+)", page.read_text())) | set(
        re.findall(r"^(?: {4})?make ([a-z-]+)", page.read_text(), flags=re.MULTILINE)
    )
    assert mentioned <= targets, f"{names(page)} tells to make {mentioned - targets}"


def test_the_readmes_run_is_one_that_the_api_accepts() -> None:
    found = list(manifests((ROOT / "README.md").read_text()))
    assert found
    for body in found:
        EvaluationRunSpec.model_validate(body["spec"])
