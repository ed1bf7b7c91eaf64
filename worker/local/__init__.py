"""The same worker on one machine: audio in, MP4 out, no account."""
