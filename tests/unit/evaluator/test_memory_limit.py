"""The memory limit that a control group sets, in stand-in trees of both versions."""

from pathlib import Path

import pytest

from hantei_evaluator.run import memory
from hantei_evaluator.run.memory import Level

GIB = 2**30


def write(directory: Path, **files: object) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (directory / name.replace("__", ".")).write_text(f"{content}\n")


def version_2(root: Path, limit: object, used: int, reclaimable: int = 0) -> None:
    write(
        root,
        memory__max=limit,
        memory__current=used,
        memory__stat=f"anon 5\nfile 7\ninactive_file {reclaimable // 2}\nactive_file {reclaimable // 2}",
    )


def version_1(root: Path, limit: object, used: int, reclaimable: int = 0) -> None:
    stat = f"inactive_file 1\ntotal_inactive_file {reclaimable // 2}\ntotal_active_file {reclaimable // 2}"
    write(root, memory__limit_in_bytes=limit, memory__usage_in_bytes=used, memory__stat=stat)


def membership(directory: Path, text: str) -> Path:
    file = directory / "membership"
    file.write_text(text)
    return file


def test_stand_in_of_version_2_in_a_container_is_read_at_the_root(tmp_path: Path) -> None:
    version_2(tmp_path / "cgroup", GIB, 900, reclaimable=400)
    found = memory.find(tmp_path / "cgroup", membership(tmp_path, "0::/\n"))
    assert found is not None
    assert (found.limit_bytes, found.used_bytes()) == (GIB, 500)


def test_stand_in_of_version_1_in_a_container_is_read_at_the_mount(tmp_path: Path) -> None:
    version_1(tmp_path / "cgroup" / "memory", GIB, 900, reclaimable=300)
    listed = "4:memory:/kubepods/pod1/abc\n1:cpu:/kubepods/pod1/abc\n0::/\n"
    found = memory.find(tmp_path / "cgroup", membership(tmp_path, listed))
    assert found is not None
    assert (found.limit_bytes, found.used_bytes()) == (GIB, 600)


def test_stand_in_the_tightest_limit_on_the_way_up_counts(tmp_path: Path) -> None:
    root = tmp_path / "cgroup"
    version_2(root / "user" / "unit", "max", 10)
    version_2(root / "user", GIB, 20)
    version_2(root, 2 * GIB, 30)
    found = memory.find(root, membership(tmp_path, "0::/user/unit\n"))
    assert found is not None
    assert (found.limit_bytes, found.used_bytes()) == (GIB, 20)


@pytest.mark.parametrize("limit", ["max", 2**63 - 4096])
def test_stand_in_without_a_limit_there_is_none(tmp_path: Path, limit: object) -> None:
    version_2(tmp_path / "cgroup", limit, 10)
    assert memory.find(tmp_path / "cgroup", membership(tmp_path, "0::/\n")) is None


def test_without_control_groups_there_is_no_limit(tmp_path: Path) -> None:
    assert memory.find(tmp_path / "nothing", tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    ("used", "level"),
    [(0.94, Level.FREE), (0.951, Level.REACHED), (0.979, Level.REACHED), (0.981, Level.CRITICAL)],
)
def test_stand_in_95_percent_is_reached_and_98_critical(tmp_path: Path, used: float, level: Level) -> None:
    version_2(tmp_path / "cgroup", GIB, int(used * GIB))
    found = memory.find(tmp_path / "cgroup", membership(tmp_path, "0::/\n"))
    assert found is not None
    assert found.level is level
    assert "of the memory limit of 1024 MiB" in found.describe()


def test_stand_in_near_the_limit_it_is_looked_at_more_often(tmp_path: Path) -> None:
    version_2(tmp_path / "cgroup", GIB, 0)
    found = memory.find(tmp_path / "cgroup", membership(tmp_path, "0::/\n"))
    assert found is not None
    assert found.poll_seconds == 0.1
    version_2(tmp_path / "cgroup", GIB, int(0.81 * GIB))
    assert found.poll_seconds == 0.01
