"""Where a pod must run because of the volumes it mounts: a ReadWriteOnce volume is attached to one node at a time."""

from collections.abc import Iterable
from dataclasses import dataclass

_ANYWHERE = frozenset({"ReadWriteMany", "ReadOnlyMany"})


@dataclass(frozen=True)
class ClaimFacts:
    """A PersistentVolumeClaim."""

    name: str
    access_modes: frozenset[str]

    @property
    def one_node(self) -> bool:
        """Whether only one node at a time can mount it; ReadWriteOncePod is the scheduler's own business."""
        return "ReadWriteOnce" in self.access_modes and not self.access_modes & _ANYWHERE


@dataclass(frozen=True)
class ClaimUser:
    """A live pod, where it runs, and the claims it mounts."""

    pod: str
    node: str
    claims: frozenset[str]


@dataclass(frozen=True)
class Placement:
    """The node that the volumes ask for, and why."""

    node: str
    message: str


def placement(claims: Iterable[ClaimFacts], users: Iterable[ClaimUser]) -> Placement | None:
    """The node where a ReadWriteOnce claim is mounted now; None when the pod may run anywhere.

    Two claims on two nodes can't both be served: the first one is named, and the scheduler waits for the other.
    """
    bound = sorted(claim.name for claim in claims if claim.one_node)
    live = sorted(((user.pod, user) for user in users if user.node), key=lambda pair: pair[0])
    for name in bound:
        for pod, user in live:
            if name in user.claims:
                return Placement(
                    user.node,
                    f"claim {name} is ReadWriteOnce and pod {pod} mounts it: the evaluation must run on {user.node}",
                )
    return None
