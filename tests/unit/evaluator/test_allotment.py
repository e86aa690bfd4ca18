from pathlib import Path

import pytest

from hantei_evaluator.run.allotment import IN_A_POD, cores

POD = {IN_A_POD: "10.0.0.1"}


class Tree:
    """A stand-in for /sys/fs/cgroup and /proc/self/cgroup."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "cgroup"
        self.root.mkdir()
        self.membership = directory / "self"
        self.membership.write_text("")

    def member(self, *lines: str) -> "Tree":
        self.membership.write_text("\n".join(lines) + "\n")
        return self

    def v2(self, path: str, cpu_max: str) -> "Tree":
        return self._write(path, "cpu.max", cpu_max)

    def v1(self, path: str, quota: int, period: int = 100_000) -> "Tree":
        self._write(path, "cpu.cfs_quota_us", str(quota))
        return self._write(path, "cpu.cfs_period_us", str(period))

    def _write(self, path: str, name: str, text: str) -> "Tree":
        directory = self.root / path
        directory.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text + "\n")
        return self

    def cores(self, cpus: int = 64, environment: dict[str, str] | None = None) -> int:
        return cores(self.root, self.membership, affinity=lambda: cpus, environment=environment or {})


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_version_2_in_a_container_the_quota_lies_at_the_mount(tree: Tree) -> None:
    assert tree.member("0::/").v2("", "200000 100000").cores() == 2


def test_version_2_the_tightest_level_above_counts(tree: Tree) -> None:
    tree.member("0::/kubepods.slice/pod1/container")
    tree.v2("kubepods.slice", "800000 100000").v2("kubepods.slice/pod1", "300000 100000")
    tree.v2("kubepods.slice/pod1/container", "max 100000")
    assert tree.cores() == 3


def test_the_hosts_path_of_a_container_is_passed_over(tree: Tree) -> None:
    assert tree.member("0::/kubepods/besteffort/podx/y").v2("", "400000 100000").cores() == 4


@pytest.mark.parametrize("mount", ["cpu", "cpu,cpuacct"])
def test_version_1(tree: Tree, mount: str) -> None:
    tree.member("12:memory:/pod", "4:cpu,cpuacct:/pod/container", "0::/")
    tree.v1(f"{mount}/pod", 150_000).v1(f"{mount}/pod/container", -1)
    assert tree.cores() == 1
    assert tree.v1(f"{mount}/pod", 250_000, 50_000).cores() == 5


def test_a_quota_is_rounded_down_but_not_to_nothing(tree: Tree) -> None:
    tree.member("0::/")
    assert tree.v2("", "290000 100000").cores() == 2
    assert tree.v2("", "50000 100000").cores() == 1


def test_a_cpu_set_that_is_tighter_than_the_quota_counts(tree: Tree) -> None:
    assert tree.member("0::/").v2("", "800000 100000").cores(cpus=3) == 3


def test_without_a_quota_a_pod_gets_one_core_and_a_laptop_all_it_may_use(tree: Tree) -> None:
    tree.member("0::/").v2("", "max 100000")
    assert tree.cores(cpus=64, environment=POD) == 1
    assert tree.cores(cpus=8) == 8


def test_a_machine_without_control_groups_is_a_laptop(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    assert cores(nowhere, nowhere, affinity=lambda: 4, environment={}) == 4


def test_damaged_files_are_no_quota(tree: Tree) -> None:
    tree.member("0::/a").v2("", "200000 100000").v2("a", "garbage")
    assert tree.cores() == 2
