"""A fake Colab: the modules that its notebooks have, with the behaviour that the course meets."""

import sys
from types import ModuleType, SimpleNamespace

import pytest


class SecretNotFoundError(Exception):
    """As Colab's: there is no such entry in the store."""


@pytest.fixture
def fake_colab(monkeypatch):
    """`google.colab` in sys.modules; its `frames` are the pages that were shown, its `secrets` the store."""
    state = SimpleNamespace(frames=[], secrets={})

    def get(name):
        if name not in state.secrets:
            raise SecretNotFoundError(f"Secret {name} does not exist.")
        return state.secrets[name]

    def serve_kernel_port_as_iframe(port, path="/", width="100%", height="400", cache_in_notebook=False):
        state.frames.append((port, path))

    parts = {
        "google": ModuleType("google"),
        "google.colab": ModuleType("google.colab"),
        "google.colab.output": ModuleType("google.colab.output"),
        "google.colab.userdata": ModuleType("google.colab.userdata"),
    }
    parts["google"].colab = parts["google.colab"]
    for name in ("output", "userdata"):
        setattr(parts["google.colab"], name, parts[f"google.colab.{name}"])
    parts["google.colab.output"].serve_kernel_port_as_iframe = serve_kernel_port_as_iframe
    parts["google.colab.userdata"].get = get
    for name, module in parts.items():
        monkeypatch.setitem(sys.modules, name, module)
    return state
