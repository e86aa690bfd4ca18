"""Events on a run: one for each transition, under a name that follows from it."""

import hashlib
from datetime import UTC, datetime

from hantei_api.names import API_VERSION, RUN_KIND
from hantei_operator.cluster.client import Body
from hantei_operator.domain.actions import Announce
from hantei_operator.domain.facts import RunFacts

MESSAGE_CHARACTERS = 1024


def build_event(run: RunFacts, announce: Announce, now: datetime) -> Body:
    """The Event of a transition; a restarted operator builds the same name, so it is not posted twice."""
    digest = hashlib.sha256(f"{run.uid}/{announce.transition}".encode()).hexdigest()[:16]
    stamp = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{run.name[:200]}.{digest}", "namespace": run.namespace},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": RUN_KIND,
            "namespace": run.namespace,
            "name": run.name,
            "uid": run.uid,
        },
        "type": "Warning" if announce.warning else "Normal",
        "reason": announce.reason,
        "message": announce.message[:MESSAGE_CHARACTERS],
        "source": {"component": "hantei-operator"},
        "firstTimestamp": stamp,
        "lastTimestamp": stamp,
        "count": 1,
    }
