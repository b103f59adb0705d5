"""Pages and secrets, in Colab and elsewhere."""

from capstone_utils.course.machine import read_secret, show
from capstone_utils.course.tunnel import open_tunnel


def test_in_colab_a_page_is_shown_in_a_frame_and_no_link_to_the_readers_own_machine(fake_colab, capsys):
    show(8000, "/docs")
    assert fake_colab.frames == [(8000, "/docs")]
    assert "127.0.0.1" not in capsys.readouterr().out


def test_elsewhere_a_page_is_a_link(capsys):
    show(8000, "/docs")
    assert capsys.readouterr().out == "open in a browser: http://127.0.0.1:8000/docs\n"


def test_a_secret_comes_from_the_environment_before_colabs_store(fake_colab, monkeypatch):
    fake_colab.secrets["TOKEN_OF_A_TEST"] = "stored"
    assert read_secret("TOKEN_OF_A_TEST") == "stored"
    monkeypatch.setenv("TOKEN_OF_A_TEST", "set")
    assert read_secret("TOKEN_OF_A_TEST") == "set"


def test_a_secret_that_nobody_has_is_none_and_colab_says_why(fake_colab, capsys):
    assert read_secret("TOKEN_OF_A_TEST") is None
    assert capsys.readouterr().out == "Colab's store gives no TOKEN_OF_A_TEST: Secret TOKEN_OF_A_TEST does not exist.\n"


def test_without_secrets_no_tunnel_opens(fake_colab, monkeypatch, capsys):
    for name in ("NGROK_AUTHTOKEN", "CAPSTONE_TUNNEL_USER", "CAPSTONE_TUNNEL_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    assert open_tunnel(8000) is None
    assert "no tunnel" in capsys.readouterr().out
