"""`ScenePlanner` on OpenAI's Responses API.

- `planner`: windows of scenes, and what is asked for each
- `instructions`: the words that the model is given
- `shots`: what it may answer, and the prompts made of that; pure
- `asking`: one question and a usable answer: budgets, repair, errors; the only part that imports the SDK
"""

from worker.providers.openai_planner.planner import OpenAiPlanner

__all__ = ["OpenAiPlanner"]
