"""What a recording's header says, found by reading only the parts of the object that hold it."""

import io
from collections import OrderedDict
from collections.abc import Callable

import av
from av.audio.codeccontext import AudioCodecContext
from av.container import InputContainer

from statemachine.errors import PermanentError
from worker.ports import MediaStore
from worker.rows import AudioHeader

# A header lies in the first and last blocks; tags with pictures may stand before it.
BLOCK_BYTES = 128 * 1024
BLOCKS_KEPT = 8

# Reading more than this is not looking at a header any more.
MOST_BYTES = 8 * 2**20

# FFmpeg's guess for want of a header, size over bit rate, is exact to this part.
_GUESS_TOLERANCE = 0.01

_ACTION = "upload_other_audio"


def probe(media: MediaStore, key: str, *, before_each_read: Callable[[], None] = lambda: None) -> AudioHeader:
    """The header of the recording at `key`.  `before_each_read` may raise to end it.

    Raises:
        PermanentError: codes OBJECT_MISSING, EMPTY_FILE, NOT_AUDIO, NO_AUDIO_STREAM.
        TransientError: the object cannot be read for now.
    """
    size = media.size(key)
    if size is None:
        raise PermanentError(
            "OBJECT_MISSING", "the recording is not in the bucket: upload it again", user_action=_ACTION
        )
    if size == 0:
        raise PermanentError("EMPTY_FILE", "the recording is empty (0 bytes): upload it again", user_action=_ACTION)
    reader = _RangeReader(media, key, size, before_each_read)
    try:
        # Old programs write tags in the code page of their day: PyAV would refuse the whole file for one letter.
        with av.open(reader, mode="r", metadata_errors="replace") as container:
            return _header(container, size)
    except av.FFmpegError as error:
        if reader.trouble is not None:  # FFmpeg swallows what its input raises
            raise reader.trouble from error
        raise _not_audio() from error


def _header(container: InputContainer, size: int) -> AudioHeader:
    if not container.streams.audio:
        raise PermanentError("NO_AUDIO_STREAM", "the file has no sound in it: upload a recording", user_action=_ACTION)
    stream = container.streams.audio[0]
    # A codec without decoder has no context, whatever the type says.  Random bytes named .mp3 do open, as a stream of 0
    # channels at 0 Hz.
    context: AudioCodecContext | None = stream.codec_context
    if context is None or context.sample_rate <= 0 or context.channels <= 0:
        raise _not_audio()
    seconds: float | None = None
    if stream.duration is not None and stream.time_base is not None:
        seconds = float(stream.duration * stream.time_base)
    elif container.duration is not None:
        seconds = container.duration / av.time_base
    if seconds is not None and seconds <= 0:
        seconds = None
    return AudioHeader(
        codec=context.codec.canonical_name,
        duration_seconds=seconds,
        is_guess=seconds is not None and _is_guess(seconds, context.bit_rate, size),
        sample_rate=context.sample_rate,
        channels=context.channels,
        size_bytes=size,
    )


def _is_guess(seconds: float, bit_rate: int | None, size: int) -> bool:
    """Whether it is only size over bit rate: wrong by half for MP3 of varying bit rate without a header."""
    if not bit_rate:
        return False
    guess = size * 8 / bit_rate
    return abs(seconds - guess) <= _GUESS_TOLERANCE * guess


def _not_audio() -> PermanentError:
    return PermanentError(
        "NOT_AUDIO",
        "the file cannot be read as a recording: upload it as MP3, M4A, WAV, FLAC, Ogg or WebM",
        user_action=_ACTION,
    )


class _RangeReader(io.RawIOBase):
    """An object as a file that can be read and sought, in blocks that are fetched when they are wanted."""

    def __init__(self, media: MediaStore, key: str, size: int, before_each_read: Callable[[], None]) -> None:
        self._media = media
        self._key = key
        self._size = size
        self._before_each_read = before_each_read
        self._position = 0
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._fetched = 0
        self.trouble: Exception | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, never beyond the present block; nothing at the end."""
        if self._position >= self._size:
            return b""
        try:
            block = self._block(self._position // BLOCK_BYTES)
        except Exception as error:
            self.trouble = error
            raise
        start = self._position % BLOCK_BYTES
        content = block[start:] if size < 0 else block[start : start + size]
        self._position += len(content)
        return content

    def _block(self, number: int) -> bytes:
        block = self._blocks.get(number)
        if block is None:
            self._before_each_read()
            if self._fetched >= MOST_BYTES:
                raise _not_audio()
            start = number * BLOCK_BYTES
            block = self._media.read_range(self._key, start, min(start + BLOCK_BYTES, self._size))
            self._fetched += len(block)
            self._blocks[number] = block
            if len(self._blocks) > BLOCKS_KEPT:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(number)
        return block
