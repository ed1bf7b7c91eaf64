"""The offline renderer: every beat drawn as an illustrated clip, honestly marked as a preview.

Reading order: `renderer` (operations, as files), `film` (a clip, frame by frame), `vocabulary` (what the words ask
for), `scenery` and `interior` (what stands where), `figures`, `shapes` and `weather` (how it is drawn), `planes` (in
what).
"""
