"""Streaming fraud detection: a card payment's way from the stream to a monitored decision, one folder a notebook."""

import os

# Before anything loads OpenMP (XGBoost, LightGBM, scikit-learn): its threads, by default, spin while they wait for each
# other. On a machine with other work, as where broker, service and notebook share two cores, that makes training many
# times slower. Child processes inherit it.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

__version__ = "1.0.0"
