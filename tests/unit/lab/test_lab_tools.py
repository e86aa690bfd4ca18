"""`hack/lab tools`, with a stand-in for the Go compiler: built once, whole or not at all, and the user's own programs first."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

LAB = Path(__file__).parents[3] / "hack" / "lab"
TOOLS = {"kind", "kubectl", "helm", "helm4", "kwok", "etcd", "etcdctl"} | {
    f"kube-{part}" for part in ("apiserver", "controller-manager", "scheduler")
}

# Notes each build and its checksum settings; fails or hangs, half-way through writing, for the package a file names.
STAND_IN_GO = """#!/bin/bash
case "$1 $2" in
  "mod download") echo ' k8s.io/api => ./staging/src/k8s.io/api' >"$STAND_IN/go.mod"; echo "  \\"GoMod\\": \\"$STAND_IN/go.mod\\"," ;;
  build*)
    while [ $# -gt 1 ]; do [ "$1" = -o ] && out=$2; shift; done
    echo "$1 $GOSUMDB $GOPRIVATE$GONOSUMDB" >>"$STAND_IN/builds"
    echo half >"$out"
    if [ "$1" = "$(cat "$STAND_IN/fails" 2>/dev/null)" ]; then echo "undefined: everything"; exit 1; fi
    if [ "$1" = "$(cat "$STAND_IN/hangs" 2>/dev/null)" ]; then touch "$STAND_IN/hanging"; exec sleep 60; fi
    printf '#!/bin/sh\\necho whole\\n' >"$out"; chmod +x "$out" ;;
esac
"""


@dataclass(frozen=True)
class Machine:
    """A machine that has nothing but the stand-in compiler and the system's own programs."""

    root: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self.root}/path:/usr/bin:/bin",
            "HOME": str(self.root),
            "KINDLAB_CACHE": str(self.root / "cache"),
            "STAND_IN": str(self.root),
            "GOSUMDB": "off",
            "GOPRIVATE": "*",
        }

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(LAB), "tools"], env=self.environment, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def tools(self) -> tuple[int, str]:
        process = self.start()
        _, words = process.communicate(timeout=30)
        return process.returncode, words

    def builds(self) -> list[str]:
        return [line.split()[0] for line in (self.root / "builds").read_text().splitlines()]

    def program(self, name: str, text: str) -> Path:
        path = self.root / "path" / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def says(self, name: str) -> str:
        return subprocess.run([self.root / "cache" / "bin" / name], capture_output=True, text=True, check=True).stdout


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    (tmp_path / "path").mkdir()
    machine = Machine(tmp_path)
    machine.program("go", STAND_IN_GO)
    return machine


def test_every_tool_is_built_once(machine: Machine) -> None:
    assert machine.tools()[0] == 0
    first = machine.builds()
    assert machine.tools()[0] == 0
    assert machine.builds() == first
    assert {name for name in TOOLS if machine.says(name) == "whole\n"} == TOOLS
    assert len(first) == len(TOOLS)


def test_modules_are_checked_whatever_the_users_settings_are(machine: Machine) -> None:
    machine.tools()
    assert {line.split(" ", 1)[1] for line in (machine.root / "builds").read_text().splitlines()} == {"sum.golang.org "}


def test_failed_build_shows_the_end_of_its_log_and_leaves_no_program(machine: Machine) -> None:
    (machine.root / "fails").write_text("sigs.k8s.io/kwok/cmd/kwok")
    code, words = machine.tools()
    assert code != 0
    assert "undefined: everything" in words
    assert "in: tools>build kwok" in words
    assert not (machine.root / "cache" / "bin" / "kwok").exists()
    (machine.root / "fails").unlink()
    assert machine.tools()[0] == 0
    assert machine.says("kwok") == "whole\n"


def test_build_killed_half_way_is_done_again(machine: Machine) -> None:
    (machine.root / "hangs").write_text("sigs.k8s.io/kwok/cmd/kwok")
    process = machine.start()
    deadline = time.monotonic() + 20
    while not (machine.root / "hanging").exists():
        assert time.monotonic() < deadline, "the stand-in compiler was not called for kwok"
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=10)
    (machine.root / "hangs").unlink()
    assert machine.tools()[0] == 0
    assert machine.says("kwok") == "whole\n"
    assert machine.builds().count("sigs.k8s.io/kind") == 1, "what was whole before the kill is kept"


def test_two_at_once_build_each_tool_once(machine: Machine) -> None:
    both = [machine.start(), machine.start()]
    words = [process.communicate(timeout=30)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert len(machine.builds()) == len(TOOLS)
    assert any("another lab command is at work" in said for said in words)


@pytest.mark.parametrize(("version", "used"), [("v3.19.4+g1", True), ("v3.8.0+g1", False), ("v4.0.0+g1", False)])
def test_users_own_program_is_used_when_its_version_will_do(machine: Machine, version: str, *, used: bool) -> None:
    helm = machine.program("helm", f"#!/bin/sh\necho {version}\n")
    assert machine.tools()[0] == 0
    assert ((machine.root / "cache" / "bin" / "helm").resolve() == helm) is used


def test_without_go_the_message_names_what_to_install(machine: Machine) -> None:
    (machine.root / "path" / "go").unlink()
    code, words = machine.tools()
    assert code != 0
    assert "install Go 1.24 or newer" in words
