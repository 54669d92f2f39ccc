"""The command line, and what it writes: configurations, runs, reports, model cards."""
