"""One HTTP call to the API server: dicts in, dicts out, our own errors."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import urllib3
from kubernetes.client import ApiClient, ApiException

from hantei_api.names import API_VERSION, RUN_PLURAL
from hantei_operator.cluster.errors import Unavailable, error_of

Body = dict[str, Any]

MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"


@dataclass(frozen=True)
class Resource:
    """A namespaced kind: where its objects are."""

    prefix: str
    plural: str

    def collection(self, namespace: str | None) -> str:
        """Path of all objects, of one namespace or (None) of the cluster."""
        return f"{self.prefix}/namespaces/{namespace}/{self.plural}" if namespace else f"{self.prefix}/{self.plural}"

    def item(self, namespace: str, name: str) -> str:
        """Path of one object."""
        return f"{self.collection(namespace)}/{name}"


RUNS = Resource(f"/apis/{API_VERSION}", RUN_PLURAL)
JOBS = Resource("/apis/batch/v1", "jobs")
PODS = Resource("/api/v1", "pods")
CLAIMS = Resource("/api/v1", "persistentvolumeclaims")
EVENTS = Resource("/api/v1", "events")
LEASES = Resource("/apis/coordination.k8s.io/v1", "leases")


@dataclass(frozen=True)
class Request:
    """What to send."""

    method: str
    path: str
    body: Any = None
    content_type: str = "application/json"
    query: dict[str, str] = field(default_factory=dict)


class Transport:
    """The official client's connections and credentials, without its models: those cost 1.2 s of CPU for 1,000 pods."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    def send(self, request: Request, timeout_seconds: float) -> Body:
        """Send and wait for the whole answer.

        The server is told the time-out as well: a write that waits there, for an admission hook or for etcd, is then not
        done behind the back of the caller who gave up.

        Raises
        ------
        ApiError
            One of ``cluster.errors`` for every other answer than 2xx, and for none.
        """
        query = {**request.query, "timeout": f"{int(timeout_seconds * 1000)}ms"}
        response = self._call(request, query, timeout_seconds)
        try:
            answer = json.loads(_read(response))
        except ValueError as error:
            raise Unavailable(response.status, "NotJson", f"{request.path}: {error}") from error
        return answer if isinstance(answer, dict) else {}

    @contextmanager
    def stream(
        self, request: Request, connect_seconds: float, silence_seconds: float
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """An answer that goes on, closed at the end; ``silence_seconds`` without a byte end it with a time-out."""
        response = self._call(request, request.query, (connect_seconds, silence_seconds))
        try:
            yield response
        finally:
            # Half-read, it can't go back into the pool.
            response.close()

    def _call(
        self, request: Request, query: dict[str, str], timeout: float | tuple[float, float]
    ) -> urllib3.BaseHTTPResponse:
        configuration = self._client.configuration
        headers = {"Accept": "application/json", "Content-Type": request.content_type, "User-Agent": "hantei-operator"}
        for setting in configuration.auth_settings().values():
            headers[setting["key"]] = setting["value"]
        url = f"{configuration.host}{request.path}" + (f"?{urlencode(query)}" if query else "")
        try:
            response: urllib3.BaseHTTPResponse = self._client.call_api(
                request.method, url, headers, request.body, _request_timeout=timeout
            ).response
        except urllib3.exceptions.HTTPError as error:
            raise Unavailable(0, type(error).__name__, str(error)) from error
        except ApiException as error:
            raise Unavailable(0, "TLS", str(error.reason)) from error
        if not 200 <= response.status <= 299:
            raise error_of(response.status, _read(response))
        return response


def _read(response: urllib3.BaseHTTPResponse) -> bytes:
    try:
        return response.read()
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise Unavailable(response.status, type(error).__name__, str(error)) from error
    finally:
        response.release_conn()
