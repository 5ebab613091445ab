"""What the notebooks' exercises are checked against: words and numbers in `NN.toml`, what computes in `of_NN.py`.

Solutions: `notebooks/solutions`.
"""
