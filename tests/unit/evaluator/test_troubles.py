"""What the errors of real clients mean, and that none of their words tells a secret."""

from collections.abc import Iterator

import aiohttp
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, ReadTimeoutError
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from hantei_evaluator.run.logtail import redact
from hantei_evaluator.run.troubles import ShortReadError, Trouble, explain, scrub, trouble_of

SIGNED = "https://user:pass-word@host/a.pth?X-Amz-Credential=AKIA%2F1&X-Amz-Signature=abcdef123456"


def of_aiohttp(status: int) -> aiohttp.ClientResponseError:
    headers = CIMultiDictProxy(CIMultiDict[str]())
    request = aiohttp.RequestInfo(URL(SIGNED), "GET", headers, URL(SIGNED))
    return aiohttp.ClientResponseError(request, (), status=status, message="No")


def of_botocore(status: int, code: str) -> ClientError:
    response = {"Error": {"Code": code, "Message": f"see {SIGNED}"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "GetObject")


def wrapped(cause: Exception) -> OSError:
    error = OSError(5, "failed")
    error.__cause__ = cause
    return error


def cases() -> Iterator[tuple[Exception, Trouble]]:
    yield of_aiohttp(403), Trouble.DENIED
    yield of_aiohttp(404), Trouble.ABSENT
    yield of_aiohttp(503), Trouble.PASSING
    yield of_aiohttp(400), Trouble.OTHER
    yield of_botocore(403, "InvalidAccessKeyId"), Trouble.DENIED
    yield wrapped(of_botocore(403, "SignatureDoesNotMatch")), Trouble.DENIED
    yield of_botocore(404, "NoSuchKey"), Trouble.ABSENT
    yield of_botocore(503, "SlowDown"), Trouble.PASSING
    yield of_botocore(416, "InvalidRange"), Trouble.PASSING
    yield NoCredentialsError(), Trouble.DENIED
    yield EndpointConnectionError(endpoint_url=SIGNED), Trouble.PASSING
    yield ReadTimeoutError(endpoint_url=SIGNED), Trouble.PASSING
    yield aiohttp.ClientPayloadError("Response payload is not completed"), Trouble.PASSING
    yield aiohttp.ServerDisconnectedError(), Trouble.PASSING
    yield OSError(f"Forbidden: {SIGNED}"), Trouble.DENIED
    yield TimeoutError(), Trouble.PASSING
    yield ShortReadError("ended"), Trouble.PASSING
    yield FileNotFoundError("a"), Trouble.ABSENT
    yield ValueError(SIGNED), Trouble.OTHER


@pytest.mark.parametrize(
    ("error", "meaning"), list(cases()), ids=lambda value: getattr(value, "name", type(value).__name__)
)
def test_an_error_means_the_same_whichever_client_raises_it_and_tells_no_secret(
    error: Exception, meaning: Trouble
) -> None:
    assert trouble_of(error) is meaning
    for scheme in ("s3", "gs", "hf", "https", "http", "other"):
        said = explain(error, scheme)
        assert said
        assert not [secret for secret in ("user:", "pass-word", "AKIA", "abcdef123456") if secret in said]


def test_a_server_that_is_away_is_named_without_its_query() -> None:
    assert explain(EndpointConnectionError(endpoint_url=SIGNED), "s3") == (
        'EndpointConnectionError: Could not connect to the endpoint URL: "https://host/a.pth"'
    )


def test_urls_lose_user_and_query_and_secrets_of_the_environment_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "topsecret")
    assert scrub(f"url='{SIGNED}' key topsecret") == "url='https://host/a.pth' key ***"


def test_the_log_hides_signatures_and_users_of_urls() -> None:
    said = redact(f"GET {SIGNED}&part=1", {})
    assert said == "GET https://***@host/a.pth?X-Amz-Credential=***&X-Amz-Signature=***&part=1"
