"""Where this process's control groups keep their numbers, in version 1, version 2 or both."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

MOUNTED: Final = Path("/sys/fs/cgroup")
MEMBERSHIP: Final = Path("/proc/self/cgroup")


def levels(controller: str, root: Path, membership: Path) -> Iterator[tuple[int, Path]]:
    """Version and directory of the process's group for that controller and of those above it, which may not exist.

    ``root`` is where control groups are mounted; ``membership`` lists those of the process. In a container the path that is
    listed may be the host's, while its own group is mounted at the root, which is always the last level.
    """
    with suppress(OSError):
        for line in membership.read_text().splitlines():
            number, controllers, path = line.split(":", 2)
            if number == "0":
                version, mounts = 2, [root, root / "unified"]
            elif controller in controllers.split(","):
                version, mounts = 1, [root / name for name in dict.fromkeys((controller, controllers))]
            else:
                continue
            parts = Path(path.lstrip("/"))
            for mount in mounts:
                for part in (parts, *parts.parents):
                    yield version, mount / part
