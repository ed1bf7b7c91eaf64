"""Turns a recording into an AI-generated video, one step of a state machine at a time.

Read `pipeline.py` first: it is the whole machine on one screen.  Then `job.py` (what is known about a video
being made), `ports.py` (what the steps need from outside) and `steps/` (one file per working state).
"""
