"""`ClipRenderer` on Veo, through Vertex AI.

- `renderer`: what may be ordered, and what each answer means for the job
- `answers`: finished operations, and refusals, read
- `calls`: the requests themselves; brings Google's SDK with it
- `call_errors`: how a call can go wrong, as far as it matters whether something was ordered
"""

from worker.providers.veo.renderer import VeoRenderer, VertexProject

__all__ = ["VeoRenderer", "VertexProject"]
