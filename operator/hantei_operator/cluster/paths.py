"""Where each kind lives in the API."""

from hantei_api.names import GROUP, RUN_PLURAL, VERSION

RUNS = (f"/apis/{GROUP}/{VERSION}", RUN_PLURAL)
JOBS = ("/apis/batch/v1", "jobs")
PODS = ("/api/v1", "pods")
EVENTS = ("/api/v1", "events")
CLAIMS = ("/api/v1", "persistentvolumeclaims")
LEASES = ("/apis/coordination.k8s.io/v1", "leases")


def path(kind: tuple[str, str], namespace: str | None, name: str | None = None, *, subresource: str = "") -> str:
    """The path of a collection or object; without a namespace, of all of them."""
    base, plural = kind
    parts = [base, f"namespaces/{namespace}" if namespace else "", plural, name or "", subresource]
    return "/".join(part for part in parts if part)
