"""The official client as a plain HTTP client: dict bodies in and out, one time limit for each call.

Typed models cost a second of event loop for every 1,000 pods, and know nothing of our own kinds.
"""

import contextlib
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import kubernetes
import urllib3

from hantei_operator.cluster.errors import Unavailable, error_from

Body = dict[str, Any]

MERGE_PATCH = "application/merge-patch+json"
CONNECT_SECONDS = 5.0
MAX_CONNECTIONS = 24
"""Twelve writers, a stream for each informer, one for the Lease; more are opened and not kept."""


class Stream:
    """The events of a watch, one by one; raises Unavailable when the connection breaks."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self._response = response

    def __iter__(self) -> Iterator[Body]:
        rest = b""
        try:
            for chunk in self._response.stream(65536, decode_content=False):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (json.loads(line) for line in lines if line)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unavailable(0, type(error).__name__, str(error)) from error
        finally:
            # Half-read, the connection can't go back into the pool.
            self._response.close()

    def stop(self) -> None:
        """End the iteration, from any thread."""
        with contextlib.suppress(ValueError, OSError):  # it has ended by itself
            self._response.shutdown()


class Client:
    """Blocking calls to the API server; raises the errors of ``cluster.errors`` and no others."""

    def __init__(self, api: Any) -> None:
        self._api = api

    def call(
        self, method: str, path: str, *, query: Body | None = None, body: Body | None = None, timeout_seconds: float
    ) -> Body:
        """One request and its JSON answer.

        The server is told the time limit as well: a write that waits there, for an admission hook or for etcd, is not
        done behind the back of a caller who gave up.
        """
        query = {**(query or {}), "timeout": f"{timeout_seconds * 1000:.0f}ms"}
        response = self._send(method, path, query, body, timeout_seconds)
        try:
            text = response.read().decode()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unavailable(0, type(error).__name__, str(error)) from error
        if response.status >= 300:
            raise error_from(response.status, text)
        answer: Body = json.loads(text)
        return answer

    def stream(self, path: str, *, query: Body, read_timeout_seconds: float) -> "Stream":
        """A watch; ``read_timeout_seconds`` without a byte end it with Unavailable."""
        response = self._send("GET", path, query, None, (CONNECT_SECONDS, read_timeout_seconds))
        if response.status >= 300:
            raise error_from(response.status, response.read().decode())
        return Stream(response.response)

    def _send(self, method: str, path: str, query: Body | None, body: Body | None, timeout: Any) -> Any:
        headers = {"Accept": "application/json", "User-Agent": "hantei-operator"}
        if body is not None:
            headers["Content-Type"] = MERGE_PATCH if method == "PATCH" else "application/json"
        self._api.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        url = f"{self._api.configuration.host}{path}" + (f"?{urlencode(query)}" if query else "")
        try:
            return self._api.rest_client.request(method, url, headers=headers, body=body, _request_timeout=timeout)
        except (urllib3.exceptions.HTTPError, kubernetes.client.ApiException, OSError) as error:
            raise Unavailable(0, type(error).__name__, str(error)) from error


def connect() -> Client:
    """A client from the pod's service account, else from the user's kubeconfig.

    A write is sent once: whether to send it again is decided from what is there afterwards.
    """
    configuration = kubernetes.client.Configuration(retries=False, connection_pool_maxsize=MAX_CONNECTIONS)
    try:
        kubernetes.config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]
    except kubernetes.config.ConfigException:
        kubernetes.config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    configuration.retries = False
    configuration.keep_alive = True
    return Client(kubernetes.client.ApiClient(configuration))
