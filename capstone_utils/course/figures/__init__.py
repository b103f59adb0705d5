"""The course's pictures: one style, one module per notebook.

Each function returns its figure.
"""
