"""A bucket in this process, by moto."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import boto3
from botocore.config import Config
from mypy_boto3_s3 import S3Client

from tests.mocked_aws import mock_aws


@contextmanager
def moto_bucket(name: str) -> Iterator[S3Client]:
    """A client of an empty bucket, which is gone after the block."""
    with mock_aws():
        client = _session().client("s3", region_name="eu-central-1", config=Config(retries={"total_max_attempts": 1}))
        client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        yield client


@cache
def _session() -> boto3.Session:
    """One for all tests: a new one would read what S3 can do from the disk again, 0.3 s each."""
    return boto3.Session(aws_access_key_id="none", aws_secret_access_key="none")  # noqa: S106  moto asks nobody
