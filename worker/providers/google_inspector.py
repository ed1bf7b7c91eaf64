"""What Vertex AI's Model Garden tells of a model.  For an operator's doctor, never on Lambda.

google-cloud-aiplatform is an extra (`doctor`).  It cannot order a clip (`docs/decisions/0003`), but knows what is
published.
"""

from typing import Any
from urllib.parse import urlsplit

from statemachine.errors import PermanentError

TIMEOUT_SECONDS = 15


class InspectorMissingError(Exception):
    """google-cloud-aiplatform is not installed."""


class NoModelGardenError(Exception):
    """What answers at this address knows nothing of Model Garden: a stand-in for Vertex AI, or a proxy."""


class InspectionDeniedError(Exception):
    """These credentials may not ask Model Garden; whether they may order clips is another question."""


def launch_stage(model: str, *, location: str, token: str, base_url: str | None = None) -> str | None:
    """How far a model of Google's is published (GA, PUBLIC_PREVIEW, …), or None when it is not (any more).

    Args:
        model: its id at Google.
        location: the region that is asked.
        token: an access token.  Credentials that could refresh themselves would start a thread that calls Google
            (google-auth 2.62, seen 2026-11-22).
        base_url: of Vertex AI; None for the region's own.

    Raises:
        InspectorMissingError: the extra is not installed.
        NoModelGardenError: another server answers.
        InspectionDeniedError: code 403.
        PermanentError: code PROVIDER_UNAUTHORIZED, MODEL_GARDEN_UNREACHABLE.
    """
    # 2 s to import with bytecode and 7 s without (measured 2026-11-22), and an extra.
    try:
        from google.cloud.aiplatform_v1 import ModelGardenServiceClient  # noqa: PLC0415  see above
        from google.cloud.aiplatform_v1.services.model_garden_service.transports.rest import (  # noqa: PLC0415  see above
            ModelGardenServiceRestTransport,
        )
    except ImportError as error:
        raise InspectorMissingError from error
    from google.api_core import exceptions  # noqa: PLC0415  comes with it
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415  as above
    from google.oauth2.credentials import Credentials  # noqa: PLC0415  as above
    from requests.exceptions import RequestException  # noqa: PLC0415  what its transport raises

    place = urlsplit(base_url or f"https://{location}-aiplatform.googleapis.com")
    credentials: Any = Credentials(token=token)  # type: ignore[no-untyped-call]  # google-auth has hints for some modules only
    transport = ModelGardenServiceRestTransport(host=place.netloc, url_scheme=place.scheme, credentials=credentials)
    try:
        with ModelGardenServiceClient(transport=transport) as client:
            found = client.get_publisher_model(
                name=f"publishers/google/models/{model}", retry=None, timeout=TIMEOUT_SECONDS
            )
    except exceptions.NotFound as error:
        # Google's own "not found" is JSON; a server that has no such address answers otherwise.
        if "json" not in error.response.headers.get("content-type", ""):
            raise NoModelGardenError from error
        return None
    except exceptions.Forbidden as error:
        raise InspectionDeniedError from error
    except (exceptions.Unauthorized, GoogleAuthError) as error:
        raise PermanentError(
            "PROVIDER_UNAUTHORIZED", "Google refuses the token; check the service account", user_action="contact_admin"
        ) from error
    except (exceptions.GoogleAPIError, RequestException) as error:
        raise PermanentError(
            "MODEL_GARDEN_UNREACHABLE",
            f"Model Garden cannot be asked ({type(error).__name__}); try again, then check the network",
            user_action="contact_admin",
        ) from error
    return str(found.launch_stage.name)
