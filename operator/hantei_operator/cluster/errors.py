"""What the API server may answer instead of what was asked for."""

import json


class ApiError(Exception):
    """An answer that is not 2xx, or none at all."""

    temporary = False

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message


class NotFound(ApiError):  # noqa: N818  # the API's own word
    """404."""


class AlreadyExists(ApiError):  # noqa: N818
    """409 on create: the name is taken."""


class Conflict(ApiError):  # noqa: N818
    """409 on a write with a precondition: somebody was faster."""

    temporary = True


class Gone(ApiError):  # noqa: N818
    """410: the resourceVersion is too old to watch from."""

    temporary = True


class Unavailable(ApiError):  # noqa: N818
    """429, 5xx, a time-out or a broken connection: the write may or may not have happened."""

    temporary = True


class NotLeading(Exception):  # noqa: N818
    """The Lease is not held: nothing may be written."""


def error_from(status: int, body: str) -> ApiError:
    """The exception for an answer's status and body (a metav1.Status)."""
    try:
        answer = json.loads(body)
        reason, message = str(answer.get("reason", "")), str(answer.get("message", ""))
    except (ValueError, AttributeError):
        reason, message = "", body[:200]
    kinds = {404: NotFound, 410: Gone}
    if status == 409:
        kind: type[ApiError] = AlreadyExists if reason == "AlreadyExists" else Conflict
    elif status == 429 or status >= 500:
        kind = Unavailable
    else:
        kind = kinds.get(status, ApiError)
    return kind(status, reason, message)
