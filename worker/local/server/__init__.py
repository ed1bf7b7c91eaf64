"""`worker serve`: the whole product on one machine, for trying it and for developing the page.

The API is the handler that runs on Lambda, the engine is the one that drives every job; what stands here are the parts
of the platform around them: sign-in (only a choice between two people), uploads and their list, signed files.

Reading order: `app` (what is served), `gateway` (the API's handler behind it), `gallery` and `signed_files` (uploads,
files), `sessions` (who calls), `worker` and `turns` (jobs make progress), `serving` (the command).
"""
