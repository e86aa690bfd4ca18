"""What of an earlier evaluation's samples is taken over, and what never is."""

import json
from pathlib import Path

import pytest

from hantei_evaluator.run.progress import ProgressTracker
from hantei_evaluator.run.resume import SampleFiles, read_identity, read_lines, take_over
from hantei_evaluator.run.samples import SampleWriter
from support.samples import IDENTITY, OTHER, evaluated, ids, record, store_in
from support.waiting import eventually


def test_the_same_directory_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    evaluated(tmp_path, range(3))
    again = evaluated(tmp_path, range(5))
    assert dict(again.stored) == {f"game-{number}": record(number) for number in range(3)}
    assert ids(tmp_path) == [f"game-{number}" for number in range(5)]


@pytest.mark.parametrize("torn", [b'{"sampleId":"game-7","val', b'{"sampleId":"game-7"}', b"\0\0\0\0\n", b"7\n"])
def test_a_torn_last_line_is_dropped(tmp_path: Path, torn: bytes) -> None:
    evaluated(tmp_path, range(2))
    with (tmp_path / "samples.jsonl").open("ab") as file:
        file.write(torn)
    evaluated(tmp_path, range(2, 4))
    assert ids(tmp_path) == [f"game-{number}" for number in range(4)]


def test_nothing_behind_a_damaged_line_is_trusted(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_bytes(b'{"sampleId":"a"}\n{"sampl\n{"sampleId":"b"}\n')
    assert list(read_lines(path)) == ["a"]


def test_a_sample_is_written_once(tmp_path: Path) -> None:
    store = evaluated(tmp_path, range(3))
    store.recorder.samples([record(2), record(3), record(3)])
    again = store_in(tmp_path)
    again.open(IDENTITY)
    again.recorder.sample(record(1))
    assert ids(tmp_path) == [f"game-{number}" for number in range(4)]


def test_a_sample_without_an_id_is_the_suites_error(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="a sample needs sampleId"):
        evaluated(tmp_path, range(1)).recorder.sample({"score": 1})


def test_an_attempt_takes_over_what_all_before_it_left_and_its_own_file_is_whole(tmp_path: Path) -> None:
    evaluated(tmp_path / "attempt-1", range(3))
    evaluated(tmp_path / "attempt-2", range(2, 5), attempt=2)
    third = evaluated(tmp_path / "attempt-3", range(5, 6), attempt=3)
    assert len(third.stored) == 5
    assert sorted(ids(tmp_path / "attempt-3")) == [f"game-{number}" for number in range(6)]


def test_an_attempt_of_another_identity_is_not_taken_over_and_stays_as_it_is(tmp_path: Path) -> None:
    evaluated(tmp_path / "attempt-1", range(3), OTHER)
    second = evaluated(tmp_path / "attempt-2", range(1), attempt=2)
    assert not second.stored
    assert ids(tmp_path / "attempt-2") == ["game-0"]
    assert ids(tmp_path / "attempt-1") == [f"game-{number}" for number in range(3)]


def test_a_stranded_attempt_that_still_writes_does_not_spoil_the_next(tmp_path: Path) -> None:
    stranded = evaluated(tmp_path / "attempt-1", range(2))
    evaluated(tmp_path / "attempt-2", range(2, 3), attempt=2)
    stranded.recorder.sample(record(2, late=True))
    assert read_lines(tmp_path / "attempt-2" / "samples.jsonl")["game-2"] == (
        json.dumps(record(2), separators=(",", ":")).encode() + b"\n"
    )


def test_another_evaluation_in_the_directory_is_moved_aside_and_never_mixed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    evaluated(tmp_path, range(3), OTHER)
    (tmp_path / "result.json").write_text("{}")
    store = evaluated(tmp_path, range(7, 9))
    assert not store.stored
    assert ids(tmp_path) == ["game-7", "game-8"]
    assert ids(tmp_path / "previous-1") == [f"game-{number}" for number in range(3)]
    assert read_identity(SampleFiles.of(tmp_path / "previous-1")) == OTHER
    assert (tmp_path / "previous-1" / "result.json").exists()
    assert f"it is in {tmp_path / 'previous-1'} now" in caplog.text

    evaluated(tmp_path, range(1), OTHER)
    assert ids(tmp_path / "previous-2") == ["game-7", "game-8"]


def test_a_suite_without_identity_starts_anew(tmp_path: Path) -> None:
    evaluated(tmp_path, range(3))
    store = store_in(tmp_path)
    store.open(None)
    store.recorder.sample(record(1))
    assert ids(tmp_path) == ["game-1"]
    assert not (tmp_path / "identity.json").exists()


def test_an_identity_never_stands_beside_another_evaluations_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at any of the writes: what is left is of one evaluation, or nobody's."""
    files = SampleFiles.of(tmp_path)
    line = b'{"sampleId":"game-0"}\n'
    replace = Path.replace
    for survived in range(3):
        take_over(files, OTHER, {"game-9": b'{"sampleId":"game-9"}\n'})
        renames = 0

        def killed(self: Path, target: Path, survived: int = survived) -> Path:
            nonlocal renames
            renames += 1
            if renames > survived:
                raise OSError("a stand-in for SIGKILL")
            return replace(self, target)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", killed)
            if survived < 2:
                with pytest.raises(OSError, match="stand-in"):
                    take_over(files, IDENTITY, {"game-0": line})
            else:
                take_over(files, IDENTITY, {"game-0": line})
        assert (read_identity(files), list(read_lines(files.samples))) in (
            (None, ["game-9"]),
            (None, ["game-0"]),
            (IDENTITY, ["game-0"]),
        )


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"format":2,"suite":"shogi","checkpointSha256":"a","seed":1,"parts":{}}']
)
def test_an_identity_that_is_not_understood_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "identity.json").write_text(content)
    assert read_identity(SampleFiles.of(tmp_path)) is None


def test_a_full_disk_costs_the_samples_and_not_the_evaluation() -> None:
    writer = SampleWriter(ProgressTracker())
    writer.open(Path("/dev/full"))
    writer.sample(record(1))
    writer.sample(record(2))
    writer.close()
    assert writer.error == "samples.jsonl: No space left on device (while writing)"


def test_samples_reach_the_disk_beside_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr("hantei_evaluator.run.samples.SYNC_SECONDS", 0.01)
    monkeypatch.setattr("os.fsync", synced.append)
    writer = SampleWriter(ProgressTracker())
    writer.open(tmp_path / "samples.jsonl")
    writer.sample(record(1))
    eventually(lambda: synced)
    writer.close()
    assert len(synced) >= 2


def test_samples_beyond_those_that_counted_are_left_out_of_a_complete_file(tmp_path: Path) -> None:
    evaluated(tmp_path, range(6))
    fewer = store_in(tmp_path)
    fewer.open(IDENTITY)
    assert [fewer.stored[f"game-{number}"]["values"]["score"] for number in range(2)] == [0.0, 0.1]
    fewer.recorder.sample(record(9))
    fewer.complete()
    assert (fewer.reused, ids(tmp_path)) == (2, ["game-0", "game-1", "game-9"])


def test_a_complete_file_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> dict[str, bytes]:
        raise AssertionError(f"{path} is read")

    monkeypatch.setattr("hantei_evaluator.run.store.read_lines", refuse)
    evaluated(tmp_path, range(6)).complete()
    assert len(ids(tmp_path)) == 6
