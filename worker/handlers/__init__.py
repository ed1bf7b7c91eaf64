"""One file for each kind of event that the function gets: parse, call, answer."""
