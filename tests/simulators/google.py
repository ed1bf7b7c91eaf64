"""Google's three parts together: tokens, Veo on Vertex AI, and the bucket that the clips go to."""

import uuid
from collections.abc import Mapping

from statemachine.clock import Clock
from tests.simulators.bill import Bill
from tests.simulators.cloud_storage import CloudStorage, StoredObject
from tests.simulators.google_tokens import GoogleTokens
from tests.simulators.scenario import Scenario, Takes
from tests.simulators.veo import FIRST_ORIGIN, MODELS, Operation, Veo, VeoModel


class Google:
    """Google, as one project sees it.  See `Veo` for the knobs."""

    def __init__(  # noqa: PLR0913 (the simulator's knobs, all optional)
        self,
        *,
        scenario: Scenario,
        bill: Bill,
        clock: Clock,
        models: Mapping[str, VeoModel] = MODELS,
        quota_per_minute: int | None = None,
        clip_takes: Takes | None = None,
        short_side: int = 720,
        b_frames: int = 2,
        project: str = "proj-1",
        origin: uuid.UUID = FIRST_ORIGIN,
    ) -> None:
        self.project = project
        self.tokens = GoogleTokens(project=project)
        self.storage = CloudStorage(tokens=self.tokens, clock=clock)
        self.veo = Veo(
            tokens=self.tokens,
            storage=self.storage,
            scenario=scenario,
            bill=bill,
            clock=clock,
            models=models,
            quota_per_minute=quota_per_minute,
            clip_takes=clip_takes or Takes(),
            short_side=short_side,
            b_frames=b_frames,
            origin=origin,
        )
        self.storage.before_list = self.veo.settle

    @property
    def operations(self) -> dict[str, Operation]:
        """Every accepted generation, by the operation's name, in order."""
        return self.veo.operations

    @property
    def buckets(self) -> dict[str, dict[str, StoredObject]]:
        """Objects by bucket and name."""
        return self.storage.buckets

    def issue_token(self, *scopes: str) -> str:
        """A token that is valid now, as if it had been asked for; for the whole platform when no scope is given."""
        return self.tokens.issue_token(*scopes)

    def expire_tokens(self) -> None:
        """Every token issued so far is refused from now on."""
        self.tokens.expire_tokens()

    def service_account_info(self, url: str) -> dict[str, str]:
        """A service account's key file, whose token endpoint is the server at `url`."""
        return self.tokens.service_account_info(url)
