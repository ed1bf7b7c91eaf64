"""Measurements, each with its bound and what was measured beside it in the same run.

`python -m benchmarks [NAME …]` prints one JSON object a line.  A benchmark is a module here with a function
`measure()` that yields `Measurement`s; its name on the command line is the module's.
"""
