"""The offline renderer: every beat drawn as an illustrated clip, honestly marked as a preview.

Reading order: `renderer` (operations, as files), `film` (a clip, frame by frame), `vocabulary` (what the words ask
for), `scenery` (a whole scene).  The places: `coast`, `countryside`, `city`, `interior`.  What they put there: `water`,
`lighthouse`, `foreground`, `weather`, `figures`, `shapes`.  Underneath: `stage` (layers and a camera), `planes`
(pictures) and `palette` (colours).
"""
