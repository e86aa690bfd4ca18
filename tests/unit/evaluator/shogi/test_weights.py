import os
import pickle
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from typing_extensions import override

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.run.weights import load_state_dict

WEIGHTS = {"layer.weight": torch.arange(6.0).reshape(2, 3), "layer.bias": torch.ones(2)}


def refused(path: Path) -> EvaluationError:
    with pytest.raises(EvaluationError) as caught:
        load_state_dict(path)
    assert str(path) in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    "content",
    [
        WEIGHTS,
        {"model_state_dict": WEIGHTS, "optimizer_state_dict": {"state": {}}, "global_timestep": 3},
        {"state_dict": WEIGHTS, "epoch": 1},
        {f"_orig_mod.{name}": tensor for name, tensor in WEIGHTS.items()},
        {f"module.{name}": tensor for name, tensor in WEIGHTS.items()},
        {f"module._orig_mod.{name}": tensor for name, tensor in WEIGHTS.items()},
        {f"_orig_mod.module.{name}": tensor for name, tensor in WEIGHTS.items()},
    ],
)
def test_the_weights_come_out_of_every_usual_wrapping(tmp_path: Path, content: dict[str, Any]) -> None:
    torch.save(content, tmp_path / "c.pth")
    loaded = load_state_dict(tmp_path / "c.pth")
    assert list(loaded) == list(WEIGHTS)
    assert all(torch.equal(loaded[name], tensor) for name, tensor in WEIGHTS.items())


def test_safetensors_and_the_old_torch_format_are_read(tmp_path: Path) -> None:
    save_file(WEIGHTS, tmp_path / "c.safetensors")
    save_file(WEIGHTS, tmp_path / "named_otherwise.bin")
    torch.save(WEIGHTS, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    for file in tmp_path.iterdir():
        assert set(load_state_dict(file)) == set(WEIGHTS)


def test_a_module_prefix_of_only_some_weights_stays(tmp_path: Path) -> None:
    torch.save({"module.a": torch.ones(1), "b": torch.ones(1)}, tmp_path / "c.pth")
    assert set(load_state_dict(tmp_path / "c.pth")) == {"module.a", "b"}


class Malicious:
    @override
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("touch was-here",)


def test_no_code_out_of_a_checkpoint_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Malicious()}, tmp_path / "zip.pth")
    (tmp_path / "raw.pth").write_bytes(pickle.dumps(Malicious(), protocol=2))
    torch.save({"state_dict": Malicious()}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    for name in ("zip.pth", "old.pth"):
        error = refused(tmp_path / name)
        assert error.reason is Reason.CHECKPOINT_INVALID
        assert "system" in str(error)
    assert "a pickle that torch.save did not write" in str(refused(tmp_path / "raw.pth"))
    assert not (tmp_path / "was-here").exists()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ([1, 2], "holds a list, no state dict"),
        ({"epoch": 1, "lr": 0.1}, "no tensors (epoch, lr)"),
        ({"state_dict": {}}, "in state_dict there is nothing"),
        ({"a": torch.tensor([1.0, float("nan")]), "b": torch.ones(1)}, "1 of 2 tensors hold NaN (first: a)"),
        ({"_orig_mod.a": torch.ones(1), "a": torch.ones(1)}, "with and without the prefix _orig_mod."),
    ],
)
def test_a_file_without_usable_weights_says_what_it_holds(tmp_path: Path, content: object, complaint: str) -> None:
    torch.save(content, tmp_path / "c.pth")
    error = refused(tmp_path / "c.pth")
    assert error.reason is Reason.CHECKPOINT_INVALID
    assert complaint in str(error)


@pytest.mark.parametrize("name", ["c.pth", "c.safetensors"])
@pytest.mark.parametrize("content", [b"hello, this is a text file\n" * 40, b'{"a": 1}', b"\x80\x02", bytes(range(256))])
def test_something_else_is_no_checkpoint(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert refused(tmp_path / name).reason in {Reason.CHECKPOINT_INVALID, Reason.CHECKPOINT_INCOMPLETE}


def test_a_text_file_is_invalid_and_shown(tmp_path: Path) -> None:
    (tmp_path / "c.pth").write_text("hello, this is a text file\n" * 40)
    error = refused(tmp_path / "c.pth")
    assert error.reason is Reason.CHECKPOINT_INVALID
    assert "starts with the text b'hello, th'" in str(error)
    assert "torch.save" in str(error)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("name", ["c.pth", "c.safetensors"])
def test_a_cut_off_file_is_incomplete(tmp_path: Path, name: str, share: float) -> None:
    path = tmp_path / name
    big = {"w": torch.arange(5000.0)}
    if name.endswith("pth"):
        torch.save(big, path)
    else:
        save_file(big, path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert refused(path).reason is Reason.CHECKPOINT_INCOMPLETE


def test_a_missing_file_names_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "checkpoint_ts1.pth").touch()
    error = refused(tmp_path / "run" / "checkpoint_ts2.pth")
    assert error.reason is Reason.CHECKPOINT_MISSING
    assert f"{tmp_path} is there and holds checkpoint_ts1.pth" in str(error)


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    assert refused(tmp_path).reason is Reason.CHECKPOINT_INVALID


def test_a_forbidden_file_names_user_group_and_mode(tmp_path: Path) -> None:
    path = tmp_path / "c.pth"
    torch.save(WEIGHTS, path)
    path.chmod(0o000)
    with unprivileged() as (uid, gid):
        error = refused(path)
    assert error.reason is Reason.CHECKPOINT_MISSING
    assert f"permission denied for uid {uid}, gid {gid}; " in str(error)
    # For root's tests the first closed folder is named, else the file.
    assert re.search(r"has uid \d+, gid \d+, mode 0[07]00\. Make it readable", str(error))


@contextmanager
def unprivileged() -> Iterator[tuple[int, int]]:
    """Root may read everything, so give root up for a moment."""
    uid, gid = os.geteuid(), os.getegid()
    if uid != 0:
        yield uid, gid
        return
    os.setegid(65534)
    os.seteuid(65534)
    try:
        yield 65534, 65534
    finally:
        os.seteuid(uid)
        os.setegid(gid)
