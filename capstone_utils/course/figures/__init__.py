"""The course's pictures: one style, one module a notebook; each function returns the figure it drew."""
