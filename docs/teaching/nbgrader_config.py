"""nbgrader's settings for what `classroom student` makes: copy it into the folder of your course."""

from nbgrader.converters import GenerateAssignment

c = get_config()  # noqa: F821 (nbgrader gives it)

# The notebooks hold no solutions, and their answer cells say what goes there: nothing is to be cleared.
kept = [step for step in GenerateAssignment.preprocessors.default() if step.__name__ != "ClearSolutions"]
c.GenerateAssignment.preprocessors = kept
# The longest notebook trains networks before it comes to its exercises.
c.ExecutePreprocessor.timeout = 1800
