"""moto in this process, answering one request at a time.

moto changes its tables' rows in place and without a lock: of several threads that write to one row at once, most lose
what they wrote, and one that copies the row meanwhile stops with an error of Python's.  DynamoDB does the writes to a
row one after the other, and the worker counts on it; so every test that mocks AWS takes `mock_aws` from here.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import moto
from moto.core.botocore_stubber import BotocoreStubber
from moto.core.config import DefaultConfig


@contextmanager
def mock_aws(config: DefaultConfig | None = None) -> Iterator[None]:
    """`moto.mock_aws` for a block, for any number of threads."""
    answer = BotocoreStubber.process_request
    one_request = threading.RLock()  # what moto does for one request may make another

    def answer_alone(stubber: BotocoreStubber, request: Any) -> Any:  # noqa: ANN401  botocore's request, moto's answer
        with one_request:
            return answer(stubber, request)

    with patch.object(BotocoreStubber, "process_request", answer_alone), moto.mock_aws(config=config):  # noqa: TID251  here it is
        yield
