# SPDX-License-Identifier: Apache-2.0
"""The server: frames in, answers and diagnostics out, until the end of the input.

One thread reads frames, so that a request can be cancelled before its turn; the other answers them in order. A file is
checked when nothing has come for a moment, so that typing is never waited for.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
import traceback
from typing import IO, Any, Callable

from .. import __version__
from ..documents.document import Document
from ..workspace.failure import Failure
from ..workspace.workspace import Options
from . import protocol
from .actions import format_stretch, list_actions
from .analysis import Analysis, EditorWorkspace, diagnostic_of, read_settings
from .completion import complete
from .hover import hover, list_inlay_hints
from .navigation import LEGEND, encode_tokens, find_definition, find_references, list_folding_ranges, list_symbols
from .protocol import END_OF_INPUT, ResponseError, read_frame, write_frame
from .text import ENCODINGS, Text

DEBOUNCE = 0.15  # seconds without an edit before a file is checked
TYPED = 2.0  # seconds without an edit before a problem that comes from typing is shown
WATCH = 1.0  # seconds between two looks at the files of models
NEVER = float("inf")

GRACE_AFTER_INPUT = 2.0  # seconds that work may go on when the input has ended

BROKEN, LOADED = object(), object()

PARAMETERS = (KeyError, TypeError, AttributeError, ValueError, OverflowError)  # what parameters of another form raise

WARNING, INFO = 2, 3  # types of messages


def serve(stdin: IO[bytes], stdout: IO[bytes]) -> int:
    """Serve a client until it leaves. Gives the exit status: 0 after `shutdown`, else 1."""
    printed, sys.stdout = sys.stdout, sys.stderr  # nothing but frames may get into the output
    server = Server(stdin, stdout)
    try:
        return server.run()
    except (BrokenPipeError, ValueError):
        return 1  # the client has gone
    finally:
        server.ended.set()
        sys.stdout = printed


class File:
    """An open file: its text and version, what was found in it, and when its diagnostics are due."""

    def __init__(self, uri: str, text: Text, version: Any) -> None:
        self.uri: str = uri
        self.text: Text = text
        self.opened: Text = text
        self.version: Any = version
        self.due: float = time.monotonic() + DEBOUNCE / 3
        self.problem_due: float = NEVER  # when to say why it can't be looked at on its model
        self.analysis: Analysis | None = None
        self.earlier: Document[Any] | None = None  # the last configuration that could be read

    def change(self, text: Text, version: Any) -> None:
        self.text, self.version = text, version
        self.due = time.monotonic() + DEBOUNCE
        self.problem_due = NEVER
        self.forget()

    def forget(self) -> None:
        if self.analysis is not None:
            self.earlier = self.analysis.document
        self.analysis = None


class Server:
    """A session with one client."""

    def __init__(self, stdin: IO[bytes], stdout: IO[bytes]) -> None:
        self.stdin: IO[bytes] = stdin
        self.stdout: IO[bytes] = stdout
        self.incoming: queue.Queue[Any] = queue.Queue()
        self.waiting: dict[Any, bool] = {}  # the requests in the queue, by id, and whether each was cancelled
        self.ended: threading.Event = threading.Event()
        self.files: dict[str, File] = {}
        self.encoding: str = ENCODINGS[0]
        self.snippets: bool = False
        self.initialized: bool = False
        self.shut_down: bool = False
        self.watched: float = time.monotonic()
        self.configure({})

    # ------------------------------------------------------------ the loop

    def run(self) -> int:
        threading.Thread(target=self.read, daemon=True).start()
        while True:
            try:
                message = self.incoming.get(timeout=self.measure_patience())
            except queue.Empty:
                self.at_rest()
                continue
            if message is LOADED:
                self.recheck()
                continue
            is_exit = isinstance(message, dict) and message.get("method") == "exit" and "id" not in message
            if is_exit or message is END_OF_INPUT or message is BROKEN:
                return 0 if self.shut_down and message is not BROKEN else 1
            self.handle(message)

    def read(self) -> None:
        """Put frames into the queue; runs in a thread of its own."""
        while True:
            try:
                message = read_frame(self.stdin)
            except ResponseError as error:
                message = error
            except (OSError, ValueError):
                message = BROKEN
            if message is END_OF_INPUT or message is BROKEN:
                self.incoming.put(message)
                if not self.ended.wait(GRACE_AFTER_INPUT):  # the client has gone: nobody waits for what is being done
                    os._exit(0 if self.shut_down and message is END_OF_INPUT else 1)
                return
            if isinstance(message, dict) and message.get("method") == "$/cancelRequest":
                params = message.get("params")
                identifier = params.get("id") if isinstance(params, dict) else None
                if isinstance(identifier, (int, str)) and identifier in self.waiting:
                    self.waiting[identifier] = True
                continue
            if isinstance(message, dict) and isinstance(message.get("id"), (int, str)):
                self.waiting[message["id"]] = False
            self.incoming.put(message)

    def measure_patience(self) -> float:
        """Return how long to wait for the next message before a file is due."""
        due = [due for file in self.files.values() for due in (file.due, file.problem_due)]
        return max(min([*due, self.watched + WATCH]) - time.monotonic(), 0)

    def at_rest(self) -> None:
        """Publish what is due; look for models that have changed."""
        now = time.monotonic()
        for file in list(self.files.values()):
            if file.due <= now:
                self.publish(file)
                return  # what has come meanwhile is first
            if file.problem_due <= now:
                file.problem_due = NEVER
                self.show_problem(self.analyse(file).problem)
        if now >= self.watched + WATCH:
            self.watched = now
            analyses = [file.analysis for file in self.files.values() if file.analysis is not None]
            self.workspace.keep({analysis.file.model.path for analysis in analyses if analysis.file.model is not None})
            if self.workspace.list_changed():
                self.recheck()

    def recheck(self) -> None:
        """Look at all files again: a model or the settings have changed."""
        for file in self.files.values():
            file.forget()
            file.due = time.monotonic()

    def publish(self, file: File) -> None:
        file.due = NEVER
        try:
            analysis = self.analyse(file)
            found = [diagnostic_of(analysis, diagnostic) for diagnostic in analysis.diagnostics]
        except Exception:
            traceback.print_exc(file=sys.stderr)
            return
        if analysis.is_waiting:
            return  # until its model has been read
        if analysis.problem is not None and file.text is not file.opened:
            file.problem_due = time.monotonic() + TYPED
        else:
            self.show_problem(analysis.problem)
        params = {"uri": file.uri, "diagnostics": found}
        if file.version is not None:
            params["version"] = file.version
        self.notify("textDocument/publishDiagnostics", params)

    def analyse(self, file: File) -> Analysis:
        if file.analysis is None:
            if file.earlier is None and file.text is not file.opened:  # edited before anybody looked
                file.earlier = Analysis(file.opened, file.uri, self.workspace).document
            file.analysis = Analysis(file.text, file.uri, self.workspace, file.earlier)
        return file.analysis

    def log(self, text: str) -> None:
        self.notify("window/logMessage", {"type": INFO, "message": text})

    def show_problem(self, problem: str | None) -> None:
        """Say once why a file can't be looked at on its model."""
        if problem is not None and problem not in self.problems:
            self.problems.add(problem)
            self.notify("window/showMessage", {"type": WARNING, "message": "amctcfg: " + problem})

    def notify(self, method: str, params: Any) -> None:
        write_frame(self.stdout, {"method": method, "params": params})

    def refuse(self, identifier: Any, error: ResponseError) -> None:
        code, message = error.args
        write_frame(self.stdout, {"id": identifier, "error": {"code": code, "message": message}})

    # ------------------------------------------------------------ messages

    def handle(self, message: Any) -> None:
        if isinstance(message, ResponseError):
            self.refuse(None, message)
            return
        if not isinstance(message, dict) or not isinstance(message.get("method"), str):
            if not (isinstance(message, dict) and ("result" in message or "error" in message)):  # answers are ignored
                self.refuse(None, ResponseError(protocol.INVALID_REQUEST, "a message is an object with a method"))
            return
        if "id" in message:
            self.handle_request(message)
            return
        try:
            self.handle_notification(message["method"], message.get("params"))
        except PARAMETERS as error:  # a bad notification has no answer
            sys.stderr.write("amctcfg lsp: {!a} is ignored: {!a}\n".format(message["method"][:80], error))
        except Exception:
            traceback.print_exc(file=sys.stderr)

    def handle_request(self, message: dict[str, Any]) -> None:
        identifier = message["id"]
        is_cancelled = isinstance(identifier, (int, str)) and self.waiting.pop(identifier, False)
        try:
            result = self.answer(message["method"], message.get("params"), is_cancelled)
        except ResponseError as error:
            self.refuse(identifier, error)
        except PARAMETERS as error:
            sys.stderr.write("amctcfg lsp: {!a} has parameters that don't fit\n".format(message["method"][:80]))
            words = "the parameters don't fit: {!r}".format(error)
            self.refuse(identifier, ResponseError(protocol.INVALID_PARAMS, words))
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            self.refuse(identifier, ResponseError(protocol.INTERNAL_ERROR, repr(error)))
        else:
            write_frame(self.stdout, {"id": identifier, "result": result})

    def answer(self, method: str, params: Any, is_cancelled: bool) -> Any:
        if is_cancelled:
            raise ResponseError(protocol.REQUEST_CANCELLED, "the request was cancelled")
        if not self.initialized and method != "initialize":
            raise ResponseError(protocol.NOT_INITIALIZED, "the session begins with initialize")
        if method not in REQUESTS:
            raise ResponseError(protocol.METHOD_NOT_FOUND, "there is no method {!r}".format(method))
        if self.shut_down:
            raise ResponseError(protocol.INVALID_REQUEST, "the session has been shut down")
        if self.initialized and method == "initialize":
            raise ResponseError(protocol.INVALID_REQUEST, "the session has begun already")
        return REQUESTS[method](self, params)

    def handle_notification(self, method: str, params: Any) -> None:
        if not self.initialized or self.shut_down:
            return
        if method == "textDocument/didOpen":
            document = params["textDocument"]
            if not isinstance(document["text"], str):
                raise ValueError("a text is a string")
            text = Text(document["text"], self.encoding)
            self.files[document["uri"]] = File(document["uri"], text, document.get("version"))
        elif method == "textDocument/didChange":
            file = self.files[params["textDocument"]["uri"]]
            file.change(file.text.apply_changes(params["contentChanges"]), params["textDocument"].get("version"))
        elif method == "textDocument/didClose":
            file = self.files.pop(params["textDocument"]["uri"])
            self.notify("textDocument/publishDiagnostics", {"uri": file.uri, "diagnostics": []})
        elif method == "workspace/didChangeConfiguration":
            self.configure(params.get("settings"))
        elif method == "workspace/didChangeWatchedFiles":
            self.recheck()

    def configure(self, values: Any) -> None:
        options, wants_hints = read_settings(values)
        self.wants_hints: bool = wants_hints
        self.problems: set[str] = set()  # that the client knows
        try:
            self.workspace: EditorWorkspace = self.make_workspace(options)
        except Failure as failure:  # no flavour has the name
            self.workspace = self.make_workspace(options._replace(flavour=None))
            self.show_problem(str(failure))
        self.recheck()

    def make_workspace(self, options: Options) -> EditorWorkspace:
        return EditorWorkspace(options, self.log, lambda: self.incoming.put(LOADED))

    # ------------------------------------------------------------ requests

    def initialize(self, params: Any) -> Any:
        params = params if isinstance(params, dict) else {}
        capabilities = params.get("capabilities") or {}
        offered = (capabilities.get("general") or {}).get("positionEncodings") or []
        self.encoding = next((one for one in offered if one in ENCODINGS), ENCODINGS[0])
        item = ((capabilities.get("textDocument") or {}).get("completion") or {}).get("completionItem") or {}
        self.snippets = item.get("snippetSupport") is True
        self.configure(params.get("initializationOptions"))
        self.initialized = True
        return {
            "capabilities": capabilities_of(self.encoding),
            "serverInfo": {"name": "amctcfg", "version": __version__},
        }

    def shutdown(self, params: Any) -> None:
        self.shut_down = True

    def open_file(self, params: Any) -> Analysis:
        uri = params["textDocument"]["uri"]
        if uri not in self.files:
            raise ResponseError(protocol.REQUEST_FAILED, "this file is not open: {}".format(uri))
        return self.analyse(self.files[uri])

    def find_place(self, params: Any) -> tuple[Analysis, int]:
        """Return the file and the offset that a request is about."""
        analysis = self.open_file(params)
        return analysis, analysis.text.offset(params["position"])

    def find_stretch(self, params: Any) -> tuple[Analysis, int, int]:
        analysis = self.open_file(params)
        start, end = (analysis.text.offset(params["range"][side]) for side in ("start", "end"))
        return analysis, start, end

    def list_hints(self, params: Any) -> Any:
        stretch = self.find_stretch(params)
        return list_inlay_hints(*stretch) if self.wants_hints else []

    def rename(self, params: Any) -> Any:
        words = "names of layers and types are the model's: rename the node in the model, then change them here"
        raise ResponseError(protocol.REQUEST_FAILED, words)


