"""The account of a migration as text: field by field, or as a table."""

from collections.abc import Iterator, Sequence
from typing import Final

from hantei_evaluator.suites.shogi.keisei.migration import Account, Migration

HEADINGS: Final = ("FIELD", "VALUE", "HERE", "IN KEISEI")


def lines(migration: Migration) -> Iterator[str]:
    """One line a field, in three groups: what the spec says, what it has no place for, what had no effect in Keisei."""
    accounts = migration.accounts
    groups = (
        ("In the run's spec", [each for each in accounts if each.has_counterpart and not each.there]),
        ("No counterpart in a run's spec", [each for each in accounts if not each.has_counterpart and not each.there]),
        ("Had no effect in Keisei", [each for each in accounts if each.there]),
    )
    for title, members in groups:
        if members:
            yield f"{title}:"
        for each in members:
            why = f" (in Keisei: {each.there})" if each.there else ""
            yield f"  {each.field}: {_value(each)} -> {each.here}{why}"
    yield from _remarks(migration)


def table(migration: Migration) -> Iterator[str]:
    """The fields in Keisei's order, one a row."""
    rows: list[Sequence[str]] = [HEADINGS]
    rows += [(each.field, _value(each), each.here, _there(each)) for each in migration.accounts]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS) - 1)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        yield "  ".join([*cells, row[-1]]).rstrip()
    yield from _remarks(migration)


def _value(account: Account) -> str:
    return account.value if account.given else f"{account.value} (default)"


def _there(account: Account) -> str:
    return f"no effect: {account.there}" if account.there else ""


def _remarks(migration: Migration) -> Iterator[str]:
    if migration.remarks:
        yield "To check:"
    for remark in migration.remarks:
        yield f"  {remark}"
