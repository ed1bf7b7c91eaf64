"""The HTTP API: one resource, `/ai-video`.  POST starts, retries, approves; GET watches; DELETE cancels.

Reading order: `routes` (what is served), `requests` and `responses` (the bodies), `decisions` (what POST and DELETE
do), `view` (what GET shows), `problems` (what may be wrong), `openapi` (the document made of all that).
"""
