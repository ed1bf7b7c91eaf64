"""What the vendors would have charged."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ClipCharge:
    """One accepted generation, at full price whatever became of it: what filtered output costs is not documented.

    Attributes:
        ordinal: counts accepted generations from 1.
        seconds: ordered, of all samples together.
        prefix: the `storageUri`, or an empty text.
    """

    ordinal: int
    operation: str
    model: str
    scene: int | None
    prefix: str
    seconds: float
    usd: float
    at: datetime


@dataclass(frozen=True, slots=True)
class TokenCharge:
    """One response of the language model."""

    response_id: str
    model: str
    input_tokens: int
    output_tokens: int
    usd: float
    at: datetime


@dataclass(frozen=True, slots=True)
class SpeechCharge:
    """One completed transcription, by the length of its recording."""

    job_name: str
    seconds: float
    usd: float
    at: datetime


@dataclass
class Bill:
    """All charges, in the order in which they were made."""

    clips: list[ClipCharge] = field(default_factory=list)
    responses: list[TokenCharge] = field(default_factory=list)
    transcriptions: list[SpeechCharge] = field(default_factory=list)

    @property
    def usd(self) -> float:
        """The sum of everything."""
        charges: list[ClipCharge | TokenCharge | SpeechCharge] = [*self.clips, *self.responses, *self.transcriptions]
        return sum(charge.usd for charge in charges)

    def clips_of(self, scene: int) -> list[ClipCharge]:
        """What was charged for one scene: more than one record is a scene that was paid more than once."""
        return [charge for charge in self.clips if charge.scene == scene]
