"""What an evaluation reads: a file or folder on a volume, or at a URI."""

from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from hantei_api.base import NO_PARENT, Input, ObjectName, RelativePath, Sha256, cel, rules

SECRET_RULE = cel(
    "self.startsWith('hantei-')",
    "must start with hantei- (a right to create runs is no right to read every Secret): rename the Secret",
)
SecretName = Annotated[ObjectName, Field(json_schema_extra=rules(SECRET_RULE))]
PATH_RULE = cel(NO_PARENT, "must be a path inside the volume, without '..'")
Uri = Annotated[str, StringConstraints(min_length=4, max_length=2048, pattern=r"^[a-z][a-z0-9+.-]*://[^\s\x00]+$")]
ONE_SOURCE = cel("has(self.pvc) != has(self.uri)", "name exactly one of pvc, uri")
CREDENTIALS_NEED_URI = cel(
    "!has(self.credentialsSecretName) || has(self.uri)", "credentialsSecretName is for uri: drop it, or fetch by uri"
)


class ClaimPath(Input):
    """A path in a PersistentVolumeClaim of the run's namespace, mounted read-only."""

    claim_name: ObjectName = Field(description="Name of a PersistentVolumeClaim in the run's namespace.")
    path: RelativePath = Field(
        description="Path inside the volume, relative to its root.", json_schema_extra=rules(PATH_RULE)
    )


class Artifact(Input):
    """Something the evaluation reads: from a volume, or fetched from a URI before the device is touched."""

    pvc: ClaimPath | None = Field(default=None, description="From a PersistentVolumeClaim of the run's namespace.")
    uri: Uri | None = Field(
        default=None,
        description="From an fsspec URI that the image can open (https, s3, gs, hf at a pinned revision), into the pod's scratch space.",
    )
    sha256: Sha256 | None = Field(
        default=None,
        description="Expected SHA-256 in lower-case hex; a file that differs is refused before it is loaded.",
    )
    credentials_secret_name: SecretName | None = Field(
        default=None,
        description="Secret of the run's namespace whose keys become environment variables of the evaluator (for example AWS_ACCESS_KEY_ID). For uri.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> "Artifact":
        if (self.pvc is None) == (self.uri is None):
            raise ValueError("name exactly one of pvc, uri")
        return self
