"""Teaching aids of the notebooks: exercises with hints, guesses, and pictures that answer to a hand."""

from rb_support.teach.drag import drag
from rb_support.teach.exercises import check, predict, recall, reveal, solved
from rb_support.teach.widgets import explore, picture

__all__ = ["check", "drag", "explore", "picture", "predict", "recall", "reveal", "solved"]
