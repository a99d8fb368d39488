# SPDX-License-Identifier: Apache-2.0
"""Commands on the workers of a Dask cluster, which need nothing of this package: they get files and send output back."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import logging
from typing import Any, Mapping, Sequence

from . import worker as worker_module
from .commands import CommandError, Ended

TIMEOUT = 4  # seconds until a scheduler that does not answer is not there, or is gone
CALL = "(lambda names: (exec(source, names), names['run_with_files'](source, *arguments))[1])({'__name__': 'amctcfg_worker'})"


class ClusterCommands:
    """Runs commands on a Dask cluster, with Dask's own configuration, which repeats the run of a worker that dies.

    Raises `CommandError` where the package is not installed, or no scheduler is at the address.
    """

    def __init__(self, address: str) -> None:
        try:
            import distributed as package
        except ImportError:
            raise CommandError(
                'a cluster needs the package distributed, which is not installed: pip install "amctcfg[dask]"'
            ) from None
        distributed: Any = package  # only a part of it has types
        self._address: str = address
        self._timed_out: Any = distributed.TimeoutError
        self._source: str = inspect.getsource(worker_module)
        self._numbers = itertools.count()
        self._pending: list[Any] = []
        self._stopped: bool = False
        for name in ("distributed", "distributed.client"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what happened is said in our own sentence
        try:
            asyncio.run(check_scheduler(distributed, address))
            self._client: Any = distributed.Client(address, timeout=TIMEOUT, set_as_default=False)
            self.has_workers: bool = bool(self._client.nthreads())
        except Exception as error:
            raise CommandError("there is no Dask scheduler at {}: {}".format(address, headline_of(error))) from None

    def fill_in(self, words: Sequence[str], values: Mapping[str, str]) -> list[str]:
        """Return a command as it is shown: where its files will lie is up to the worker."""
        return list(words)

    def run(self, words: Sequence[str], files: Mapping[str, bytes], values: Mapping[str, str], log: str) -> Ended:
        try:
            answers = self._wait_for({"source": self._source, "arguments": (list(words), dict(files), dict(values))})
        except Exception as error:
            if self._stopped:
                raise CommandError("the search was stopped") from None
            if self._client.status != "running":
                raise CommandError("the Dask scheduler at {} is gone".format(self._address)) from None
            raise CommandError("the cluster can't run it: {}".format(headline_of(error))) from None
        if self._stopped:
            raise CommandError("the search was stopped")
        if "error" in answers:
            raise CommandError("the worker {} can't run '{}': {}".format(answers["worker"], words[0], answers["error"]))
        output = answers.get("output", b"")
        with open(log, "wb") as file:
            file.write(output)
        return Ended(answers["status"], output, "worker {}".format(answers["worker"]))

    def _wait_for(self, names: Mapping[str, Any]) -> Any:
        key = "amctcfg-{}-{}".format(self._client.id, next(self._numbers))
        future = self._client.submit(eval, CALL, names, key=key, pure=False)
        self._pending.append(future)
        try:
            while True:
                try:
                    return future.result(timeout=TIMEOUT)
                except self._timed_out:
                    if future.done():  # it ended just now, or is what has timed out itself
                        return future.result()
                    if self._client.status == "closed":  # what it was given as it gave its scheduler up waits for ever
                        raise
        finally:
            self._pending.remove(future)

    def stop(self) -> None:
        """End all commands; their workers notice that nobody waits for them."""
        self._stopped = True
        for future in list(self._pending):
            future.cancel()
        self._client.close()


async def check_scheduler(distributed: Any, address: str) -> None:
    """Raise what is wrong where no scheduler answers: a client might wait for ever, or complain when it is given up."""
    try:
        kind = await asyncio.wait_for(ask_type(distributed, address), TIMEOUT + 1)
    except asyncio.TimeoutError:
        raise TimeoutError("no answer after {} s".format(TIMEOUT + 1)) from None
    except MemoryError:  # the first bytes were taken for a length: they are a web page's, perhaps
        raise ValueError("what answers there does not speak Dask's protocol") from None
    if kind != "Scheduler":
        raise ValueError("what answers there is a {}".format(kind))


async def ask_type(distributed: Any, address: str) -> Any:
    """Return what a Dask process at an address is."""
    distributed.comm.resolve_address(address)
    security = distributed.Security().get_connection_args("client")
    comm = await distributed.comm.connect(address, timeout=TIMEOUT, **security)
    try:
        await comm.write({"op": "identity", "reply": True})
        return (await comm.read())["type"]
    finally:
        comm.abort()


def headline_of(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
