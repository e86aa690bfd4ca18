"""The official client as a plain HTTP client: dict bodies in and out, one time limit for each call.

Typed models cost a second of event loop for every 1,000 pods, and know nothing of our own kinds.
"""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import kubernetes
import urllib3

from hantei_operator.cluster.errors import Unavailable, error_from

Body = dict[str, Any]

MERGE_PATCH = "application/merge-patch+json"


class Client:
    """Blocking calls to the API server; raises the errors of ``cluster.errors`` and no others."""

    def __init__(self, api: Any) -> None:
        self._api = api

    def call(
        self, method: str, path: str, *, query: Body | None = None, body: Body | None = None, timeout_seconds: float
    ) -> Body:
        """One request and its JSON answer."""
        response = self._send(method, path, query, body, timeout_seconds)
        try:
            text = response.read().decode()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unavailable(0, type(error).__name__, str(error)) from error
        if response.status >= 300:
            raise error_from(response.status, text)
        answer: Body = json.loads(text)
        return answer

    def stream(self, path: str, *, query: Body, read_timeout_seconds: float) -> Iterator[Body]:
        """The events of a watch, one by one."""
        response = self._send("GET", path, query, None, (10, read_timeout_seconds))
        if response.status >= 300:
            raise error_from(response.status, response.read().decode())
        raw, rest = response.response, b""
        try:
            for chunk in raw.stream(65536, decode_content=False):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (json.loads(line) for line in lines if line)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unavailable(0, type(error).__name__, str(error)) from error
        finally:
            raw.close()

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
    configuration = kubernetes.client.Configuration(retries=False, connection_pool_maxsize=24)
    try:
        kubernetes.config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]
    except kubernetes.config.ConfigException:
        kubernetes.config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    configuration.retries = False
    return Client(kubernetes.client.ApiClient(configuration))
