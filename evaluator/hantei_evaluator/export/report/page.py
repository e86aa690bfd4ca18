"""The page itself: everything it needs is in the one file, and nothing in it runs."""

from collections.abc import Sequence
from importlib.metadata import version

from hantei_api.result import EvaluationResult
from hantei_api.task import TaskRun
from hantei_evaluator.export.report import details, summary
from hantei_evaluator.export.report.board import worst_game
from hantei_evaluator.export.report.evaluations import Evaluation
from hantei_evaluator.export.report.markup import Markup, element

STYLE = Markup("""
:root { color-scheme: light dark; --ink: #1d2733; --paper: #fff; --soft: #eef1f5; --line: #c9d1db; --accent: #2f6fb3; --bad: #b3372f; --good: #2f8a57; --warn: #a86a12 }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9ef; --paper: #14181d; --soft: #20262e; --line: #3d4854; --accent: #6ba6e4; --bad: #e67a72; --good: #6cc494; --warn: #dda552 } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 860px; padding: 24px 20px 60px; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif }
h1 { font-size: 26px; margin: 0 } h2 { font-size: 18px; margin: 36px 0 10px; border-bottom: 1px solid var(--line); padding-bottom: 4px }
p { margin: 8px 0 } .note { color: color-mix(in srgb, var(--ink) 72%, transparent); font-size: 13px } .warning { color: var(--warn); font-weight: 600 }
.verdict { font-size: 20px } .badge { display: inline-block; padding: 4px 14px; border-radius: 6px; font-weight: 700; color: var(--paper); background: var(--accent) }
.badge.pass { background: var(--good) } .badge.regressed, .badge.failed { background: var(--bad) } .badge.underpowered, .badge.notsignificant { background: var(--warn) }
.wide { overflow-x: auto } table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums } th, td { text-align: left; padding: 3px 10px; border-bottom: 1px solid var(--line); vertical-align: top }
.matrix td, .matrix th { text-align: center; border: 1px solid var(--line) } .facts th { color: color-mix(in srgb, var(--ink) 72%, transparent); font-weight: 500; white-space: nowrap } code { font-size: 12px; overflow-wrap: anywhere }
svg { width: 100%; height: auto; display: block; margin: 10px 0 } svg text { font: 12px system-ui, "DejaVu Sans", sans-serif; fill: var(--ink) } .label { text-anchor: end } .tick { text-anchor: middle }
.grid { stroke: var(--line); stroke-width: 1; stroke-dasharray: 2 3 } .interval { stroke: var(--accent); stroke-width: 3; stroke-linecap: round } .mark { stroke: var(--bad); stroke-width: 1.5 }
circle { fill: var(--accent); stroke: var(--paper); stroke-width: 1.5 } .bar { fill: var(--accent) } .curve { fill: none; stroke: var(--accent); stroke-width: 1.5; opacity: .6 }
.board { border: 2px solid var(--ink); width: auto } .board td { width: 34px; height: 34px; padding: 0; text-align: center; vertical-align: middle; border: 1px solid var(--line); font-size: 13px } .board .white { color: var(--bad) } .board .last { background: var(--soft) }
""")


def build_page(evaluations: Sequence[Evaluation]) -> str:
    """HTML about one evaluation or several; of several, the one of the latest training step is shown in full.

    Raises ValueError without any.
    """
    if not evaluations:
        raise ValueError("a report needs at least one evaluation")
    ordered = sorted(evaluations, key=lambda each: (each.result.training_step or 0, each.result.finished_at))
    last = ordered[-1]
    result = last.result
    metric = result.comparison.metric if result.comparison else (result.metrics[0].name if result.metrics else "")
    body = [
        element("h1", _title(result)),
        summary.verdict(result),
        summary.metrics(result),
        summary.over_training(ordered),
        details.cross_table(last.samples),
        details.confusion(last.samples),
        details.lengths_and_ends(last.samples),
        details.changed(last, metric),
        worst_game(last),
        summary.service_levels(result),
        summary.facts(last),
        element("p", f"Hantei {version('hantei')}, from {len(ordered)} results.", class_="note"),
    ]
    head = element(
        "head",
        Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        # Nothing in a page about results from elsewhere may run or be fetched.
        Markup(
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        ),
        element("title", f"{_title(result)}: {result.verdict.value}"),
        element("style", STYLE),
    )
    return f"<!doctype html>\n{element('html', head, element('body', *body), lang='en')}\n"


def _title(result: EvaluationResult) -> str:
    """The run's name; on a laptop there is none."""
    if result.run != TaskRun().name:
        return result.run
    return result.suite if result.training_step is None else f"{result.suite}, training step {result.training_step:,}"
