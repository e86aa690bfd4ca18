"""docs/reasons.md says about every reason what the code says."""

from pathlib import Path

from hantei_api.reasons import EVALUATOR_REASONS, FACTS, Budget, Reason
from hantei_api.spec import Retries

PAGE = Path(__file__).parents[3] / "docs" / "reasons.md"

NEW_ATTEMPT = {
    Budget.NONE: "no",
    Budget.FREE: "yes, costs no retry",
    Budget.INFRASTRUCTURE: "`retries.infrastructure`",
    Budget.EVALUATION: "`retries.evaluation`",
}


def expected_table() -> str:
    rows = ["| Reason | What to do | New attempt | Evaluator's exit code |", "|---|---|---|---|"]
    for reason in Reason:
        code = EVALUATOR_REASONS.get(reason)
        facts = FACTS[reason]
        rows.append(f"| {reason} | {facts.advice} | {NEW_ATTEMPT[facts.budget]} | {'' if code is None else code} |")
    return "\n".join(rows)


def test_the_table_of_reasons_is_the_codes() -> None:
    assert expected_table() in PAGE.read_text(), f"put this table into docs/reasons.md:\n{expected_table()}"


def test_the_page_names_the_default_budgets() -> None:
    budgets = Retries()
    assert f"`retries.infrastructure` (default {budgets.infrastructure})" in PAGE.read_text()
    assert f"`retries.evaluation` (default {budgets.evaluation})" in PAGE.read_text()
