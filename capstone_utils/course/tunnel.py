"""A public address for the service, only for those who ask."""

from __future__ import annotations

from capstone_utils.course.machine import read_secret

TOKEN, USER, PASSWORD = "NGROK_AUTHTOKEN", "CAPSTONE_TUNNEL_USER", "CAPSTONE_TUNNEL_PASSWORD"


def open_tunnel(port: int) -> str | None:
    """Open a tunnel to 127.0.0.1:`port`, behind a user and password; return its public URL.

    The account's token, and the user and password that callers need, are environment variables or secrets in Colab.
    None is returned unless all three are set. The tunnel ends with this process, or with `pyngrok.ngrok.kill()`.
    """
    token, user, password = (read_secret(name) for name in (TOKEN, USER, PASSWORD))
    if not (token and user and password):
        print(f"no tunnel: it opens only when {TOKEN}, {USER} and {PASSWORD} are set")
        return None
    from pyngrok import conf, ngrok

    conf.get_default().auth_token = token
    return str(ngrok.connect(str(port), basic_auth=[f"{user}:{password}"]).public_url)
