"""How a call can go wrong, told apart by one question: may the other side have acted on it?

CallError
├── NotReachedError   surely not: nothing was sent
├── NoAnswerError     nobody knows
└── StatusError       it answered, with a status that is no success
"""


class CallError(Exception):
    """A call to Vertex AI or Cloud Storage brought no result."""


class NotReachedError(CallError):
    """Nothing was sent: no connection, no name, no token."""


class NoAnswerError(CallError):
    """The request was sent, or may have been, and no answer came back whole."""


class StatusError(CallError):
    """The answer is an error.

    Attributes:
        status: of HTTP.
        message: the vendor's, without the request.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message
