"""Pure statistics: is the winner better, by how much, and what goes with high scores.

Plain Python without a database; the tests hold every number against SciPy.
"""
