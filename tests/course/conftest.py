"""A fake Colab: the modules that its notebooks have, with the behaviour that the course meets."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from capstone_utils.course.learner import drive


class SecretNotFoundError(Exception):
    """As Colab's: there is no such entry in the store."""


@pytest.fixture
def fake_colab(monkeypatch, tmp_path):
    """`google.colab` in sys.modules; its `frames` are the pages that were shown, its `secrets` the store.

    `drive` is the folder that it mounts, or None where the learner refuses.
    """
    state = SimpleNamespace(frames=[], secrets={}, drive=tmp_path / "drive")
    monkeypatch.setattr(drive, "MOUNT", state.drive)

    def mount(path):
        if state.drive is None:
            raise ValueError("mount failed")
        (state.drive / "MyDrive").mkdir(parents=True, exist_ok=True)

    def get(name):
        if name not in state.secrets:
            raise SecretNotFoundError(f"Secret {name} does not exist.")
        return state.secrets[name]

    def serve_kernel_port_as_iframe(port, path="/", width="100%", height="400", cache_in_notebook=False):
        state.frames.append((port, path))

    parts = {
        "google": ModuleType("google"),
        "google.colab": ModuleType("google.colab"),
        "google.colab.drive": ModuleType("google.colab.drive"),
        "google.colab.output": ModuleType("google.colab.output"),
        "google.colab.userdata": ModuleType("google.colab.userdata"),
    }
    parts["google"].colab = parts["google.colab"]
    for name in ("drive", "output", "userdata"):
        setattr(parts["google.colab"], name, parts[f"google.colab.{name}"])
    parts["google.colab.output"].serve_kernel_port_as_iframe = serve_kernel_port_as_iframe
    parts["google.colab.userdata"].get = get
    parts["google.colab.drive"].mount = mount
    for name, module in parts.items():
        monkeypatch.setitem(sys.modules, name, module)
    yield state
    drive.disconnect()
