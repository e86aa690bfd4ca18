"""Every version of every object of a kind, in the order the API server committed them, from a watch of kubectl's."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support.controlplane import ControlPlane, binary

Body = dict[str, Any]


class History:
    """A watch that begins before there is anything to see; ``stop`` ends it."""

    def __init__(self, plane: ControlPlane, resource: str, directory: Path) -> None:
        self._path = directory / f"{resource}.json"
        command = [binary("kubectl"), f"--kubeconfig={plane.kubeconfig}", "get", resource, "--all-namespaces"]
        with self._path.open("wb") as log:
            self._watch = subprocess.Popen(
                [*command, "--watch", "--output-watch-events", "--output=json"], stdout=log, stderr=subprocess.DEVNULL
            )

    def versions(self, namespaces: tuple[str, ...]) -> list[tuple[str, Body]]:
        """ADDED, MODIFIED or DELETED, and the object as it then was, in those namespaces."""
        return [
            (event["type"], event["object"])
            for event in self._events()
            if event["object"]["metadata"].get("namespace") in namespaces
        ]

    def stop(self) -> None:
        """End the watch; a watch that had ended by itself has missed something."""
        ended = self._watch.poll()
        self._watch.terminate()
        self._watch.wait(10)
        assert ended is None, f"the watch ended by itself, exit status {ended}"

    def _events(self) -> Iterator[Body]:
        text, position, decoder = self._path.read_text(), 0, json.JSONDecoder()
        while position < len(text):
            try:
                event, position = decoder.raw_decode(text, position)
            except json.JSONDecodeError:  # the last one is still being written
                return
            yield event
            position += 1  # the newline after each event
