"""All vendors together on one port, for one test or one person."""

import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from statemachine.clock import Clock, SystemClock
from tests.simulators.bill import Bill
from tests.simulators.control import Control
from tests.simulators.google import Google
from tests.simulators.openai import API_KEY, OpenAi, Plan
from tests.simulators.scenario import Rule, Scenario, Takes
from tests.simulators.server import Journal, Server
from tests.simulators.transcribe import Objects, Transcribe
from tests.simulators.veo import FIRST_ORIGIN, VeoModel
from tests.simulators.veo import MODELS as VEO_MODELS


class Vendors:
    """Google, OpenAI and Transcribe on the loopback interface, from entering the block to leaving it.

    Everything is billed, everything is written down, and time is that of `clock`.  See `Google`, `OpenAi` and
    `Transcribe` for what each can be told besides rules.

    Attributes:
        bill: what was charged so far.
        journal: the requests so far, and what went wrong in the simulators themselves.
        scenario: the rules; `vendors.scenario.add(...)` lets more hold.
    """

    def __init__(  # noqa: PLR0913 (the simulators' knobs, all optional)
        self,
        *rules: Rule,
        clock: Clock | None = None,
        veo_models: Mapping[str, VeoModel] = VEO_MODELS,
        quota_per_minute: int | None = None,
        clip_takes: Takes | None = None,
        short_side: int = 720,
        b_frames: int = 2,
        plan: Plan | None = None,
        objects: Objects | None = None,
        transcription_takes: Takes | None = None,
        port: int = 0,
        origin: uuid.UUID = FIRST_ORIGIN,
    ) -> None:
        self.clock = clock or SystemClock()
        self.scenario = Scenario(*rules)
        self.bill = Bill()
        self.google = Google(
            scenario=self.scenario,
            bill=self.bill,
            clock=self.clock,
            models=veo_models,
            quota_per_minute=quota_per_minute,
            clip_takes=clip_takes,
            short_side=short_side,
            b_frames=b_frames,
            origin=origin,
        )
        self.openai = OpenAi(scenario=self.scenario, bill=self.bill, clock=self.clock, plan=plan)
        self.transcribe = Transcribe(
            scenario=self.scenario, bill=self.bill, clock=self.clock, objects=objects, takes=transcription_takes
        )
        self._server = Server(self.scenario, port=port)
        control = Control(
            scenario=self.scenario, bill=self.bill, journal=self._server.journal, tokens=self.google.tokens
        )
        for vendor in (self.google.tokens, self.google.veo, self.google.storage, self.openai, self.transcribe, control):
            self._server.add(vendor)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()

    @property
    def url(self) -> str:
        """Where all vendors answer."""
        return self._server.url

    @property
    def journal(self) -> Journal:
        """The requests so far."""
        return self._server.journal

    def environment(self, directory: Path) -> dict[str, str]:
        """The SDKs' own variables by which they find the simulators; a key file is written into `directory`."""
        key_file = directory / "service_account.json"
        key_file.write_text(json.dumps(self.google.service_account_info(self.url)), encoding="utf-8")
        return {
            "OPENAI_API_KEY": API_KEY,
            "OPENAI_BASE_URL": f"{self.url}/v1",
            "GOOGLE_CLOUD_PROJECT": self.google.project,
            "GOOGLE_CLOUD_LOCATION": "us-central1",
            "GOOGLE_VERTEX_BASE_URL": self.url,
            "GOOGLE_APPLICATION_CREDENTIALS": str(key_file),
            "STORAGE_EMULATOR_HOST": self.url,
            "AWS_ENDPOINT_URL_TRANSCRIBE": self.url,
        }
