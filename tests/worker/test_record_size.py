from statemachine.aws.attribute_value import item_bytes
from tests.records import SCENES, longest_record


def test_the_record_of_the_longest_job_stays_under_64_kb() -> None:
    """Every write costs the whole item, and the row is not ours alone."""
    record = longest_record()

    assert len(record["ai_generation_data"]["M"]["scene_beats"]["M"]) == SCENES
    assert item_bytes(record) < 64 * 1024
