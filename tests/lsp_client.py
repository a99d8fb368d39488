# SPDX-License-Identifier: Apache-2.0
"""A client of the language server, over real pipes."""

import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path

import amctcfg

INSTALLED = Path(amctcfg.__file__).parent.parent


class Client:
    """A session. `request` waits for the answer; notifications that come meanwhile are kept."""

    def __init__(self, python=sys.executable, options=None, capabilities=None, initialize=True, command=None):
        environment = dict(os.environ, PYTHONPATH=str(INSTALLED), PYTHONWARNINGS="ignore")
        command = command or [python, "-m", "amctcfg", "lsp"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
        )
        self.messages = queue.Queue()
        self.notifications = []
        self.errors = []
        self.count = 0
        self.versions = {}
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=self._drain, daemon=True).start()
        if initialize:
            self.capabilities = self.request(
                "initialize", {"capabilities": capabilities or {}, "initializationOptions": options or {}}
            )
            self.notify("initialized", {})

    def _read(self):
        stream = self.process.stdout
        while True:
            length = None
            line = stream.readline()
            while line not in (b"", b"\r\n"):
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
                line = stream.readline()
            if length is None:
                self.messages.put(None)
                return
            self.messages.put(json.loads(stream.read(length).decode("utf-8")))

    def _drain(self):
        for line in self.process.stderr:
            self.errors.append(line.decode("utf-8", "replace"))

    def raw(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, message):
        body = json.dumps(dict({"jsonrpc": "2.0"}, **message)).encode("utf-8")
        self.raw(b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def notify(self, method, params):
        self.send({"method": method, "params": params})

    def next(self, timeout=30):
        message = self.messages.get(timeout=timeout)
        assert message is not None, "the server has ended: " + "".join(self.errors)
        return message

    def ask(self, method, params):
        """The answer to a request, with its result or error."""
        self.count += 1
        self.send({"id": self.count, "method": method, "params": params})
        while True:
            message = self.next()
            if message.get("id") == self.count and "method" not in message:
                return message
            self.notifications.append(message)

    def request(self, method, params):
        answer = self.ask(method, params)
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, uri, text):
        self.versions[uri] = 1
        document = {"uri": uri, "languageId": "textproto", "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})

    def change(self, uri, changes):
        self.versions[uri] += 1
        document = {"uri": uri, "version": self.versions[uri]}
        self.notify("textDocument/didChange", {"textDocument": document, "contentChanges": changes})

    def diagnostics(self, uri, version=None):
        """The diagnostics published for a version."""
        wanted = self.versions[uri] if version is None else version
        kept = [m for m in self.notifications if published(m, uri, wanted)]
        while not kept:
            message = self.next()
            self.notifications.append(message)
            kept = [message] if published(message, uri, wanted) else []
        return kept[-1]["params"]["diagnostics"]

    def at(self, uri, method, line, character, **more):
        params = dict({"textDocument": {"uri": uri}, "position": {"line": line, "character": character}}, **more)
        return self.request("textDocument/" + method, params)

    def close(self):
        """Shut down; the exit status."""
        self.request("shutdown", None)
        self.notify("exit", None)
        return self.process.wait(timeout=30)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()


def published(message, uri, version):
    if message.get("method") != "textDocument/publishDiagnostics":
        return False
    params = message["params"]
    return params["uri"] == uri and params.get("version") == version
