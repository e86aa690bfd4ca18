"""Copy an image archive from stdin to stdout without the blobs a node holds already.

``docker save`` always writes every layer, gigabytes of PyTorch among them, and importing those again takes minutes.
The digests to leave out (``sha256:...``) are the lines of the file named as the only argument.
"""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path


def thin(held: set[str]) -> None:
    """Copy the members of the archive whose blob is not in ``held``."""
    with (
        tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as source,
        tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as target,
    ):
        for member in source:
            path = Path(member.name)
            if path.parent.name == "sha256" and f"sha256:{path.name}" in held:
                continue
            target.addfile(member, source.extractfile(member) if member.isreg() else None)


if __name__ == "__main__":
    thin(set(Path(sys.argv[1]).read_text().split()))
