# SPDX-License-Identifier: Apache-2.0
"""Runs one command with all that it starts, and keeps the end of its output; needs nothing of the package.

As a script it reads a line of JSON from standard input and answers with such lines. When standard input ends, because
whoever started it has died, the command and its children are ended. Workers of a cluster get its source.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from typing import Any, Callable, Mapping, NoReturn, Sequence

LIMIT = 1 << 20  # bytes of output that are kept: the last ones
GRACE = 2.0  # seconds between the request to end and the end by force
PR_SET_CHILD_SUBREAPER, THREADS = 36, "/proc/self/task"  # of Linux

PLACEHOLDER = re.compile(r"\{(json|skip|skip-file|onnx|worker)?\}")
FILE_ENDINGS = {"": ".cfg", "json": ".json", "skip-file": ".txt", "onnx": ".onnx"}  # of the placeholders' files


def fill_in(word: str, values: Mapping[str, str]) -> str:
    """Return a word of a command with what its placeholders stand for; `{}` is under the empty name."""
    return PLACEHOLDER.sub(lambda match: values.get(match[1] or "", match[0]), word)


def copy_output(stream: Any, path: str, end: bytearray) -> None:
    """Keep the end of an output, and write the beginning while it grows."""
    room = LIMIT
    with open(path, "wb", 0) as file:
        for chunk in iter(lambda: os.read(stream.fileno(), 1 << 16), b""):
            with contextlib.suppress(OSError):  # a full disk is no reason to lose the run
                file.write(chunk[:room])
            room = max(room - len(chunk), 0)
            end += chunk
            del end[:-LIMIT]


def end_all(process: Any) -> None:
    """End a command and what it started: by request first, then by force; then what has left its group, by generations."""
    if not hasattr(os, "killpg"):
        subprocess.call(["taskkill", "/T", "/F", "/PID", str(process.pid)], stdout=-3, stderr=-3)
        return
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGTERM)
        until = time.monotonic() + GRACE
        while time.monotonic() < until:
            process.poll()  # a process that has ended is there until somebody asks
            os.killpg(process.pid, 0)
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
    until = time.monotonic() + GRACE
    while time.monotonic() < until:
        orphans = [pid for pid in list_children() if pid != process.pid]
        if not orphans:
            return
        for pid in orphans:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def adopt_orphans() -> None:
    """Have what a command leaves behind become a child of this process (Linux)."""
    with contextlib.suppress(Exception):  # another system
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def list_children() -> list[int]:
    """Return the children of this process, where the system lists them."""
    found: list[int] = []
    for thread in os.listdir(THREADS) if os.path.isdir(THREADS) else ():
        with contextlib.suppress(OSError), open(os.path.join(THREADS, thread, "children"), encoding="ascii") as file:
            found += map(int, file.read().split())
    return found


def supervise_command(
    script: Sequence[str], words: Sequence[str], worker: str, log: str, is_wanted: Callable[[], bool]
) -> dict[str, Any]:
    """Run a command below a process of its own, this module as Python's `script`, which ends it when this process dies.

    It is ended when it is not wanted any more. Returns its `status`, or the `error` that kept it from running.
    """
    process: Any = subprocess.Popen(
        [sys.executable, "-I", "-S", *script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # an interrupt from the terminal reaches us alone
    )
    job = {"words": list(words), "worker": worker, "log": log}
    answers: dict[str, Any] = {}

    def read() -> None:
        with contextlib.suppress(OSError, ValueError):  # closed, as this process ends
            for line in process.stdout:
                with contextlib.suppress(ValueError):
                    answers.update(json.loads(line.decode("utf-8")))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        with contextlib.suppress(OSError):  # it was killed
            process.stdin.write(json.dumps(job).encode("utf-8") + b"\n")
            process.stdin.flush()
        while reader.is_alive() and is_wanted():
            reader.join(0.1)
    finally:
        with contextlib.suppress(OSError, ValueError):
            process.stdin.close()
        process.wait()
        reader.join()
        process.stdout.close()
    if "status" not in answers and "error" not in answers:  # somebody has killed the process in between
        if "pid" in answers and hasattr(os, "killpg"):
            with contextlib.suppress(OSError):
                os.killpg(answers["pid"], signal.SIGKILL)
        answers["status"] = -signal.SIGKILL
    return answers


def run_with_files(
    source: str, words: Sequence[str], files: Mapping[str, bytes], values: Mapping[str, str]
) -> dict[str, Any]:
    """Run a command on a worker of a cluster, on the placeholders' `files`.

    Returns `status` and `output`, or the `error` that kept it from running; and the `worker`.
    """
    import tempfile

    name, is_wanted = find_dask_task()
    with tempfile.TemporaryDirectory(prefix="amctcfg-") as folder:
        places = dict(values)
        for placeholder, contents in files.items():
            places[placeholder] = os.path.join(folder, "candidate" + FILE_ENDINGS[placeholder])
            with open(places[placeholder], "wb") as file:
                file.write(contents)
        log = os.path.join(folder, "output.txt")
        filled = [fill_in(word, places) for word in words]
        answers = supervise_command(["-c", source], filled, values["worker"], log, is_wanted)
        with contextlib.suppress(FileNotFoundError), open(log, "rb") as file:
            answers["output"] = file.read(LIMIT)
        return dict(answers, worker=name)


def find_dask_task() -> tuple[str, Callable[[], bool]]:
    """Return the name of this Dask worker, and what tells whether somebody still waits for its task."""
    from distributed import get_worker
    from distributed import worker as module

    thread: Any = vars(module)["thread_state"]
    worker, key = get_worker(), thread.key

    def is_wanted() -> bool:
        task = worker.state.tasks.get(key)
        is_closing = worker.status.name in ("closing", "closed")  # its scheduler is gone
        return not is_closing and task is not None and task.state in ("executing", "long-running")

    return str(worker.address), is_wanted


def main() -> NoReturn:
    """Run the command of one line of JSON to its end, and end what it leaves behind; end all that with standard input."""
    job: dict[str, Any] = json.loads(sys.stdin.buffer.readline().decode("utf-8"))
    processes: list[Any] = []
    starting = threading.Lock()

    def watch() -> None:
        while os.read(0, 1 << 10):
            pass
        with starting:  # nothing is started any more
            for process in processes:
                end_all(process)
            os._exit(1)

    def answer(**fields: Any) -> None:
        sys.stdout.write(json.dumps(fields) + "\n")
        sys.stdout.flush()

    adopt_orphans()
    threading.Thread(target=watch, daemon=True).start()
    with starting:
        try:
            process: Any = subprocess.Popen(
                job["words"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=dict(os.environ, AMCTCFG_WORKER=job["worker"]),
                start_new_session=True,
            )
        except OSError as error:
            answer(error=error.strerror or str(error))
            os._exit(0)
        processes.append(process)
    output = bytearray()
    reader = threading.Thread(target=copy_output, args=(process.stdout, job["log"], output), daemon=True)
    reader.start()
    try:
        answer(pid=process.pid)
        status = process.wait()
    finally:
        end_all(process)
    reader.join(GRACE)  # a process in a session of its own may hold the pipe for ever
    if len(output) == LIMIT:
        with contextlib.suppress(OSError), open(job["log"], "wb") as file:
            file.write(bytes(output))
    answer(status=status)
    os._exit(0)  # without waiting for the thread that watches


if __name__ == "__main__":
    main()
