"""What notebook 08 hands over to its exercises, small."""

GIVEN = {"08.2": lambda: {"saving": 815.0, "queries": 500_000}}
