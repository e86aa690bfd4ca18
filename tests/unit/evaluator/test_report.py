"""hantei report: what the page says, and that nothing from a result can break out of it."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from hantei_api.gate import Comparison
from hantei_api.metrics import Metric
from hantei_api.provenance import Provenance, Sla, SlaMetric, SlaReading
from hantei_api.reasons import Reason, Verdict
from hantei_api.result import EvaluationResult
from hantei_cli.main import main
from hantei_evaluator.export.report.board import last_position
from hantei_evaluator.export.report.charts import Estimate, Point, bars, curve, histogram, intervals
from hantei_evaluator.export.report.evaluations import Evaluation, load
from hantei_evaluator.export.report.markup import Markup, element
from hantei_evaluator.export.report.page import build_page
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.run.publish import write_result
from hantei_evaluator.statistics.intervals import proportion_standard_error

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
COMPARISON = Comparison(
    metric="accuracy",
    baseline="run step-1",
    value=0.75,
    baseline_value=1.0,
    difference=-0.25,
    stderr=0.1,
    low=-0.45,
    high=-0.05,
    confidence=0.95,
    n=4,
    minimum_detectable=0.28,
    method="McNemar",
)


def result(**changes: Any) -> EvaluationResult:
    return EvaluationResult(
        **{
            "namespace": "team",
            "run": "digits",
            "attempt": 1,
            "suite": "classification",
            "training_step": 2000,
            "reason": Reason.GATE_FAILED,
            "message": "accuracy fell by 0.25.",
            "complete": True,
            "verdict": Verdict.REGRESSED,
            "comparison": COMPARISON,
            "metrics": [
                Metric(name="accuracy", value=0.75, stderr=0.2, n=4),
                Metric(name="cross_entropy", value=1.25, stderr=None, n=4),
            ],
            "samples_done": 4,
            "samples_total": 4,
            "provenance": Provenance(
                checkpoint_sha256="ab" * 32, device="cpu", precision="fp32", seed=3, reused_samples=1
            ),
            "sla": Sla.of([SlaReading(metric=SlaMetric.LATENCY_SECONDS, value=6.5, threshold=5.0)]),
            "started_at": WHEN,
            "finished_at": WHEN,
        }
        | changes
    )


def sample(number: int, label: Any, predicted: Any) -> dict[str, Any]:
    return {
        "sampleId": str(number),
        "label": label,
        "predicted": predicted,
        "values": {"accuracy": float(label == predicted)},
    }


def evaluation(
    samples: list[dict[str, Any]] | None = None, baseline: list[dict[str, Any]] | None = None, **changes: Any
) -> Evaluation:
    own = samples if samples is not None else [sample(0, 0, 0), sample(1, 1, 0), sample(2, 1, 1), sample(3, 0, 0)]
    return Evaluation(
        Path("x"),
        result(**changes),
        {each["sampleId"]: each for each in own},
        {each["sampleId"]: each for each in baseline or []},
    )


def page(*evaluations: Evaluation) -> ET.Element:
    """The page as a tree: it is well-formed but for the doctype and the void elements of its head."""
    text = build_page(evaluations).partition("\n")[2]
    for void in ("meta charset", "meta name", "meta http-equiv"):
        start = text.index(f"<{void}")
        text = text[:start] + text[text.index(">", start) + 1 :]
    return ET.fromstring(text)


def text_of(tree: ET.Element) -> str:
    return " ".join(" ".join(tree.itertext()).split())


def headings(tree: ET.Element) -> list[str]:
    return ["".join(each.itertext()) for each in tree.iter("h2")]


def test_the_page_leads_with_the_verdict_and_the_interval_it_rests_on() -> None:
    text = text_of(page(evaluation()))
    assert "Regressed worse than its baseline accuracy fell by 0.25." in text
    assert "accuracy 0.75 against 1 of run step-1, 95% interval, n = 4, by McNemar." in text
    assert "-0.25 [-0.45, -0.05]" in text
    assert "So many samples show a drop of 0.28 or more." in text


def test_a_failed_run_shows_its_reason_instead_of_a_verdict() -> None:
    failed = evaluation(
        [], reason=Reason.DEADLINE_EXCEEDED, verdict=Verdict.NONE, comparison=None, complete=False, samples_done=2
    )
    text = text_of(page(failed))
    assert "DeadlineExceeded" in text
    assert "Cut short: the numbers rest on 2 samples." in text


def test_a_run_without_a_baseline_says_so() -> None:
    assert "No baseline" in text_of(page(evaluation(verdict=Verdict.NONE, comparison=None, reason=Reason.COMPLETED)))


def test_facts_say_what_computed_what_and_how_much_was_taken_over() -> None:
    text = text_of(page(evaluation()))
    facts = ("team/digits, attempt 1", "ab" * 32, "cpu fp32", "4 of 4, 1 of them taken over")
    for words in (*facts, "latency_seconds 6.5 5 over"):
        assert words in text


def test_classes_make_a_confusion_matrix_and_changed_samples_come_lowest_first() -> None:
    baseline = [sample(0, 0, 1), sample(1, 1, 1), sample(2, 1, 1), sample(9, 1, 1)]
    tree = page(evaluation(baseline=baseline))
    assert {"Confusion matrix", "Changed against the baseline, lowest first"} <= set(headings(tree))
    text = text_of(tree)
    assert "Of 3 shared samples 1 have a lower accuracy and 1 a higher one." in text
    assert text.index("1 -1 1 1 → 0") < text.index("0 +1 0 1 → 0")


def test_games_make_a_cross_table_lengths_endings_and_the_quickest_loss_on_a_board() -> None:
    game = {
        "sampleId": "pair-0000-black",
        "pair": "pair-0000",
        "black": "agent",
        "white": "random",
        "blackScore": 0.0,
        "outcome": "loss",
        "termination": "checkmate",
        "plies": 3,
        "moves": ["7g7f", "3c3d", "8h2b+"],
        "values": {"score": 0.0},
    }
    colours = {"sampleId": "pair-0000-white", "black": "random", "white": "agent"}
    drawn = game | colours | {"blackScore": 0.5, "outcome": "draw"}
    tree = page(evaluation([game, drawn], suite="shogi", comparison=None))
    expected = {"Cross table", "Length in plies", "How they ended", "The quickest loss: pair-0000-black"}
    assert expected <= set(headings(tree))
    text = text_of(tree)
    assert "agent 0.25 (2) 0.5 of 2" in text
    assert "White in hand: nothing" in text
    assert "Black in hand: 1 B." in text


def test_a_game_is_replayed_to_its_last_position() -> None:
    squares, white, black = last_position({}, ["7g7f", "3c3d", "8h2b+", "3a2b", "B*5e"])
    assert squares[4][4] == "B"
    assert squares[1][7] == "s"
    assert (white, black) == ("1 B", "nothing")
    with pytest.raises(ValueError, match="move 1, 1a1b, is not legal"):
        last_position({}, ["1a1b"])


def test_several_checkpoints_make_a_curve_over_training_steps() -> None:
    earlier = evaluation(training_step=1000, run="earlier")
    tree = page(evaluation(), earlier)
    assert "accuracy over training" in headings(tree)
    assert text_of(tree).index("1,000 0.750") < text_of(tree).index("2,000 0.750")
    assert "accuracy over training" not in headings(page(evaluation()))


@pytest.mark.parametrize("evil", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</style><b>", "&lt;"])
def test_nothing_in_a_result_can_break_out_of_its_place(evil: str) -> None:
    hostile = [sample(0, evil, evil), {"sampleId": evil, "termination": evil, "values": {"accuracy": 0.0}}]
    against = [{"sampleId": evil, "values": {"accuracy": 1.0}}]
    text = build_page([evaluation(hostile, against, run=evil, message=evil, suite=evil)])
    assert "<script" not in text
    assert "<img" not in text
    assert text.count("</style>") == 1
    assert evil in text_of(page(evaluation(hostile, run=evil)))


def test_a_share_of_samples_has_wilsons_interval_which_stays_within_0_and_1() -> None:
    share = Metric(name="accuracy", value=1.0, stderr=proportion_standard_error(2, 2), n=2)
    metrics = [share, Metric(name="reward", value=2.5, stderr=0.5, n=2)]
    text = text_of(page(evaluation([sample(0, 0, 0), sample(1, 1, 1)], metrics=metrics)))
    assert "1.000 [0.342, 1.000] n = 2" in text
    assert "reward 2.5 1.52 to 3.48 2" in text


def test_attributes_and_texts_are_escaped_and_markup_is_not() -> None:
    assert element("a", Markup("<b>x</b>"), "<i>", title='"<') == '<a title="&quot;&lt;"><b>x</b>&lt;i&gt;</a>'


@pytest.mark.parametrize(
    "picture",
    [
        intervals([Estimate("a", 0.5, 0.5, 0.5, "0.5")]),
        intervals([Estimate("a", 1e-9, 0.0, 1e9, "x"), Estimate("b", -3, -4, -2, "y")], mark=0.0),
        curve([Point(1, Estimate("a", 0.0, 0.0, 0.0, "0")), Point(2, Estimate("a", 0.0, 0.0, 0.0, "0"))]),
        bars([("checkmate", 3), ("max_moves", 0)]),
        bars([]),
        histogram([5.0], "plies"),
        histogram([1.0, 500.0, 250.5], "plies"),
    ],
    ids=["a point", "far apart", "a flat curve", "bars", "no bars", "one length", "many lengths"],
)
def test_pictures_are_well_formed_and_inside_their_frame(picture: Markup) -> None:
    tree = ET.fromstring(picture)
    _, _, width, height = map(float, tree.attrib["viewBox"].split())
    for each in tree.iter():
        for name, limit in (("x", width), ("cx", width), ("x1", width), ("x2", width), ("y", height), ("cy", height)):
            if name in each.attrib:
                assert -0.5 <= float(each.attrib[name]) <= limit + 0.5


def test_output_directories_are_read_and_others_are_refused(tmp_path: Path) -> None:
    write_result(tmp_path, result())
    (tmp_path / "samples.jsonl").write_text(json.dumps(sample(0, 1, 1)) + "\n" + '{"sampleId": "torn')
    (tmp_path / "baseline-samples.jsonl").write_text(json.dumps(sample(0, 1, 0)) + "\n")
    found = load(tmp_path / "result.json")
    assert list(found.samples) == ["0"]
    assert found.baseline["0"]["predicted"] == 0
    assert load(tmp_path, tmp_path).baseline["0"]["predicted"] == 1
    with pytest.raises(EvaluationError, match=r"Name an output directory that holds result\.json"):
        load(tmp_path / "absent")
    (tmp_path / "result.json").write_text("{}")
    with pytest.raises(EvaluationError, match="is no result of an evaluation"):
        load(tmp_path)


def test_the_command_writes_one_file_and_says_which(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_result(tmp_path, result())
    file = tmp_path / "page.html"
    assert main(["report", str(tmp_path), "-o", str(file)]) == 0
    assert capsys.readouterr().out == f"{file}\n"
    assert file.read_text().startswith("<!doctype html>")
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


def test_the_command_refuses_what_is_no_result_and_what_can_t_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(tmp_path)]) == 66
    write_result(tmp_path, result())
    assert main(["report", str(tmp_path), "-o", str(tmp_path / "no" / "where.html")]) == 73
    assert "--output" in capsys.readouterr().err


def test_a_page_about_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one evaluation"):
        build_page([])
