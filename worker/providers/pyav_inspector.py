"""Whether the media library can make what the worker delivers.  For an operator's doctor."""

import io

import av
from av.audio.frame import AudioFrame
from av.error import FFmpegError
from av.video.frame import VideoFrame

from statemachine.errors import PermanentError


def try_codecs() -> str:
    """Encode a picture with libx264 and a sound with AAC into one MP4; the library's version.

    Raises:
        PermanentError: code CODEC_MISSING.
    """
    try:
        with av.open(io.BytesIO(), "w", format="mp4") as output:
            film = output.add_stream("libx264", rate=24)
            sound = output.add_stream("aac", rate=44100, layout="mono")
            film.width, film.height, film.pix_fmt = 64, 64, "yuv420p"
            picture = VideoFrame(64, 64, "yuv420p")
            silence = AudioFrame(format="fltp", layout="mono", samples=1024)
            silence.sample_rate = 44100
            for plane in silence.planes:
                plane.update(bytes(plane.buffer_size))  # a new frame holds whatever was in memory
            for packets in (film.encode(picture), film.encode(None), sound.encode(silence), sound.encode(None)):
                output.mux(packets)
    except (FFmpegError, ValueError) as error:
        raise _missing(str(error)) from error
    return av.__version__


def _missing(why: str) -> PermanentError:
    return PermanentError(
        "CODEC_MISSING",
        f"PyAV {av.__version__} cannot make MP4 of libx264 and AAC ({why}); install its own wheel: pip install av",
        user_action="contact_admin",
    )
