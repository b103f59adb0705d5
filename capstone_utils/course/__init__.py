"""Parts for the notebooks: set-up in Colab, milestones, figures and the report."""
