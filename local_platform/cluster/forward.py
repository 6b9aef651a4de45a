"""
Keeps a port of this machine forwarded to a Service while its pods change. Standard library only.

``kubectl port-forward`` chooses one pod at its start and stays with it. This process restarts it when it ends, and
when the Service selects other pods, as that of a model does when a new version takes the traffic.
"""

import argparse
import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time

LOOPBACK = "127.0.0.1"
PAUSE_SECONDS = 1.0


class Forward:
    """One port and one Service."""

    def __init__(self, namespace: str, service: str, port: int, target: int) -> None:
        self._namespace = namespace
        self._service = service
        self._ports = f"{port}:{target}"
        self._pods = ""
        """The Service's selector at the last change; empty before there is a Service."""
        self._child: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        """Forward until the process is ended."""
        while True:
            watch = self._watch()
            try:
                self._follow(watch)
            finally:
                watch.kill()
                watch.wait()
            time.sleep(PAUSE_SECONDS)

    def _watch(self) -> "subprocess.Popen[bytes]":
        """One line of output for each change of the Service; waits for a Service that is not there yet."""
        words = ["kubectl", "get", "services", "--namespace", self._namespace, "--watch"]
        words += ["--field-selector", f"metadata.name={self._service}"]
        return subprocess.Popen(
            [*words, "--output", 'jsonpath={.spec.selector}{"\\n"}'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )

    def _follow(self, watch: "subprocess.Popen[bytes]") -> None:
        """Forward until the watch ends."""
        # The API server ends each watch after a while, half an hour to an hour by default.
        if watch.stdout is None:
            return
        with selectors.DefaultSelector() as selector:
            selector.register(watch.stdout, selectors.EVENT_READ)
            while watch.poll() is None:
                if selector.select(PAUSE_SECONDS):
                    self._switch_to(_last_line(os.read(watch.stdout.fileno(), 65_536)))
                # kubectl port-forward ends when its pod does.
                if self._pods and (self._child is None or self._child.poll() is not None):
                    self._start()

    def _switch_to(self, pods: str) -> None:
        if pods and pods != self._pods:
            self._pods = pods
            if self._child is not None:
                self._child.terminate()
                self._child.wait()
            self._start()

    def _start(self) -> None:
        words = ["kubectl", "port-forward", "--namespace", self._namespace, "--address", LOOPBACK]
        print(f"forwarding {self._ports} to {self._service} of {self._pods}", flush=True)
        self._child = subprocess.Popen([*words, f"service/{self._service}", self._ports], stdin=subprocess.DEVNULL)


def _last_line(text: bytes) -> str:
    lines = text.decode(errors="replace").split()
    return lines[-1] if lines else ""


def main() -> int:
    """Read the command line, forward until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m local_platform.cluster.forward")
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--service", required=True)
    parser.add_argument("--port", type=int, required=True, help="of this machine")
    parser.add_argument("--target", type=int, required=True, help="of the Service")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with contextlib.suppress(KeyboardInterrupt):
        Forward(given.namespace, given.service, given.port, given.target).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
