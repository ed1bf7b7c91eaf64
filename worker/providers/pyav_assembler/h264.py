"""The few bytes of H.264 in MP4 that joining has to understand: the decoder configuration record.

MP4 keeps a clip's parameter sets (SPS and PPS) not in its packets but once, in the header: the record `avcC`
(ISO/IEC 14496-15, 5.3.3.1).  Packets hold NAL units, each after its length.
"""

from dataclasses import dataclass

RECORD_VERSION = 1
NAL_LENGTH_BYTES = 4
# Profiles whose records end with the chroma format and the bit depths.
HIGH_PROFILES = {100, 110, 122, 144}
# Baseline, Main and High: what every browser and phone decodes.
PLAYABLE_PROFILES = {66, 77, 100}
CHROMA_420 = 1


@dataclass(frozen=True, slots=True)
class DecoderConfiguration:
    """What a decoder must know before the first packet.

    Attributes:
        rank: profile and level; of two records the higher one also announces the lower one's stream.
        nal_length_bytes: how long the length before each NAL unit is.
        parameter_sets: SPS and PPS as NAL units, ready to be put before a packet.
        is_plain: 8 bits, 4:2:0.
    """

    rank: tuple[int, int]
    nal_length_bytes: int
    parameter_sets: bytes
    is_plain: bool

    @property
    def is_playable(self) -> bool:
        """Whether browsers decode it, and its packets can stand beside others."""
        return self.is_plain and self.rank[0] in PLAYABLE_PROFILES and self.nal_length_bytes == NAL_LENGTH_BYTES


def read_configuration(record: bytes | None) -> DecoderConfiguration:
    """Read a record as it stands in a stream's extradata.

    Raises:
        ValueError: there is none, or it is not one (H.264 in MPEG-TS has its parameter sets in the packets).
    """
    if not record or record[0] != RECORD_VERSION:
        raise ValueError("no H.264 decoder configuration record")
    try:
        nal_length_bytes = (record[4] & 0b11) + 1
        sets, after = _read_sets(record, 6, record[5] & 0b11111)
        more, after = _read_sets(record, after + 1, record[after])
    except IndexError as error:
        raise ValueError("the H.264 decoder configuration record is cut off") from error
    tail = record[after : after + 3]
    is_plain = (
        record[1] not in HIGH_PROFILES or not tail or (tail[0] & 0b11 == CHROMA_420 and not (tail[1] | tail[2]) & 0b111)
    )
    return DecoderConfiguration((record[1], record[3]), nal_length_bytes, sets + more, is_plain)


def _read_sets(record: bytes, position: int, count: int) -> tuple[bytes, int]:
    """`count` parameter sets from `position` on, with 4-byte lengths instead of 2; and where they end."""
    sets = b""
    for _ in range(count):
        length = record[position] << 8 | record[position + 1]
        end = position + 2 + length
        if end > len(record):
            raise IndexError(end)
        sets += length.to_bytes(NAL_LENGTH_BYTES, "big") + record[position + 2 : end]
        position = end
    return sets, position
