"""The planner: a film's look once, and its shots in windows."""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol, TypeVar

from pydantic import BaseModel

from statemachine.clock import Clock
from worker.beats import join_words
from worker.job import BeatSlot, Options, Transcript
from worker.models import DEFAULT_LANGUAGE_MODEL
from worker.ports import ScenePlan
from worker.providers.openai_planner.instructions import FOLLOWING, OPENING, SOFTENING, Question
from worker.providers.openai_planner.shots import (
    FollowingWire,
    Look,
    OpeningWire,
    Shot,
    SoftenedWire,
    beat,
    read_opening,
    read_shots,
    read_softened,
)

# Scenes in one question.  More of them are answered with less care, and take longer than one request may.
WINDOW = 12

# So many shots of the window before are shown to the next one, so that it goes on where that ended.
SHOTS_BEFORE = 3

# Of the recording's text; 10 minutes of speech have some 9,000 characters.
LONGEST_TEXT = 24_000

REQUEST_TIMEOUT = timedelta(seconds=60)

Wire = TypeVar("Wire", bound=BaseModel)
Answer = TypeVar("Answer")


class ApiKey(Protocol):
    """Hands out the key."""

    def __call__(self, *, refresh: bool = False) -> str:
        """The key; with `refresh` as it stands now, past every cache."""


class OpenAiPlanner:
    """Plans with one of OpenAI's language models.  What is said on the recording is not stored there.

    A recording whose plan needs several questions asks them one after the other, within one turn.

    Args:
        api_key: the key, or who hands it out; a refused one is read anew once.
        model: see `worker.models.LANGUAGE_MODELS`.
        base_url: of the API; None for the SDK's own (OPENAI_BASE_URL).
        clock: says how much is left of a turn.
        request_timeout: of one question.
    """

    def __init__(
        self,
        api_key: str | ApiKey,
        *,
        clock: Clock,
        model: str = DEFAULT_LANGUAGE_MODEL,
        base_url: str | None = None,
        request_timeout: timedelta = REQUEST_TIMEOUT,
    ) -> None:
        self._api_key = api_key
        self._clock = clock
        self._model = model
        self._base_url = base_url
        self._request_timeout = request_timeout
        self._asker: _Asks | None = None

    def close(self) -> None:
        """Close the connections; the planner can go on being used."""
        if self._asker is not None:
            self._asker.close()

    def plan(
        self, slots: Sequence[BeatSlot], *, transcript: Transcript, options: Options, time_left: timedelta
    ) -> ScenePlan:
        """See `ScenePlanner`; times and narration are the slots', whatever the model says.

        Raises:
            TransientError: code PROVIDER_QUOTA, PROVIDER_UNAVAILABLE, PROVIDER_ERROR, PLANNING_TOO_SLOW.
            PermanentError: code SCENE_PLAN_INVALID, CONTENT_FILTERED (with `stage` 'prompt'), PROVIDER_QUOTA (the
                credit is used up), PROVIDER_ERROR, MODEL_UNAVAILABLE, CREDENTIALS_INVALID.
            ValueError: there are no slots.
        """
        deadline = self._clock.now() + time_left
        first, *others = _windows(slots)
        material = _Material(transcript, options)
        question = Question(OPENING, material.of(first), if_refused="upload_other_audio")
        look, shots = self._ask(question, OpeningWire, partial(read_opening, slots=first), deadline)
        for window in others:
            question = Question(
                FOLLOWING, material.of(window, look=look, before=shots[-SHOTS_BEFORE:]), if_refused="upload_other_audio"
            )
            shots += self._ask(question, FollowingWire, partial(read_shots, slots=window, look=look), deadline)
        return ScenePlan(
            title=look.title,
            style_bible=look.style_bible,
            beats=tuple(beat(slot, shot, look) for slot, shot in zip(slots, shots, strict=True)),
        )

    def soften(self, prompt: str, category: str | None, *, time_left: timedelta = REQUEST_TIMEOUT) -> str:
        """The same scene in words that a video model's safety filter is likelier to accept; never the same words.

        Args:
            prompt: of one scene, without the look.
            category: of the rule that was met, or None where the filter named none.
            time_left: of the turn.

        Raises:
            TransientError, PermanentError: as `plan`.
        """
        data = json.dumps({"prompt": prompt, "refused_for": category or "general"}, ensure_ascii=False)
        question = Question(SOFTENING, data, if_refused="edit_scene")
        return self._ask(question, SoftenedWire, partial(read_softened, refused=prompt), self._clock.now() + time_left)

    def _ask(self, question: Question, form: type[Wire], read: Callable[[Wire], Answer], deadline: datetime) -> Answer:
        if self._asker is None:
            # On first use: the SDK takes 0.5 s to import (measured 2026-11-22), which every cold turn would pay.
            from worker.providers.openai_planner.asking import Asker  # noqa: PLC0415 (brings the SDK, see above)

            self._asker = Asker(
                self._read_key,
                model=self._model,
                base_url=self._base_url,
                clock=self._clock,
                request_timeout=self._request_timeout,
            )
        return self._asker.ask(question, form=form, read=read, deadline=deadline)

    def _read_key(self, refresh: bool) -> str:  # noqa: FBT001 - a plain function for `Asker`, called by position
        return self._api_key if isinstance(self._api_key, str) else self._api_key(refresh=refresh)


class _Asks(Protocol):
    """`asking.Asker`, whose module is imported late."""

    def ask(
        self, question: Question, *, form: type[Wire], read: Callable[[Wire], Answer], deadline: datetime
    ) -> Answer: ...

    def close(self) -> None: ...


class _Material:
    """What others have said, as one JSON document: data, which gives no orders."""

    def __init__(self, transcript: Transcript, options: Options) -> None:
        text = transcript.text or join_words([word.text for word in transcript.words])
        self._recording = {"language": transcript.language, "text": text[:LONGEST_TEXT]}
        self._style = options.style
        self._frame = options.aspect_ratio

    def of(self, window: Sequence[BeatSlot], *, look: Look | None = None, before: Sequence[Shot] = ()) -> str:
        """The document for one question."""
        document: dict[str, object] = {"style": self._style, "frame": self._frame, "recording": self._recording}
        if look is not None:
            document["look"] = {"style": look.style, "characters": look.characters}
            document["shots_before"] = [shot.model_dump() for shot in before]
        document["scenes"] = [
            {
                "index": slot.scene_index,
                "seconds": round(slot.end_seconds - slot.start_seconds, 1),
                "narration": slot.narration,
            }
            for slot in window
        ]
        return json.dumps(document, ensure_ascii=False)


def _windows(slots: Sequence[BeatSlot]) -> Iterator[Sequence[BeatSlot]]:
    """As few windows as possible, as equal as possible."""
    if not slots:
        raise ValueError("there is nothing to plan")
    size = math.ceil(len(slots) / math.ceil(len(slots) / WINDOW))
    for start in range(0, len(slots), size):
        yield slots[start : start + size]
