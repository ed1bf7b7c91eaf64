"""Whether this process has an AWS account to work with: found out without calling AWS."""

import boto3
from botocore.exceptions import BotoCoreError

from statemachine.errors import PermanentError


def require_account() -> None:
    """See that credentials and a region are configured, as boto3 looks for them; valid or not, AWS alone knows.

    Raises:
        PermanentError: code SETTING_MISSING.
    """
    try:
        session = boto3.Session()
        region, credentials = session.region_name, session.get_credentials()
    except BotoCoreError as error:  # a profile that does not exist, a file that cannot be read
        raise _missing(f"boto3 finds no AWS account ({error})") from error
    if region is None:
        raise _missing("no AWS region is set: AWS_REGION, or a region in AWS's configuration file")
    if credentials is None:
        raise _missing("no AWS credentials are set: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE")


def _missing(message: str) -> PermanentError:
    return PermanentError("SETTING_MISSING", message, user_action="contact_admin")
