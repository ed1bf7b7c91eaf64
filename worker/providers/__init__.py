"""The outside world, one file or package per vendor or local tool, each an adapter of one port in `worker.ports`.

An adapter translates words, units and errors, and decides nothing.  Adapters do not know each other.
"""
