"""T25: Authlib, the client that most Python applications use.

A small Flask application signs members in as in Authlib's documentation, configured only with the address of
the metadata; Authlib's session sends the other requests. Authlib checks state, nonce, ID token and at_hash; no
check is disabled, and Authlib permits plain http for loopback addresses.
"""

import unittest
from urllib.parse import urlsplit

from authlib.integrations.base_client import OAuthError
from authlib.integrations.base_client.errors import MismatchingStateError
from authlib.integrations.flask_client import OAuth
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2 import rfc9207
from authlib.oidc.discovery import OpenIDProviderMetadata, get_well_known_url
from flask import Flask
import requests

from person import ISSUER, Person, made

SCOPE = "openid profile email offline_access"
CALLBACK = "http://127.0.0.1/callback"
METADATA = get_well_known_url(ISSUER, external=True)


class Application:
    """A web application: /login redirects to the server, /callback handles the response."""

    def __init__(self, registered, **how):
        self._app = Flask(__name__)
        self._app.secret_key = "only for this test"
        self._app.testing = True  # exceptions come out, so that a test sees Authlib's own
        self.storyden = OAuth(self._app).register(
            "storyden",
            client_id=registered["client_id"],
            client_secret=registered.get("client_secret"),
            server_metadata_url=METADATA,
            client_kwargs={"scope": SCOPE, "code_challenge_method": "S256", **how},
        )
        self._app.add_url_rule("/login", view_func=self._login)
        self._app.add_url_rule("/callback", view_func=self._callback)

    def _login(self):
        return self.storyden.authorize_redirect(CALLBACK)

    def _callback(self):
        token = self.storyden.authorize_access_token()
        return {"token": token, "userinfo": self.storyden.userinfo()}

    def browser(self):
        return Browser(self._app.test_client())


class Browser:
    """The browser at the application."""

    def __init__(self, client):
        self._client = client

    def open(self, path):
        return self._client.get(path, base_url="http://127.0.0.1")

    def sign_in(self, person, decision="approve"):
        """Runs the authorization at the server; returns path and query of the callback."""
        back = urlsplit(person.decide(self.open("/login").headers["Location"], decision))
        assert f"{back.scheme}://{back.netloc}{back.path}" == CALLBACK, back
        return f"{back.path}?{back.query}"


class CodeFlow(unittest.TestCase):
    def setUp(self):
        self.frigg = Person("frigg")

    def assert_signs_in(self, registered, **how):
        browser = Application(registered, **how).browser()
        answer = browser.open(browser.sign_in(self.frigg)).json
        claims, info = answer["token"]["userinfo"], answer["userinfo"]
        self.assertEqual(claims["iss"], ISSUER)
        self.assertEqual(claims["sub"], self.frigg.account["id"])
        self.assertIn("at_hash", claims)
        self.assertEqual(info["sub"], claims["sub"])
        self.assertEqual(info["preferred_username"], "frigg")
        self.assertEqual(info["email"], "frigg@example.com")
        return answer["token"]

    def test_a_confidential_client_by_basic(self):
        """T25: code flow with PKCE, ID token, userinfo; Authlib's default for a secret."""
        self.assert_signs_in(made("confidential"))

    def test_a_confidential_client_by_post(self):
        """T25: the same with the secret in the body."""
        self.assert_signs_in(made("confidential"), token_endpoint_auth_method="client_secret_post")

    def test_a_public_client(self):
        """T25: the same without a secret."""
        self.assert_signs_in(made("public"))

    def test_refresh(self):
        """T25: a refresh with a scope parameter returns new valid tokens."""
        registered = made("confidential")
        token = self.assert_signs_in(registered)
        storyden = Application(registered).storyden
        metadata = storyden.load_server_metadata()
        with OAuth2Session(
            registered["client_id"], registered["client_secret"], scope=SCOPE, token=token
        ) as session:
            renewed = session.refresh_token(metadata["token_endpoint"])
            self.assertNotEqual(renewed["refresh_token"], token["refresh_token"])
            self.assertNotEqual(renewed["access_token"], token["access_token"])
            claims = storyden.parse_id_token(renewed, nonce=None)
            self.assertEqual(claims["sub"], self.frigg.account["id"])
            info = session.get(metadata["userinfo_endpoint"])
            self.assertEqual(info.json()["sub"], self.frigg.account["id"])

    def test_a_denied_consent(self):
        """T25: a denied consent is access_denied. A public client on loopback is asked each time."""
        browser = Application(made("public")).browser()
        back = browser.sign_in(self.frigg, "deny")
        with self.assertRaises(OAuthError) as refused:
            browser.open(back)
        self.assertEqual(refused.exception.error, "access_denied")

    def test_a_wrong_verifier(self):
        """T25: a wrong verifier is invalid_grant."""
        registered = made("confidential")
        application = Application(registered)
        back = application.browser().sign_in(self.frigg)
        metadata = application.storyden.load_server_metadata()
        with (
            OAuth2Session(
                registered["client_id"], registered["client_secret"], redirect_uri=CALLBACK
            ) as session,
            self.assertRaises(OAuthError) as refused,
        ):
            session.fetch_token(
                metadata["token_endpoint"],
                authorization_response=f"http://127.0.0.1{back}",
                code_verifier="v" * 43,
            )
        self.assertEqual(refused.exception.error, "invalid_grant")

    def test_another_browser(self):
        """T25: the response of another browser is rejected by Authlib's state check."""
        application = Application(made("confidential"))
        back = application.browser().sign_in(self.frigg)
        with self.assertRaises(MismatchingStateError):
            application.browser().open(back)


class WithoutAPerson(unittest.TestCase):
    def setUp(self):
        self.metadata = requests.get(METADATA, timeout=120).json()

    def test_the_metadata(self):
        """T25: Authlib's validators of Discovery, RFC 8414 and RFC 9207 pass."""
        document = OpenIDProviderMetadata(self.metadata)
        document.validate(metadata_classes=[rfc9207.AuthorizationServerMetadata])
        self.assertEqual(document["issuer"], ISSUER)

    def test_client_credentials(self):
        """T25: client credentials, with client_secret_basic and client_secret_post."""
        service = made("service")
        for method in ("client_secret_basic", "client_secret_post"):
            with self.subTest(method), self.session(method, service["client_secret"]) as session:
                token = session.fetch_token(self.metadata["token_endpoint"], grant_type="client_credentials")
                self.assertEqual(token["scope"], "CREATE_POST")
                self.assertNotIn("refresh_token", token)

    def test_a_wrong_secret(self):
        """T25: a wrong secret is invalid_client, with both methods."""
        for method in ("client_secret_basic", "client_secret_post"):
            with self.subTest(method), self.session(method, "sdoas_wrong") as session:
                with self.assertRaises(OAuthError) as refused:
                    session.fetch_token(self.metadata["token_endpoint"], grant_type="client_credentials")
                self.assertEqual(refused.exception.error, "invalid_client")

    def session(self, method, secret):
        return OAuth2Session(
            made("service")["client_id"], secret, scope="CREATE_POST", token_endpoint_auth_method=method
        )


if __name__ == "__main__":
    unittest.main()
