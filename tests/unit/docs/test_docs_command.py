"""docs/command.md is the contract that the command suite keeps."""

import json
import re
from pathlib import Path

from hantei_api.metrics import MAX_METRICS as MAX_STATUS_METRICS
from hantei_api.metrics import Metric
from hantei_evaluator.suites.command import MAX_METRICS, MAX_RESULT_BYTES, TERMINATE_SECONDS, CommandResult
from hantei_evaluator.suites.command_samples import MAX_LINE_BYTES, MAX_SAMPLES_BYTES, CommandSample
from support.evaluation import WRITE_RESULT, evaluate, python_command

PAGE = (Path(__file__).parents[3] / "docs" / "command.md").read_text()
BLOCKS = re.findall(r"```json\n(.*?)```", PAGE, flags=re.DOTALL)


def test_the_variables_are_those_that_a_program_finds(tmp_path: Path) -> None:
    code = WRITE_RESULT + "open(os.environ['HANTEI_OUTPUT'] + '/names', 'w').write(json.dumps(list(os.environ)))"

    ended = evaluate(tmp_path, python_command(code, limits={"runSeconds": 20}))

    assert ended.exit_code == 0, ended.stderr
    found = {name for name in json.loads((tmp_path / "output" / "names").read_text()) if name.startswith("HANTEI_")}
    ours = {"HANTEI_TERMINATION_LOG", "HANTEI_TEST_TIME_SCALE"}  # of the harness of these tests
    assert set(re.findall(r"^\| `(HANTEI_\w+)` \|", PAGE, flags=re.MULTILINE)) == found - ours


def test_its_examples_are_such_as_are_accepted() -> None:
    result, sample = BLOCKS

    assert [metric.name for metric in CommandResult.model_validate_json(result).metrics] == [
        "accuracy",
        "accuracy/rare_classes",
    ]
    assert CommandSample.model_validate_json(sample).values == {"accuracy": 1.0, "latency_seconds": 0.41}


def test_its_numbers_are_the_codes() -> None:
    for number in (MAX_RESULT_BYTES, MAX_LINE_BYTES, MAX_SAMPLES_BYTES, MAX_METRICS):
        assert f"{number:,}" in PAGE
    assert f"after {TERMINATE_SECONDS:g} s SIGKILL" in PAGE
    assert f"the first {MAX_STATUS_METRICS} that fit" in PAGE.replace("\n", " ")
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE.split("## Samples")[0], flags=re.MULTILINE)) >= set(
        Metric.model_fields
    )
