"""
Runs in a pod: sends requests to a model until another version has responded for a while, and prints the results.

Some clients open a connection for each request, as most scripts do; others keep theirs, as gateways do.
"""

import collections
import http.client
import itertools
import json
import os
import sys
import threading
import time
import urllib.parse

URL = urllib.parse.urlsplit(os.environ["URL"])
BODY = os.environ["BODY"].encode()
UNTIL_VERSION = os.environ["UNTIL_VERSION"]
REQUESTS_AT_LEAST, AFTER_SWITCH_AT_LEAST = 3000, 800
DEADLINE = time.monotonic() + 150
HEADERS = {"Content-Type": "application/json"}

by_version: "collections.Counter[str]" = collections.Counter()
failures: "list[str]" = []
responded_at: "list[float]" = []
last_versions: "dict[str, str]" = {}
lock = threading.Lock()


def send(connection: http.client.HTTPConnection, name: str) -> bool:
    """One request; whether the connection can be used again."""
    try:
        connection.request("POST", "/invocations", BODY, HEADERS)
        response = connection.getresponse()
        content = response.read()
        version = response.headers["X-Model-Version"] or ""
        failed = "" if response.status == 200 and b"predictions" in content else f"{response.status}: {content[:99]!r}"
    except (OSError, http.client.HTTPException) as error:
        version, failed = "", f"{name}: {error!r}"
    with lock:
        if failed:
            failures.append(failed)
        else:
            by_version[version] += 1
            last_versions[name] = version
            responded_at.append(time.monotonic())
    return not failed and not response.will_close


def client(name: str, *, keeps: bool) -> None:
    connection = http.client.HTTPConnection(URL.hostname or "", URL.port, timeout=10)
    while not is_over():
        if not send(connection, name) or not keeps:
            connection.close()
    connection.close()


def is_over() -> bool:
    if time.monotonic() > DEADLINE:
        return True
    with lock:
        enough = sum(by_version.values()) >= REQUESTS_AT_LEAST and by_version[UNTIL_VERSION] >= AFTER_SWITCH_AT_LEAST
        return enough and set(last_versions.values()) == {UNTIL_VERSION}


def main() -> None:
    names = {f"keeps {number}": True for number in range(2)} | {f"new {number}": False for number in range(2)}
    threads = [threading.Thread(target=client, args=(name,), kwargs={"keeps": keeps}) for name, keeps in names.items()]
    for thread in threads:
        thread.start()
    while not responded_at:
        time.sleep(0.01)
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    for thread in threads:
        thread.join()
    gaps = [after - before for before, after in itertools.pairwise(responded_at)]
    results = {
        "requests": sum(by_version.values()) + len(failures),
        "failed": len(failures),
        "failures": failures[:5],
        "by_version": dict(by_version),
        "last_versions": sorted(last_versions.values()),
        "longest_silence": max(gaps),
        "seconds": responded_at[-1] - responded_at[0],
    }
    sys.stdout.write(json.dumps(results) + "\n")


main()
