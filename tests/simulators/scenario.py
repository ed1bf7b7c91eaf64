"""What befalls a vendor's simulator, and when: rules that tests write and that travel as JSON.

A rule names a place (one kind of request, or one kind of finished work), what happens there, and which of the matching
occasions it is meant for.  Several rules may hold at one place at once: a clip can be slow and then filtered.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue

# The first group is what comes over the wire, the second what becomes of accepted work.
Place = Literal[
    "google.token",
    "google.sts",
    "google.impersonate",
    "veo.submit",
    "veo.poll",
    "gcs.list",
    "gcs.object",
    "gcs.media",
    "openai.respond",
    "openai.models",
    "transcribe.start",
    "transcribe.get",
    "veo.clip",
    "openai.plan",
    "transcribe.job",
]


class Effect(BaseModel):
    """What happens at a place."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# --- on the wire: the answer is another one, or none -----------------------------------------------------------------


class Answer(Effect):
    """Another answer than the work's own.

    Attributes:
        reason: which of the vendor's own bodies for this status; empty: the usual one.
        body: instead of the vendor's own.
        is_done: the work was done (and billed) all the same, only its answer is lost behind this one.
    """

    kind: Literal["answer"] = "answer"
    status: int
    reason: str = ""
    headers: Mapping[str, str] = Field(default_factory=dict)
    body: JsonValue = None
    is_done: bool = False


class Drop(Effect):
    """The connection is closed without a byte of an answer."""

    kind: Literal["drop"] = "drop"
    is_done: bool = False


class Hang(Effect):
    """No answer comes until the client has had enough."""

    kind: Literal["hang"] = "hang"
    is_done: bool = False


class Cut(Effect):
    """The answer breaks off: as long as it says it is, but only the share `keep` of it comes."""

    kind: Literal["cut"] = "cut"
    keep: float = 0.5
    is_done: Literal[True] = True


Trouble = Answer | Drop | Hang | Cut


# --- accepted work: how long it takes and what comes of it -----------------------------------------------------------


class Takes(Effect):
    """Work is finished after `seconds` of the simulator's clock and after `polls` looks that still find it running.

    Work that never ends takes more polls than anybody makes.
    """

    kind: Literal["takes"] = "takes"
    seconds: float = 0
    polls: int = 0


class OperationFailed(Effect):
    """The operation ends with an error; `code` is a google.rpc code, the text that of the reference by default."""

    kind: Literal["operation_failed"] = "operation_failed"
    code: int
    message: str | None = None


class Filtered(Effect):
    """The safety filter takes `count` of the clips (all of them by default).

    Attributes:
        support_codes: as the vendor names them in the reason; none: a reason without a code.
        has_reasons: whether a reason is given at all.
        is_nested: counters stand under `generateVideoResponse`, as another version of the API has them.
    """

    kind: Literal["filtered"] = "filtered"
    support_codes: tuple[int, ...] = ()
    count: int | None = None
    has_reasons: bool = True
    is_nested: bool = False


class NoVideo(Effect):
    """The operation is done, with neither an error nor a clip nor a word about filters."""

    kind: Literal["no_video"] = "no_video"


class Lost(Effect):
    """The vendor forgets the operation: a poll finds 404.  `is_made`: the clip lies in the bucket all the same."""

    kind: Literal["lost"] = "lost"
    is_made: bool = False


class Refusal(Effect):
    """The language model will not answer."""

    kind: Literal["refusal"] = "refusal"
    text: str = "I'm sorry, but I can't help with that request."


class Truncated(Effect):
    """The plan breaks off.  `keep` is the share of its text that comes; 0 is what reasoning tokens leave of it."""

    kind: Literal["truncated"] = "truncated"
    keep: float = 0.5
    reason: Literal["max_output_tokens", "content_filter"] = "max_output_tokens"


class Malformed(Effect):
    """The answer's text is this, whatever was asked for."""

    kind: Literal["malformed"] = "malformed"
    text: str = '{"title": "A plan", "scenes": [{"index": 0,'


class WrongSceneCount(Effect):
    """The plan has `by` scenes more (or, negative, fewer) than slots were given."""

    kind: Literal["wrong_scene_count"] = "wrong_scene_count"
    by: int = -1


