"""Runs in a pod: sends requests to a served model while it is switched, and prints counts, failures and gaps."""

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
responded_at: "list[float]" = []
switched_at: "list[float]" = []
lock = threading.Lock()


def send(connection: http.client.HTTPConnection) -> bool:
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
        responded_at.append(time.monotonic())
        if len(versions) > 1 and not switched_at:
            switched_at.append(responded_at[-1])
    # A server that shuts down announces the end of the connection; that is no failure.
    return not response.will_close


def is_over() -> bool:
    """Whether another version has responded for ten seconds, or the time is up."""
    now = time.monotonic()
    return now > DEADLINE or bool(switched_at and now > switched_at[0] + AFTER_SWITCH_SECONDS)


def client(*, keeps: bool) -> None:
    """One client: one connection for all requests, as gateways keep it, or one for each request."""
    connection = http.client.HTTPConnection(URL.hostname or "", URL.port, timeout=10)
    while not is_over():
        if not send(connection) or not keeps:
            connection.close()
        time.sleep(0.01)
    connection.close()


threads = [threading.Thread(target=client, kwargs={"keeps": number % 2 == 0}) for number in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
gaps = [after - before for before, after in itertools.pairwise(sorted(responded_at))]
print(
    json.dumps(
        {
            "requests": sum(versions.values()) + len(failures),
            "failed": len(failures),
            "failures": failures[:3],
            "versions": dict(versions),
            "longest_silence": max(gaps, default=0.0),
        }
    )
)
