"""How a deployed function is set up: its environment, so that an operator works with the very same settings."""

from collections.abc import Mapping

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from statemachine.errors import PermanentError, TransientError

_CONFIG = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3})

_REMEDIES: Mapping[str, str] = {
    "AccessDeniedException": "allow lambda:GetFunctionConfiguration to whoever runs this",
    "ExpiredTokenException": "renew the AWS credentials",
    "InvalidSignatureException": "renew the AWS credentials",
    "ResourceNotFoundException": "mend its name or the region",
    "UnrecognizedClientException": "renew the AWS credentials",
    "ValidationException": "mend its name: no function can have this one",
}


def environment_of(function_name: str) -> dict[str, str]:
    """The variables that the function was deployed with.

    Raises:
        PermanentError: code FUNCTION_UNREADABLE.
        TransientError: code PROVIDER_UNAVAILABLE.
    """
    try:
        answer = boto3.client("lambda", config=_CONFIG).get_function_configuration(FunctionName=function_name)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code not in _REMEDIES:
            raise TransientError("PROVIDER_UNAVAILABLE", f"Lambda does not answer for now ({code})") from error
        raise PermanentError(
            "FUNCTION_UNREADABLE", f"function {function_name}: {code}; {_REMEDIES[code]}", user_action="none"
        ) from error
    except BotoCoreError as error:
        raise TransientError("PROVIDER_UNAVAILABLE", f"Lambda cannot be reached: {error}") from error
    return dict(answer.get("Environment", {}).get("Variables", {}))
