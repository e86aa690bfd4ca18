"""URIs of web servers, of the local disk and of hf, against stand-ins on loopback."""

import hashlib
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hantei_api.reasons import Reason
from hantei_evaluator.run import copying
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.run.fetch import Fetched, fetch
from support.web_stand_in import WebStandIn, web_stand_in

BODY = random.Random(1).randbytes(2_000_000)
NAME = "/runs/a.pth"


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebStandIn]:
    monkeypatch.setattr(copying, "FIRST_PAUSE_SECONDS", 0.01)
    with web_stand_in() as server:
        server.files[NAME] = BODY
        yield server


def fetched(uri: str, directory: Path, limit_bytes: int | None = None) -> Fetched:
    return fetch("checkpoint", uri, directory / "fetched", limit_bytes)


def refused(uri: str, directory: Path, limit_bytes: int | None = None) -> EvaluationError:
    with pytest.raises(EvaluationError) as raised:
        fetched(uri, directory, limit_bytes)
    assert not [path for path in directory.rglob("*") if path.is_file()]
    return raised.value


def test_a_cut_answer_of_a_web_stand_in_is_continued_by_a_range_request(tmp_path: Path, web: WebStandIn) -> None:
    web.cut_after_bytes = 700_000

    found = fetched(web.origin + NAME, tmp_path)

    assert found.path.read_bytes() == BODY
    assert found.sha256 == hashlib.sha256(BODY).hexdigest()
    assert web.requests == [NAME, f"{NAME} bytes=700000-", f"{NAME} bytes=1400000-"]


def test_a_web_stand_in_without_ranges_is_read_again_from_the_start(tmp_path: Path, web: WebStandIn) -> None:
    web.ranges, web.cut_after_bytes, web.cuts = False, 700_000, 2

    assert fetched(web.origin + NAME, tmp_path).path.read_bytes() == BODY


def test_a_web_stand_in_without_ranges_that_always_cuts_is_given_up(tmp_path: Path, web: WebStandIn) -> None:
    web.ranges, web.cut_after_bytes = False, 700_000

    assert "tries brought nothing" in str(refused(web.origin + NAME, tmp_path))


def test_an_answer_without_a_size_is_read_to_its_end_or_not_at_all(tmp_path: Path, web: WebStandIn) -> None:
    web.sizes, web.cut_after_bytes, web.cuts = False, 700_000, 1

    assert fetched(web.origin + NAME, tmp_path).path.read_bytes() == BODY


def test_an_answer_without_a_size_is_capped_while_it_comes(tmp_path: Path, web: WebStandIn) -> None:
    web.sizes = False

    assert refused(web.origin + NAME, tmp_path, limit_bytes=1_000_000).reason is Reason.STORAGE_FULL


@pytest.mark.parametrize("new", [bytes(reversed(BODY)), BODY[:300_000]])
def test_a_file_that_is_replaced_meanwhile_comes_whole_from_the_new_one(
    tmp_path: Path, web: WebStandIn, new: bytes
) -> None:
    web.cut_after_bytes, web.cuts, web.replaced_by = 700_000, 1, new

    assert fetched(web.origin + NAME, tmp_path).path.read_bytes() == new


@pytest.mark.parametrize(("status", "word"), [(403, "access is denied (403)"), (410, "nothing is there (410)")])
def test_a_refusal_is_not_asked_for_again_and_shows_no_signature(
    tmp_path: Path, web: WebStandIn, status: int, word: str
) -> None:
    web.statuses = [status]

    error = refused(f"{web.origin}{NAME}?X-Amz-Signature=abc%2Fdef&token=hidden", tmp_path)

    assert error.reason is Reason.CHECKPOINT_MISSING
    assert word in str(error)
    assert "abc" not in str(error)
    assert "hidden" not in str(error)
    assert web.requests == [f"{NAME}?X-Amz-Signature=abc%2Fdef&token=hidden"], "the signature arrives as it was given"


def test_a_busy_server_is_asked_again(tmp_path: Path, web: WebStandIn) -> None:
    web.statuses = [503, 429]

    assert fetched(web.origin + NAME, tmp_path).path.read_bytes() == BODY


FETCH = """
import sys
from pathlib import Path
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.run.fetch import fetch

try:
    print(fetch("checkpoint", sys.argv[1], Path(sys.argv[2]), None).sha256)
except EvaluationError as error:
    print(error)
"""


def fetched_by_a_process(uri: str, directory: Path, environment: dict[str, str]) -> str:
    """The digest, or the error's message."""
    command = [sys.executable, "-c", FETCH, uri, str(directory)]
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_https_takes_a_token_from_the_secret_and_http_never_sends_it(tmp_path: Path, web: WebStandIn) -> None:
    token = "token-of-the-test"
    authority = tmp_path / "authority.pem"
    with web_stand_in(authority) as secure:
        secure.files[NAME], secure.bearer = BODY, token
        secret = {"SSL_CERT_FILE": str(authority), "HANTEI_HTTPS_TOKEN": token}
        right = fetched_by_a_process(secure.origin + NAME, tmp_path / "right", secret)
        wrong = fetched_by_a_process(
            secure.origin + NAME, tmp_path / "wrong", {**secret, "HANTEI_HTTPS_TOKEN": "no-token"}
        )
        unknown = fetched_by_a_process(secure.origin + NAME, tmp_path / "unknown", {"HANTEI_HTTPS_TOKEN": token})
    web.bearer = token
    plain = fetched_by_a_process(web.origin + NAME, tmp_path / "plain", secret)

    assert right == hashlib.sha256(BODY).hexdigest()
    assert "access is denied (401): the Secret of credentialsSecretName must hold HANTEI_HTTPS_TOKEN" in wrong
    assert "no-token" not in wrong
    assert "self-signed certificate" in unknown
    assert "tries" not in unknown, "a wrong certificate is not tried again"
    assert "access is denied (401)" in plain


def test_a_file_and_a_folder_of_the_local_disk_are_fetched(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "b").mkdir(parents=True)
    (source / "a").write_bytes(b"1")
    (source / "b" / "c").write_bytes(b"2")

    assert fetch("checkpoint", f"file://{source}/a", tmp_path / "file", None).path.read_bytes() == b"1"
    folder = fetch("inputs[data]", f"file://{source}", tmp_path / "folder", None).path
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == {"a", "b/c"}


def test_an_absent_file_of_the_local_disk_is_missing(tmp_path: Path) -> None:
    assert "nothing is there" in str(refused(f"file://{tmp_path}/none", tmp_path))


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("hf://owner/name/model.safetensors", "names no revision: pin it"),
        ("hf://owner/name@main/model.safetensors", "names the revision main, which can move: pin it"),
        ("hf://datasets/owner/name@v1.0/data.npz", "names the revision v1.0, which can move"),
        ("hf://owner/name@0123456789ab/model.safetensors", "40 hex digits"),
        ("hf://name", "is no hf URI"),
        ("simplecache::https://host/a.pth", "chains filesystems"),
        ("nosuch://bucket/a.pth", "Install the filesystem in the image"),
    ],
)
def test_a_uri_that_can_not_be_held_to_is_refused_before_any_request(tmp_path: Path, uri: str, words: str) -> None:
    error = refused(uri, tmp_path)

    assert error.reason is Reason.INVALID_TASK
    assert words in str(error)
