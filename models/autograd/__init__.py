"""The scalar engine: numbers that record their operations, and so compute their gradients.

It is for learning; no shipped model uses it. Nothing else in `models` imports this package.
"""
