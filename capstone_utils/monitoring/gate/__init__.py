"""The gate: a challenger beside the champion, and the reasons to promote it or to refuse it."""
