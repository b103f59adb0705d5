"""Where a notebook runs: pages and secrets in Colab, and on a machine of one's own."""

from __future__ import annotations

import os
import sys

COLAB = "google.colab"
HEIGHT = 500  # pixels


def in_colab() -> bool:
    """True in a Colab notebook."""
    return COLAB in sys.modules


def show(port: int, path: str = "/") -> None:
    """Show a page that this machine serves: inside the notebook in Colab, as a link elsewhere.

    In Colab no link is printed: 127.0.0.1 would be the reader's own machine.
    """
    if not in_colab():
        print(f"open in a browser: http://127.0.0.1:{port}{path}")
        return
    from google.colab import output

    output.serve_kernel_port_as_iframe(port, path=path, height=str(HEIGHT))
    print('This frame passes no POST on, so "Try it out" says 500 there. Call from a cell instead.')


def read_secret(name: str) -> str | None:
    """A secret from the environment variable of this name, else from Colab's own store; None where neither has it.

    The store asks the reader whether this notebook may have it, and refuses in words.
    """
    if value := os.environ.get(name):
        return value
    if not in_colab():
        return None
    from google.colab import userdata

    try:
        return userdata.get(name) or None
    except Exception as error:  # it does not exist, access was refused, or nobody answered; the classes have changed
        print(f"Colab's store gives no {name}: {error}")
        return None
