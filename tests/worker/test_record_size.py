from statemachine.aws.attribute_value import MAX_ITEM_BYTES, item_bytes
from tests.records import SCENES, longest_record


def test_the_record_of_the_longest_job_leaves_two_thirds_of_its_item_to_others() -> None:
    """Every write costs the whole item, and the row is not ours alone; `python -m benchmarks dynamodb` has the aim."""
    record = longest_record()

    assert len(record["ai_generation_data"]["M"]["scene_beats"]["M"]) == SCENES
    assert item_bytes(record) < MAX_ITEM_BYTES / 3