REQUESTS: dict[str, Callable[[Server, Any], Any]] = {
    "initialize": Server.initialize,
    "shutdown": Server.shutdown,
    "textDocument/completion": lambda server, params: complete(*server.find_place(params), server.snippets),
    "textDocument/hover": lambda server, params: hover(*server.find_place(params)),
    "textDocument/definition": lambda server, params: find_definition(*server.find_place(params)),
    "textDocument/references": lambda server, params: find_references(*server.find_place(params)),
    "textDocument/documentSymbol": lambda server, params: list_symbols(server.open_file(params)),
    "textDocument/foldingRange": lambda server, params: list_folding_ranges(server.open_file(params)),
    "textDocument/inlayHint": Server.list_hints,
    "textDocument/semanticTokens/full": lambda server, params: encode_tokens(server.open_file(params)),
    "textDocument/semanticTokens/range": lambda server, params: encode_tokens(*server.find_stretch(params)),
    "textDocument/codeAction": lambda server, params: list_actions(
        *server.find_stretch(params), (params.get("context") or {}).get("only")
    ),
    "textDocument/formatting": lambda server, params: format_stretch(server.open_file(params)),
    "textDocument/rangeFormatting": lambda server, params: format_stretch(*server.find_stretch(params)),
    "textDocument/prepareRename": Server.rename,
    "textDocument/rename": Server.rename,
}


def capabilities_of(encoding: str) -> dict[str, Any]:
    return {
        "positionEncoding": encoding,
        "textDocumentSync": {"openClose": True, "change": 2, "save": False},
        "completionProvider": {"triggerCharacters": ['"', "'", ":", "/", "."]},
        "hoverProvider": True,
        "definitionProvider": True,
        "referencesProvider": True,
        "documentSymbolProvider": True,
        "foldingRangeProvider": True,
        "inlayHintProvider": True,
        "semanticTokensProvider": {"legend": LEGEND, "full": True, "range": True},
        "codeActionProvider": {"codeActionKinds": ["quickfix", "refactor", "source.fixAll.amctcfg"]},
        "documentFormattingProvider": True,
        "documentRangeFormattingProvider": True,
        "renameProvider": {"prepareProvider": True},
    }
