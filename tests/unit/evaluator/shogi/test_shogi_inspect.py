import argparse
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest

from hantei_api.reasons import Reason
from hantei_api.shogi import ActionPerspective
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.suites.shogi.inspect import add_inspect_arguments, inspect, run_inspect

START = "lnsgkgsnl/1r5b1/ppppppppp/9/9/9/PPPPPPPPP/1B5R1/LNSGKGSNL"


@pytest.mark.parametrize("name", ["ts10000", "ts20000"])
def test_every_position_is_seen_and_judged_as_by_keisei(
    name: str, keisei: Path, reference: list[dict[str, Any]]
) -> None:
    out = io.StringIO()
    inspect(keisei / f"checkpoint_{name}.pth", keisei / "positions.jsonl.gz", out)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert len(lines) == len(reference) == 120
    for line, row in zip(lines, reference, strict=True):
        expected = row[name]
        assert line["sfen"] == row["sfen"]
        assert line["legal_policy_index"] == row["legal_policy_index"]
        assert line["core46_nonzero"] == row["core46_nonzero"]
        assert line["value"] == pytest.approx(expected["value"], abs=1e-4)
        assert line["legal_logits"] == pytest.approx(expected["legal_logits"], abs=1e-3)
        best, second, *_ = [*sorted(expected["legal_logits"], reverse=True), float("-inf")]
        if best - second > 1e-4:
            assert line["argmax_policy_index"] == expected["argmax_policy_index"]


def described(keisei: Path, tmp_path: Path, *rows: object, **options: Any) -> list[dict[str, Any]]:
    path = tmp_path / "positions.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    out = io.StringIO()
    inspect(keisei / "checkpoint_ts10000.pth", path, out, **options)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def move_count_plane(line: dict[str, Any]) -> list[float]:
    return sorted({value for plane, _, _, value in line["core46_nonzero"] if plane == 43})


def test_the_move_count_is_the_fields_else_the_sfens_else_none(keisei: Path, tmp_path: Path) -> None:
    lines = described(
        keisei,
        tmp_path,
        {"sfen": f"{START} b - 11", "move_count": 50, "max_moves_per_game": 100},
        {"sfen": f"{START} b - 11"},
        "",
        {"sfen": f"{START} b -"},
    )
    assert [move_count_plane(line) for line in lines] == [[0.5], [0.02], []]


def test_the_perspective_turns_whites_indices_only(keisei: Path, tmp_path: Path) -> None:
    rows = [{"sfen": f"{START} b - 1"}, {"sfen": f"{START} w - 1"}]
    absolute = described(keisei, tmp_path, *rows)
    relative = described(keisei, tmp_path, *rows, perspective=ActionPerspective.RELATIVE)
    assert relative[0] == absolute[0]
    assert relative[1]["legal_policy_index"] == relative[0]["legal_policy_index"]
    assert absolute[1]["legal_policy_index"] != absolute[0]["legal_policy_index"]


def test_a_mated_position_has_no_argmax(keisei: Path, tmp_path: Path) -> None:
    (line,) = described(keisei, tmp_path, {"sfen": "4k4/4G4/4P4/9/9/9/9/9/4K4 w - 1"})
    assert (line["legal_policy_index"], line["argmax_policy_index"], line["legal_logits"]) == ([], None, [])


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("{", "line 2: Expecting property name"),
        ("[" * 100_000, "line 2: "),
        ([], "line 2: is a JSON list"),
        ({}, "line 2: field sfen is None"),
        ({"sfen": "9/9/9/9/9/9/9/9 b -"}, "line 2: field sfen: board has 8 ranks"),
        ({"sfen": f"{START} b -", "move_count": -1}, "line 2: field move_count is -1"),
        ({"sfen": f"{START} b -", "move_count": "3"}, "line 2: field move_count is '3'"),
        ({"sfen": f"{START} b -", "max_moves_per_game": 0}, "line 2: field max_moves_per_game is 0"),
    ],
)
def test_a_bad_line_is_named_with_its_number_and_field(
    keisei: Path, tmp_path: Path, row: object, complaint: str
) -> None:
    with pytest.raises(EvaluationError) as caught:
        described(keisei, tmp_path, {"sfen": f"{START} b -"}, row)
    assert caught.value.reason is Reason.INVALID_TASK
    assert complaint in str(caught.value)


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    add_inspect_arguments(parser)
    return run_inspect(parser.parse_args(arguments))


def test_exit_codes_tell_bad_lines_bad_checkpoints_and_missing_files_apart(
    keisei: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = str(keisei / "checkpoint_ts10000.pth")
    positions = tmp_path / "p.jsonl"
    positions.write_text(json.dumps({"sfen": f"{START} b -"}) + "\n")
    bad = tmp_path / "bad.jsonl"
    bad.write_text("nonsense\n")
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(gzip.compress(b'{"sfen": ""}\n' * 100)[:-12])
    damaged = tmp_path / "damaged.jsonl.gz"
    damaged.write_bytes(gzip.compress(b"{}")[:10] + b"\xff" * 20)
    text = tmp_path / "text.pth"
    text.write_text("not a checkpoint, " * 20)
    assert run("--checkpoint", good, "--positions", str(positions)) == 0
    assert len(json.loads(capsys.readouterr().out)["legal_policy_index"]) == 30
    for checkpoint, file, code in (
        (good, bad, 64),
        (good, cut, 64),
        (good, damaged, 64),
        (str(text), positions, 65),
        (str(tmp_path / "none.pth"), positions, 66),
        (good, tmp_path / "none.jsonl", 66),
    ):
        assert run("--checkpoint", checkpoint, "--positions", str(file)) == code
        assert capsys.readouterr().err.startswith("error: ")
