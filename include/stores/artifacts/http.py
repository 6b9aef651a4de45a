"""
Requests to an artifact registry (OCI): with a time limit, retried where that may help, signed in where it is required.

The ``oras`` library speaks the same protocol, but without any time limit, with two minutes of waiting before it reports
that a registry cannot be reached, and chooses the method of signing in before the registry has named its own.
"""

import base64
import http.client
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode, urljoin, urlsplit

from include.contract import settings
from include.errors import ConfigurationError, TemporaryError, foreign
from include.stores.http import HttpClient, HttpResponse, NoResponseError
from include.stores.retry import Backoff, retried

_TIMEOUT_SECONDS = 30.0
_ATTEMPTS = 4
_BACKOFF = Backoff(first_seconds=0.5, longest_seconds=2.0)
# RFC 9110 allows more than key="value", but registries send this, and only realm, service and scope matter.
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True)
class Credentials:
    """A user of the registry."""

    username: str
    password: str = field(repr=False)

    def basic(self) -> str:
        """The value of an ``Authorization`` header."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


@dataclass
class ArtifactRegistryClient:
    """One registry; remembers how it was signed in to."""

    host: str
    is_plain: bool = False
    credentials: Credentials | None = None
    timeout_seconds: float = _TIMEOUT_SECONDS
    backoff: Backoff = _BACKOFF
    _signed: str | None = field(default=None, repr=False)
    """The ``Authorization`` that the registry took last."""

    @property
    def root(self) -> str:
        """Its address."""
        return f"{'http' if self.is_plain else 'https'}://{self.host}"

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> HttpResponse:
        """
        Send a request; any status that is no failure of the registry is a response.

        :param path: below the registry's root, or an address that it gave.
        :raises TemporaryError: if it does not respond, or with 5xx or 429, in every attempt.
        :raises ConfigurationError: if it wants a user whom we are not, or refuses ours.
        """
        url = urljoin(self.root, path)
        response = self._retried(method, url, body, headers or {})
        # The first request is unsigned: only the challenge names the method and, for tokens, the scope.
        if response.status == http.client.UNAUTHORIZED and self._is_ours(url):
            self._signed = self._sign_in(response.headers.get("www-authenticate", ""))
            response = self._retried(method, url, body, headers or {})
        if response.status in {http.client.UNAUTHORIZED, http.client.FORBIDDEN}:
            raise self._refused(f"answers {response.status} to {method} {urlsplit(url).path}")
        return response

    def _retried(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> HttpResponse:
        return retried(
            lambda: self._attempted(method, url, body, headers), seconds=None, attempts=_ATTEMPTS, backoff=self.backoff
        )

    def _attempted(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> HttpResponse:
        try:
            response = self._once(method, url, body, headers)
        except NoResponseError as error:
            raise self._away(str(error)) from error
        # 429: hosted registries limit the rate of pulls and pushes.
        if response.status < http.client.INTERNAL_SERVER_ERROR and response.status != http.client.TOO_MANY_REQUESTS:
            return response
        raise self._away(f"HTTP {response.status}: {foreign(response.content.decode(errors='replace'))}")

    def _away(self, why: str) -> TemporaryError:
        message = f"The artifact registry at {self.root} does not answer: {why}. Is it running? "
        return TemporaryError(f"{message}{settings.ARTIFACT_REGISTRY} names its address.")

    def _once(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> HttpResponse:
        # Not passed on where the registry sends us to another host, as it does for blobs that lie in S3.
        signed = self._signed if self._is_ours(url) else None
        client = HttpClient(timeout_seconds=self.timeout_seconds)
        return client.request(method, url, body, headers, authorization=signed)

    def _is_ours(self, url: str) -> bool:
        return urlsplit(url).netloc == self.host

    def _sign_in(self, challenge: str) -> str:
        """What to sign requests with, as the registry wants it: the user himself, or a token that is fetched."""
        kind, _, rest = challenge.partition(" ")
        words = dict(_CHALLENGE.findall(rest))
        if kind.lower() == "bearer" and words.get("realm"):
            return "Bearer " + self._token(words)
        if self.credentials is None:
            raise self._refused("requires a user")
        return self.credentials.basic()

    def _token(self, words: Mapping[str, str]) -> str:
        query = urlencode({name: words[name] for name in ("service", "scope") if name in words})
        url = f"{words['realm']}?{query}"
        # The realm comes from the registry: without this check it could name a plain address and collect the password.
        if urlsplit(url).scheme not in {"http", "https"} or (urlsplit(url).scheme == "http" and not self.is_plain):
            raise self._refused(f"wants us to sign in at {foreign(words['realm'])}, which is not safe")
        headers = {"Authorization": self.credentials.basic()} if self.credentials else {}
        # The token service gets the user and password, never the token of the registry.
        signed, self._signed = self._signed, None
        try:
            response = self._retried("GET", url, None, headers)
        finally:
            self._signed = signed
        if response.status != http.client.OK:
            raise self._refused(f"sends us to {foreign(words['realm'])}, which answers {response.status}")
        try:
            document = json.loads(response.content)
            # The distribution spec allows both names; Azure's registry sends access_token alone.
            return str(document.get("token") or document["access_token"])
        except (ValueError, KeyError, AttributeError) as error:
            raise self._refused(f"sends us to {foreign(words['realm'])}, which gives no token") from error

    def _refused(self, what: str) -> ConfigurationError:
        who = f"user '{self.credentials.username}'" if self.credentials else "nobody"
        message = f"The artifact registry at {self.root} {what}; we are {who} there. Check "
        names = f"{settings.ARTIFACT_REGISTRY_USERNAME} and {settings.ARTIFACT_REGISTRY_PASSWORD}"
        return ConfigurationError(f"{message}{names}, and what the user may do.")