class ResponseFailed(Effect):
    """The response comes with status `failed`."""

    kind: Literal["response_failed"] = "response_failed"
    code: str = "server_error"
    message: str = "The model produced an error while generating. Please retry your request."


class TranscriptionFailed(Effect):
    """The transcription job ends FAILED with this reason."""

    kind: Literal["transcription_failed"] = "transcription_failed"
    reason: str = "Unsupported media format."


class Spoken(Effect):
    """What is heard in the recording, and in which language; an empty text is silence."""

    kind: Literal["spoken"] = "spoken"
    text: str = ""
    language: str = "en-US"


AnyEffect = Annotated[
    Answer
    | Drop
    | Hang
    | Cut
    | Takes
    | OperationFailed
    | Filtered
    | NoVideo
    | Lost
    | Refusal
    | Truncated
    | Malformed
    | WrongSceneCount
    | ResponseFailed
    | TranscriptionFailed
    | Spoken,
    Field(discriminator="kind"),
]


class Rule(BaseModel):
    """At `place`, `effect` befalls the occasions from the `first` on, `times` of them.

    Attributes:
        scene: only what belongs to the scene with this index.
        containing: only where this text stands in what was asked for (prompt, prefix, job name, request body).
        first: counting, from 1, the occasions that match.
        times: None is for ever.
        is_per_scene: every scene's occasions are counted on their own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    place: Place
    effect: AnyEffect
    scene: int | None = None
    containing: str | None = None
    first: int = Field(default=1, ge=1)
    times: int | None = Field(default=1, ge=1)
    is_per_scene: bool = False

    def matches(self, place: Place, subject: "Subject") -> bool:
        """Whether this is an occasion that the rule counts."""
        return (
            place == self.place
            and (self.scene is None or subject.scene == self.scene)
            and (self.containing is None or self.containing in subject.text)
        )

    def holds(self, ordinal: int) -> bool:
        """Whether the rule is meant for the occasion with this ordinal."""
        return ordinal >= self.first and (self.times is None or ordinal < self.first + self.times)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a request is about, as far as rules tell requests apart."""

    scene: int | None = None
    text: str = ""


_SCENE_FOLDER = re.compile(r"(?:^|/)(?:scene[-_]?)?(\d{3})(?=/)")
_SCENE_WORD = re.compile(r"\bscene\s+#?(\d+)\b", re.IGNORECASE)


def scene_of(prefix: str, prompt: str = "") -> int | None:
    """The scene that an order is for: the folder of three digits in its prefix, or "scene 4" in its prompt."""
    found = _SCENE_FOLDER.findall(prefix) or _SCENE_WORD.findall(prompt)
    return int(found[-1]) if found else None


EffectType = TypeVar("EffectType", bound=Effect)


class Scenario:
    """The rules that hold now, and how often each was met."""

    def __init__(self, *rules: Rule) -> None:
        self._lock = Lock()
        self._rules: list[tuple[Rule, Counter[int | None]]] = []
        self.add(*rules)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules that hold now, in order."""
        with self._lock:
            return tuple(rule for rule, _ in self._rules)

    def add(self, *rules: Rule) -> None:
        """Let these rules hold too; each counts from now on."""
        with self._lock:
            self._rules += [(rule, Counter()) for rule in rules]

    def clear(self) -> None:
        """From now on everything goes well."""
        with self._lock:
            self._rules.clear()

    def effects(self, place: Place, subject: Subject) -> list[Effect]:
        """What befalls this occasion, in the order of the rules.  It is counted."""
        met: list[Effect] = []
        with self._lock:
            for rule, counts in self._rules:
                if not rule.matches(place, subject):
                    continue
                counted_as = subject.scene if rule.is_per_scene else None
                counts[counted_as] += 1
                if rule.holds(counts[counted_as]):
                    met.append(rule.effect)
        return met


def first_of(effects: list[Effect], kind: type[EffectType]) -> EffectType | None:
    """The first effect of a kind, or None."""
    return next((effect for effect in effects if isinstance(effect, kind)), None)
