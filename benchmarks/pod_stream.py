"""Runs in a pod: asks a served model without pause while it is switched, and says what it saw."""

import collections
import http.client
import itertools
import json
import os
import threading
import time
import urllib.parse

URL = urllib.parse.urlsplit(os.environ["STREAM_URL"])
BODY = os.environ["STREAM_BODY"].encode()
DEADLINE = time.monotonic() + float(os.environ["STREAM_SECONDS"])
AFTER_SWITCH_SECONDS = 10.0

versions: "collections.Counter[str]" = collections.Counter()
failures: "list[str]" = []
answered: "list[float]" = []
switched: "list[float]" = []
lock = threading.Lock()


def ask(connection: http.client.HTTPConnection) -> bool:
    """One request; whether the connection can be used again."""
    try:
        connection.request("POST", "/invocations", BODY, {"Content-Type": "application/json"})
        response = connection.getresponse()
        content = response.read()
        failed = "" if response.status == 200 else f"{response.status}: {content[:99]!r}"
        version = response.headers["X-Model-Version"] or ""
    except (OSError, http.client.HTTPException) as error:
        failed, version = repr(error), ""
    with lock:
        if failed:
            failures.append(failed)
            return False
        versions[version] += 1
        answered.append(time.monotonic())
        if len(versions) > 1 and not switched:
            switched.append(answered[-1])
    return not response.will_close


def is_over() -> bool:
    """A while after another version answered, or when time is up."""
    now = time.monotonic()
    return now > DEADLINE or bool(switched and now > switched[0] + AFTER_SWITCH_SECONDS)


def client(*, keeps: bool) -> None:
    """One client: with a connection that it keeps, as gateways do, or with one for each request."""
    connection = http.client.HTTPConnection(URL.hostname or "", URL.port, timeout=10)
    while not is_over():
        if not ask(connection) or not keeps:
            connection.close()
        time.sleep(0.01)
    connection.close()


threads = [threading.Thread(target=client, kwargs={"keeps": number % 2 == 0}) for number in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
silences = [after - before for before, after in itertools.pairwise(sorted(answered))]
print(
    json.dumps(
        {
            "requests": sum(versions.values()) + len(failures),
            "failed": len(failures),
            "failures": failures[:3],
            "versions": dict(versions),
            "longest_silence": max(silences, default=0.0),
        }
    )
)
