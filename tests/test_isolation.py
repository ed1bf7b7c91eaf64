import os
import socket

import boto3
import pytest


def test_connecting_to_another_machine_raises() -> None:
    """203.0.113.0/24 is reserved for documentation: nobody is there even if the guard fails."""
    with socket.socket() as outside, pytest.raises(Exception, match=r"tried to connect to \('203\.0\.113\.1', 80\)"):
        outside.connect(("203.0.113.1", 80))


def test_looking_up_a_name_raises() -> None:
    with pytest.raises(Exception, match=r"tried to connect to 'example\.invalid'"):
        socket.getaddrinfo("example.invalid", 443)


def test_loopback_is_open() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(("localhost", server.getsockname()[1]), timeout=5) as client,
    ):
        peer, _ = server.accept()
        with peer:
            client.sendall(b"hello")
            received = peer.recv(5)

    assert received == b"hello"


def test_no_account_of_the_person_is_in_reach() -> None:
    """A session of its own: the default one may still hold what another test gave it."""
    assert boto3.Session().get_credentials() is None


def test_vendors_keys_are_not_in_the_environment() -> None:
    assert [name for name in os.environ if name.startswith(("OPENAI_", "GOOGLE_", "VERTEX_"))] == []
