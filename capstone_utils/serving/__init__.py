"""Floor 3: a model trained and judged honestly, kept with its manifest, and answering over HTTP."""
