"""The checkpoint and the inputs, from paths and from a stand-in of a web server."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from hantei_api.reasons import Reason
from hantei_api.task import EvaluationTask
from hantei_evaluator.run import copying
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.run.fetch import without_credentials
from hantei_evaluator.run.inputs import gather, sha256_of

BODY = b"x" * 3_000_000


class Handler(BaseHTTPRequestHandler):
    """200 for /there.pt, 403 for /denied.pt, else 404."""

    def do_GET(self) -> None:
        code = {"/there.pt": 200, "/denied.pt": 403}.get(self.path.partition("?")[0], 404)
        self.send_response(code)
        self.send_header("Content-Length", str(len(BODY) if code == 200 else 0))
        self.end_headers()
        if code == 200 and self.command == "GET":
            # What is too large is not read to its end.
            with suppress(OSError):
                self.wfile.write(BODY)

    def do_HEAD(self) -> None:
        self.do_GET()

    @override
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def task(checkpoint: dict[str, Any], **more: Any) -> EvaluationTask:
    body = {"checkpoint": checkpoint, "suite": {"command": {"argv": ["true"]}}} | more
    return EvaluationTask.model_validate(body)


def refused(task: EvaluationTask, scratch: Path) -> EvaluationError:
    with pytest.raises(EvaluationError) as raised:
        gather(task, scratch)
    return raised.value


def test_inputs_appear_under_their_names(tmp_path: Path) -> None:
    file, folder, scratch = tmp_path / "a.pt", tmp_path / "folder", tmp_path / "scratch"
    file.write_bytes(b"weights")
    folder.mkdir()
    scratch.mkdir()

    checkpoint, digest, inputs = gather(
        task({"path": str(file)}, inputs=[{"name": "data", "path": str(folder)}]), scratch
    )

    assert checkpoint == file
    assert digest == hashlib.sha256(b"weights").hexdigest()
    assert (inputs / "data").resolve() == folder


def test_an_input_that_is_one_file_keeps_its_name_below_the_inputs_name(tmp_path: Path) -> None:
    file = tmp_path / "data.npz"
    file.write_bytes(b"rows")
    inputs = [{"name": "data", "path": str(file), "sha256": hashlib.sha256(b"rows").hexdigest()}]

    _, _, directory = gather(task({"path": str(file)}, inputs=inputs), tmp_path)

    assert (directory / "data" / "data.npz").read_bytes() == b"rows"


def test_a_checkpoint_with_another_digest_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(b"weights")

    error = refused(task({"path": str(tmp_path / "a.pt"), "sha256": "0" * 64}), tmp_path)

    assert error.reason is Reason.CHECKPOINT_INVALID
    assert hashlib.sha256(b"weights").hexdigest() in str(error)
    assert "7 bytes" in str(error)


def test_a_missing_path_names_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "epoch_1.pt").touch()

    error = refused(task({"path": str(tmp_path / "epoch_2.pt")}), tmp_path)

    assert error.reason is Reason.CHECKPOINT_MISSING
    assert f"{tmp_path} is there and holds epoch_1.pt." in str(error)


def test_the_digest_of_a_folder_is_that_of_its_sha256sum_listing(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b" / "c").write_bytes(b"2")
    lines = "".join(f"{hashlib.sha256(body).hexdigest()}  {name}\n" for name, body in (("a", b"1"), ("b/c", b"2")))

    assert sha256_of(tmp_path) == hashlib.sha256(lines.encode()).hexdigest()


def test_a_checkpoint_is_fetched_by_uri(tmp_path: Path, server: str) -> None:
    path, digest, _ = gather(task({"uri": f"{server}/there.pt"}), tmp_path)

    assert path.name == "there.pt"
    assert digest == hashlib.sha256(BODY).hexdigest()


def test_what_is_fetched_counts_together_against_the_scratch_space(tmp_path: Path, server: str) -> None:
    uri = f"{server}/there.pt"

    error = refused(
        task({"uri": uri}, inputs=[{"name": "data", "uri": uri}], limits={"scratchBytes": 5_000_000}), tmp_path
    )

    assert error.reason is Reason.STORAGE_FULL
    assert str(error).startswith("inputs[data]:")


@pytest.mark.parametrize(
    ("name", "reason", "words"),
    [
        ("/absent.pt", Reason.CHECKPOINT_MISSING, "can't be fetched: nothing is there"),
        (
            "/denied.pt?signature=hidden",
            Reason.CHECKPOINT_MISSING,
            "access is denied (403): check credentialsSecretName",
        ),
        ("/there.pt", Reason.STORAGE_FULL, "larger than the 2000000 bytes of scratch space that are left"),
    ],
)
def test_what_cannot_be_fetched_says_why(tmp_path: Path, server: str, name: str, reason: Reason, words: str) -> None:
    error = refused(task({"uri": server + name}, limits={"scratchBytes": 2_000_000}), tmp_path)

    assert error.reason is reason
    assert words in str(error)
    assert "hidden" not in str(error)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_server_that_is_away_is_not_called_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "FIRST_PAUSE_SECONDS", 0.01)
    error = refused(task({"uri": "http://127.0.0.1:9/a.pt"}), tmp_path)

    assert error.reason is Reason.SOURCE_UNAVAILABLE
    assert "Connect" in str(error)


def test_a_scheme_that_the_image_lacks_is_an_invalid_task(tmp_path: Path) -> None:
    error = refused(task({"uri": "nosuch://bucket/a.pt"}), tmp_path)

    assert error.reason is Reason.INVALID_TASK


def test_credentials_are_cut_out_of_a_uri() -> None:
    assert without_credentials("https://user:word@host:8443/a.pt?X-Signature=1#f") == "https://host:8443/a.pt"
