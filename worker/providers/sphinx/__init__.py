"""Speech recognition on this machine, with CMU pocketsphinx: a `Transcriber` that needs no account.

`transcriber.py` is the adapter; `listening.py` finds who speaks when, `decoding.py` runs in child processes,
`supplied.py` reads a transcript that lies beside the recording, `pronouncing.py` guesses how unknown words sound.
Nothing is imported here: a child process loads `decoding.py` alone and is ready sooner.
"""
