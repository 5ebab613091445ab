"""`python -m rb_support classroom …`: slides, a folder for students, and pages on paper, from the notebooks.

Exit codes: 0 done, 1 a file cannot be made what is asked for, 2 a wrong option or something is not installed.
"""

from rb_support.app.classroom.commands import app

__all__ = ["app"]
