"""A stand-in for S3 on loopback: moto's server as a process, which checks signatures as S3 does."""

import json
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from support.waiting import START_SECONDS, eventually

BUCKET = "training"


@dataclass(frozen=True)
class S3StandIn:
    """A running stand-in with a bucket, and the key of a user who may read and write it."""

    port: int
    access_key: str
    secret_key: str

    def environment(self, port: int | None = None) -> dict[str, str]:
        """What the Secret of credentialsSecretName would hold."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port or self.port}",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def put(self, key: str, body: bytes) -> str:
        """Write an object and return its URI."""
        self._client("s3").put_object(Bucket=BUCKET, Key=key, Body=body)
        return f"s3://{BUCKET}/{key}"

    def objects(self, prefix: str) -> dict[str, bytes]:
        """What lies below the prefix."""
        client = self._client("s3")
        listed = client.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        return {each["Key"]: client.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read() for each in listed}

    def _client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=f"http://127.0.0.1:{self.port}",
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
        )


@contextmanager
def s3_stand_in(directory: Path) -> Iterator[S3StandIn]:
    """Start the stand-in; from then on it refuses requests that are not signed with its one key."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = directory / "moto.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=output, stderr=output
        )
    try:
        eventually(lambda: _answers(port), START_SECONDS, describe=log.read_text)
        anyone = S3StandIn(port, "none", "none")
        anyone._client("s3").create_bucket(Bucket=BUCKET)
        iam = anyone._client("iam")
        iam.create_user(UserName="evaluator")
        allowed = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        iam.put_user_policy(UserName="evaluator", PolicyName="all", PolicyDocument=policy)
        key = iam.create_access_key(UserName="evaluator")["AccessKey"]
        _post(port, "/moto-api/reset-auth", b"0")
        yield S3StandIn(port, key["AccessKeyId"], key["SecretAccessKey"])
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _post(port: int, path: str, body: bytes) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", data=body, headers={"Content-Type": "text/plain"}
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
