"""docs/keisei.md against what the code says."""

import re
from pathlib import Path

from hantei_evaluator.suites.shogi.keisei.field_notes import NO_EFFECT_IN_KEISEI

PAGE = Path(__file__).parents[3] / "docs" / "keisei.md"


def test_the_page_lists_the_fields_without_effect_in_keisei() -> None:
    section = PAGE.read_text().split("### Fields that Keisei accepts without effect")[1].split("\n###")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert sorted(name for row in rows for name in re.findall(r"`(\w+)`", row)) == sorted(NO_EFFECT_IN_KEISEI)
