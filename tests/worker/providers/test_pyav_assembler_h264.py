import pytest

from worker.providers.pyav_assembler.h264 import read_configuration

SPS, PPS = b"\x67\x64\x00\x1f\xac", b"\x68\xeb"
SETS = (1, len(SPS).to_bytes(2, "big") + SPS, 1, len(PPS).to_bytes(2, "big") + PPS)


def record(*, profile: int = 100, level: int = 31, nal_length: int = 4, tail: bytes = b"\xfd\xf8\xf8\x00") -> bytes:
    """A decoder configuration record with one SPS and one PPS."""
    sps_count, sps, pps_count, pps = SETS
    head = bytes([1, profile, 0, level, 0xFC | (nal_length - 1), 0xE0 | sps_count])
    return head + sps + bytes([pps_count]) + pps + tail


def test_parameter_sets_come_with_four_byte_lengths() -> None:
    configuration = read_configuration(record())

    assert configuration.parameter_sets == b"\0\0\0\x05" + SPS + b"\0\0\0\x02" + PPS


def test_high_profile_of_8_bit_420_is_playable() -> None:
    assert read_configuration(record()).is_playable


@pytest.mark.parametrize("profile", [66, 77])
def test_baseline_and_main_are_playable_and_have_no_tail(profile: int) -> None:
    assert read_configuration(record(profile=profile, tail=b"")).is_playable


@pytest.mark.parametrize(
    "unplayable",
    [
        record(tail=b"\xfe\xf8\xf8\x00"),
        record(tail=b"\xfd\xfa\xf8\x00"),
        record(profile=110),
        record(nal_length=2),
    ],
    ids=["4:2:2", "10 bit", "High 10", "other NAL lengths"],
)
def test_what_browsers_or_joining_cannot_take_is_not_playable(unplayable: bytes) -> None:
    assert not read_configuration(unplayable).is_playable


def test_the_rank_orders_by_profile_and_then_level() -> None:
    ranks = [read_configuration(record(profile=profile, level=level)).rank for profile, level in [(100, 40), (77, 50)]]

    assert max(ranks) == (100, 40)


@pytest.mark.parametrize(
    "broken",
    [None, b"", b"\0\0\0\x01\x67", record()[:9], record()[:15]],
    ids=["none", "empty", "Annex B", "SPS", "PPS"],
)
def test_what_is_no_whole_record_is_refused(broken: bytes | None) -> None:
    with pytest.raises(ValueError, match="decoder configuration record"):
        read_configuration(broken)
