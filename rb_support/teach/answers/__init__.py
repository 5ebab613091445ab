"""What the notebooks' exercises are checked against, a module a notebook. Solutions: `notebooks/solutions`."""
