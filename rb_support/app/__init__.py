"""The command line: what `python -m rb_support` offers, and the runs of notebooks behind it."""
