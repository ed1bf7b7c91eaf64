"""One file for each working state: look at the job, do one bounded piece of work, answer."""
