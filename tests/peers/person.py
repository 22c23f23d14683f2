"""A simulated browser with a session, and the test data of `run`."""

import json
import os
import pathlib
from urllib.parse import parse_qs, urlsplit

import requests

ISSUER = os.environ["PEERS_ISSUER"]


def made(name):
    """Reads the output of the command that created a member, a client or a session."""
    return json.loads((pathlib.Path(os.environ["PEERS_SETUP"]) / f"{name}.json").read_text(encoding="utf-8"))


class Person:
    """Follows redirects and posts decisions through the public API, like the pages."""

    def __init__(self, handle):
        self.account = made(handle)
        session = made(f"{handle}-session")
        self._browser = requests.Session()
        self._browser.cookies.set(session["cookie"], session["value"])

    def decide(self, url, decision):
        """Opens an authorization URL, decides, and returns the redirect target."""
        answer = self._browser.get(url, allow_redirects=False, timeout=120)
        assert answer.status_code == 302, answer.text
        location = answer.headers["Location"]
        if not location.startswith(ISSUER):
            return location  # approved before, or an error
        [request_id] = parse_qs(urlsplit(location).query)["request_id"]
        answer = self._browser.post(
            f"{ISSUER}/api/oauth/authorize/consent",
            json={"request_id": request_id, "decision": decision},
            headers={"Origin": ISSUER},
            timeout=120,
        )
        assert answer.status_code == 200, answer.text
        return answer.json()["location"]
