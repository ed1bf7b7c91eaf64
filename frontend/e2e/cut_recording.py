"""`cut_recording.py WHOLE SECONDS CUT`: the beginning of a recording, its packets as they are."""

import sys

import av


def main(whole: str, seconds: float, cut: str) -> None:
    """Write the packets that begin within the first `seconds`."""
    with av.open(whole) as source, av.open(cut, "w") as target:
        sound = source.streams.audio[0]
        stream = target.add_stream_from_template(sound)
        for packet in source.demux(sound):
            if packet.pts is None or packet.pts * packet.time_base >= seconds:
                break
            packet.stream = stream
            target.mux(packet)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), sys.argv[3])
