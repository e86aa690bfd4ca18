"""What a failed transfer means: denied, absent, worth another try, or none of these; and how to say it without a secret."""

import asyncio
import errno
import os
import re
from collections.abc import Iterator
from enum import Enum
from urllib.parse import urlsplit

from hantei_evaluator.run.logtail import redact

KEYS = {
    "s3": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    "gs": ("GOOGLE_APPLICATION_CREDENTIALS_JSON",),
    "hf": ("HF_TOKEN",),
    "https": ("HANTEI_HTTPS_TOKEN",),
}
"""Keys that the Secret of credentialsSecretName needs, by scheme: they are environment variables of the evaluator."""

_SHOWN_CHARACTERS = 300
_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^\s'\"<>)\]]+", re.IGNORECASE)
_DENIED_STATUS = frozenset({401, 403, 407})
_ABSENT_STATUS = frozenset({404, 410})
_PASSING_STATUS = frozenset({408, 416, 425, 429})
"""416: the file became shorter than what is asked for, which the next try sees."""
_CERTIFICATE_NAMES = frozenset({"SSLCertVerificationError", "ClientConnectorCertificateError"})
_DENIED_NAMES = frozenset(
    {
        "NoCredentialsError",
        "PartialCredentialsError",
        "CredentialRetrievalError",
        "DefaultCredentialsError",
        "RefreshError",
        "GatedRepoError",
    }
)
_ABSENT_NAMES = frozenset({"EntryNotFoundError", "RevisionNotFoundError", "RemoteEntryNotFoundError"})
_PASSING_NAMES = frozenset(
    {
        "ConnectionError",
        "ClientConnectionError",
        "ClientPayloadError",
        "HTTPClientError",
        "TransportError",
        "IncompleteReadError",
    }
)
_PASSING_ERRNO = frozenset({errno.EBUSY, errno.EREMOTEIO, errno.EIO})


class Trouble(Enum):
    """What a failed transfer means."""

    DENIED = "denied"
    ABSENT = "absent"
    PASSING = "passing"
    """The connection or the server: another try may succeed."""
    OTHER = "other"


class ShortReadError(ConnectionError):
    """The server ended its answer before it was whole."""


def trouble_of(error: BaseException) -> Trouble:
    """What the error means. Clients wrap the cause, so that the whole chain is looked at, the innermost first."""
    chain = list(_chain(error))
    if any(type(each).__name__ in _CERTIFICATE_NAMES for each in chain):
        return Trouble.OTHER
    return next((found for each in reversed(chain) if (found := _of_one(each)) is not Trouble.OTHER), Trouble.OTHER)


def explain(error: BaseException, scheme: str) -> str:
    """What stood in the way and the way out, in words without any secret."""
    chain = list(_chain(error))
    match trouble_of(error):
        case Trouble.DENIED:
            return f"access is denied{_code(error)}: {_credentials(scheme)}"
        case Trouble.ABSENT:
            return f"nothing is there{_code(error)}"
        case Trouble.PASSING:
            shown = next(each for each in reversed(chain) if _of_one(each) is Trouble.PASSING)
        case Trouble.OTHER:
            shown = chain[-1]
    first_line = (str(shown).splitlines() or [""])[0]
    return scrub(f"{type(shown).__name__}: {first_line}").rstrip(" :.")[:_SHOWN_CHARACTERS]


def without_credentials(uri: str) -> str:
    """The URI without user, password and query, which may hold a signature."""
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def scrub(text: str) -> str:
    """The text without secrets of the environment, and with every URL in it cut by ``without_credentials``."""

    def cut(found: re.Match[str]) -> str:
        try:
            return without_credentials(found[0])
        except ValueError:
            return "***"

    return redact(_URL.sub(cut, text))


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in seen:
        seen.append(current)
        yield current
        current = current.__cause__


def _of_one(error: BaseException) -> Trouble:
    names = {each.__name__ for each in type(error).__mro__}
    status = _status(error)
    if isinstance(error, PermissionError) or status in _DENIED_STATUS or names & _DENIED_NAMES:
        return Trouble.DENIED
    if isinstance(error, FileNotFoundError | NotADirectoryError) or status in _ABSENT_STATUS or names & _ABSENT_NAMES:
        return Trouble.ABSENT
    if isinstance(error, OSError) and str(error).startswith("Forbidden: "):
        # gcsfs makes a plain OSError of 403.
        return Trouble.DENIED
    if status is not None:
        return Trouble.PASSING if status >= 500 or status in _PASSING_STATUS else Trouble.OTHER
    passing = isinstance(error, ConnectionError | TimeoutError | asyncio.TimeoutError) or bool(names & _PASSING_NAMES)
    passing = passing or (isinstance(error, OSError) and error.errno in _PASSING_ERRNO)
    return Trouble.PASSING if passing else Trouble.OTHER


def _status(error: BaseException) -> int | None:
    """The HTTP status that a client's error carries: aiohttp's, gcsfs's, httpx's or botocore's."""
    response = getattr(error, "response", None)
    candidates = [getattr(response, "status_code", None)]
    if isinstance(response, dict):
        candidates.append(response.get("ResponseMetadata", {}).get("HTTPStatusCode"))
    # aiohttp warns of its own ``code``.
    candidates.append(error.status if hasattr(error, "status") else getattr(error, "code", None))
    for each in candidates:
        if isinstance(each, int) or (isinstance(each, str) and each.isdigit()):
            return int(each)
    return None


def _code(error: BaseException) -> str:
    """The server's own short word for it, such as InvalidAccessKeyId, or the HTTP status."""
    for each in reversed(list(_chain(error))):
        response = getattr(each, "response", None)
        code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
        if code or (code := _status(each)):
            return f" ({str(code)[:64]})"
    return ""


def _credentials(scheme: str) -> str:
    keys = KEYS.get(scheme)
    if keys is None:
        return "check credentialsSecretName, and the user or signature in the URI"
    here = "; ".join(f"{key} is {'set' if os.environ.get(key) else 'not set'} here" for key in keys)
    hint = ", and S3 says the same of an absent object to a key that may not list" if scheme == "s3" else ""
    return f"the Secret of credentialsSecretName must hold {' and '.join(keys)} that may read it ({here}{hint})"
