"""hf and gs through their real clients, each in a process of its own, against stand-ins on loopback."""

import hashlib
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.hub_stand_ins import COMMIT, HubStandIn, google_storage_stand_in, hugging_face_stand_in

BODY = random.Random(1).randbytes(300_000)
NAME = "models/a.safetensors"

FETCH = """
import sys
from pathlib import Path
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.run.fetch import fetch

try:
    found = fetch("checkpoint", sys.argv[1], Path(sys.argv[2]), None)
    print(found.sha256, *sorted(path.name for path in Path(sys.argv[2]).rglob("*") if path.is_file()))
except EvaluationError as error:
    print(error)
"""
UPLOAD = """
import sys
from pathlib import Path
from hantei_evaluator.run.upload import upload

print(repr(upload(Path(sys.argv[1]), sys.argv[2], lambda: 20.0)))
"""


@pytest.fixture
def hugging_face(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubStandIn]:
    with hugging_face_stand_in() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.origin)
        hub.files[NAME] = BODY
        yield hub


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubStandIn]:
    with google_storage_stand_in() as storage:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage.origin)
        storage.files[NAME] = BODY
        yield storage


def said(code: str, *arguments: str, **environment: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def test_a_file_at_a_commit_comes_from_the_hugging_face_stand_in(tmp_path: Path, hugging_face: HubStandIn) -> None:
    hugging_face.token = "hf_token_of_the_test"
    hugging_face.statuses = [503]

    found = said(FETCH, f"hf://owner/name@{COMMIT}/{NAME}", str(tmp_path / "to"), HF_TOKEN="hf_token_of_the_test")

    assert found == f"{hashlib.sha256(BODY).hexdigest()} a.safetensors"


def test_a_folder_at_a_commit_comes_from_the_hugging_face_stand_in(tmp_path: Path, hugging_face: HubStandIn) -> None:
    hugging_face.files["models/config.json"] = b"{}"

    found = said(FETCH, f"hf://owner/name@{COMMIT}/models", str(tmp_path / "to"))

    assert found.split()[1:] == ["a.safetensors", "config.json"]


def test_a_wrong_token_and_an_absent_file_are_said(tmp_path: Path, hugging_face: HubStandIn) -> None:
    absent = said(FETCH, f"hf://owner/name@{COMMIT}/none", str(tmp_path / "absent"))
    hugging_face.token = "hf_token_of_the_test"
    denied = said(FETCH, f"hf://owner/name@{COMMIT}/{NAME}", str(tmp_path / "denied"), HF_TOKEN="hf_wrong_token")

    assert "nothing is there" in absent
    assert "access is denied (401): the Secret of credentialsSecretName must hold HF_TOKEN" in denied
    assert "hf_wrong_token" not in denied


def test_a_file_and_a_folder_come_from_the_google_storage_stand_in(tmp_path: Path, google: HubStandIn) -> None:
    google.statuses = [503]

    file = said(FETCH, f"gs://bucket/{NAME}", str(tmp_path / "file"))
    folder = said(FETCH, "gs://bucket/models", str(tmp_path / "folder"))
    absent = said(FETCH, "gs://bucket/none", str(tmp_path / "absent"))

    assert file == f"{hashlib.sha256(BODY).hexdigest()} a.safetensors"
    assert folder.split()[1:] == ["a.safetensors"]
    assert "nothing is there" in absent


def test_results_are_uploaded_to_the_google_storage_stand_in_with_result_json_last(
    tmp_path: Path, google: HubStandIn
) -> None:
    for name in ("result.json", "samples.jsonl"):
        (tmp_path / name).write_text(name)

    assert said(UPLOAD, str(tmp_path), "gs://bucket/results/1") == "''"

    assert list(google.files)[1:] == ["results/1/samples.jsonl", "results/1/result.json"]
    assert google.files["results/1/result.json"] == b"result.json"
