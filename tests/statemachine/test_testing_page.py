"""The examples of docs/testing.md, run as they stand there."""

import re
from pathlib import Path

PAGE = Path(__file__).parent.parent.parent / "docs" / "testing.md"


def test_examples_of_the_page_run_one_after_the_other() -> None:
    """A page whose examples do not run is worse than none."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    names: dict[str, object] = {"__name__": "testing_page"}

    for block in blocks:
        # A line of the page, in the traceback of an example that fails.
        line = PAGE.read_text()[: PAGE.read_text().index(block)].count("\n")
        exec(compile("\n" * line + block, str(PAGE), "exec"), names)  # noqa: S102  our own page, and running it is the test

    assert len(blocks) == 9
    assert f"```\n{str(names['finding']).rstrip()}\n```" in PAGE.read_text()
