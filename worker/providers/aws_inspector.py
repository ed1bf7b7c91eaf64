"""What AWS tells of the platform's table and bucket, and whether the worker may use them.  For an operator's doctor."""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from statemachine.errors import PermanentError

# Where the worker may write in the bucket; see `worker.providers.s3_media_store`.
PREFIX = "ai-video/"

# Each function has a session of its own: checks run side by side, and a session that is shared by threads may not make
# clients in them.  (boto3's guide to sessions, "Multithreading or multiprocessing with sessions")
_CONFIG = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 2})

_ANSWERED = "NotFoundException"  # Transcribe's word for a job that does not exist
_ANSWERED_OTHERWISE = "couldn't be found"

_REMEDIES: Mapping[str, str] = {
    "AccessDenied": "allow it to whoever runs this, and to the function's role",
    "AccessDeniedException": "allow it to whoever runs this, and to the function's role",
    "ResourceNotFoundException": "mend its name or the region",
    "NoSuchBucket": "mend its name, or create it",
    "PermanentRedirect": "it is in another region; mend AWS_REGION",
    "ExpiredToken": "renew the AWS credentials",
    "ExpiredTokenException": "renew the AWS credentials",
    "InvalidAccessKeyId": "renew the AWS credentials",
    "InvalidClientTokenId": "renew the AWS credentials",
    "SignatureDoesNotMatch": "renew the AWS credentials",
    "UnrecognizedClientException": "renew the AWS credentials",
}


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """A secondary index.

    Attributes:
        keys: name and type of its key attributes, the partition key first.
        projection: ALL, KEYS_ONLY or INCLUDE.
        included: what INCLUDE names.
        is_active: False while it is being made.
    """

    name: str
    keys: tuple[tuple[str, str], ...]
    projection: str
    included: frozenset[str]
    is_active: bool


@dataclass(frozen=True, slots=True)
class TableFacts:
    """A table, as DescribeTable tells it."""

    status: str
    keys: tuple[tuple[str, str], ...]
    is_on_demand: bool
    has_stream: bool
    indexes: tuple[IndexFacts, ...]


def table_facts(name: str) -> TableFacts:
    """What a table is like.

    Raises:
        PermanentError: code AWS_REFUSED, it does not exist or may not be looked at; AWS_UNREACHABLE.
    """
    with _translated(f"table {name}"):
        described = boto3.Session().client("dynamodb", config=_CONFIG).describe_table(TableName=name)["Table"]
    return _facts(described)


def try_bucket(bucket: str) -> bool:
    """Write a small object below the worker's prefix, read it, and delete it; whether it could be deleted.

    Raises:
        PermanentError: code AWS_REFUSED or AWS_UNREACHABLE.
    """
    key = f"{PREFIX}doctor/{uuid.uuid4().hex}.txt"
    s3 = boto3.Session().client("s3", config=_CONFIG)
    with _translated(f"bucket {bucket}"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"written by `worker doctor`; may be deleted")
        s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    try:
        s3.delete_object(Bucket=bucket, Key=key)
    except ClientError:
        return False
    return True


def try_transcribe() -> None:
    """Ask Amazon Transcribe for a job that does not exist: it answers, and may be asked.

    Raises:
        PermanentError: code AWS_REFUSED or AWS_UNREACHABLE.
    """
    with _translated("Amazon Transcribe"):
        try:
            boto3.Session().client("transcribe", config=_CONFIG).get_transcription_job(
                TranscriptionJobName=f"worker-doctor-{uuid.uuid4().hex}"
            )
        except ClientError as error:
            told = error.response.get("Error", {})
            if told.get("Code") != _ANSWERED and _ANSWERED_OTHERWISE not in told.get("Message", ""):
                raise


def _facts(described: Mapping[str, Any]) -> TableFacts:
    types = {each["AttributeName"]: each["AttributeType"] for each in described["AttributeDefinitions"]}

    def keys(schema: list[Mapping[str, str]]) -> tuple[tuple[str, str], ...]:
        ordered = sorted(schema, key=lambda each: each["KeyType"] != "HASH")
        return tuple((each["AttributeName"], types[each["AttributeName"]]) for each in ordered)

    indexes = tuple(
        IndexFacts(
            name=index["IndexName"],
            keys=keys(index["KeySchema"]),
            projection=index["Projection"]["ProjectionType"],
            included=frozenset(index["Projection"].get("NonKeyAttributes", ())),
            is_active=index.get("IndexStatus", "ACTIVE") == "ACTIVE",
        )
        for kind in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes")
        for index in described.get(kind, ())
    )
    return TableFacts(
        status=described["TableStatus"],
        keys=keys(described["KeySchema"]),
        is_on_demand=described.get("BillingModeSummary", {}).get("BillingMode") == "PAY_PER_REQUEST",
        has_stream=bool(described.get("StreamSpecification", {}).get("StreamEnabled")),
        indexes=indexes,
    )


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        told = error.response.get("Error", {})
        remedy = _REMEDIES.get(str(told.get("Code")), "see what AWS says, and mend it")
        raise PermanentError(
            "AWS_REFUSED",
            f"{what}: {error.operation_name} is answered {told.get('Code')}: {told.get('Message')}; {remedy}",
            user_action="contact_admin",
        ) from error
    except BotoCoreError as error:
        raise PermanentError(
            "AWS_UNREACHABLE", f"{what} cannot be asked: {error}; check network and region", user_action="contact_admin"
        ) from error
