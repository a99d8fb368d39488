# SPDX-License-Identifier: Apache-2.0
"""From arguments to exit status, whatever happens."""

from __future__ import annotations

import os
import sys
from typing import IO, NoReturn, Sequence

from ..diagnostics.diagnostic import ConfigError
from .arguments import parse_arguments
from .console import EXIT_FAILURE, EXIT_FINDINGS, EXIT_INTERRUPTED, EXIT_OK, Console, Failure, open_standard_streams

READER_GONE = 141


def main() -> NoReturn:
    stdin, stdout, stderr = open_standard_streams()
    try:
        status = run(sys.argv[1:], stdin, stdout, stderr)
        if stdout is not None:
            stdout.flush()
    except BrokenPipeError:  # the reader of our output has gone; nobody is left to report to
        os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())
        status = READER_GONE
    except OSError as error:  # a full disk, a closed descriptor
        if stderr is not None:
            stderr.write("amctcfg: can't write the output: {}\n".format(error.strerror or error))
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        status = EXIT_FAILURE
    except KeyboardInterrupt:
        status = EXIT_INTERRUPTED
    if status == EXIT_INTERRUPTED:
        import signal

        signal.signal(signal.SIGINT, signal.SIG_IGN)  # pressed again as Python ends, it would change the status
    sys.exit(status)


def run(argv: Sequence[str], stdin: IO[str] | None, stdout: IO[str] | None, stderr: IO[str] | None) -> int:
    """Run a command. Results go to `stdout`, notes and other diagnostics to `stderr`."""
    console = Console(stdin, stdout, stderr)
    try:
        if stdout is None:
            raise Failure("standard output is closed")
        arguments = parse_arguments(list(argv), console)
        return arguments.command(arguments, console) or EXIT_OK
    except SystemExit as exit_:  # of the parser, which has reported everything
        return int(exit_.code or 0)
    except ConfigError as error:
        console.write_diagnostics(error.diagnostics, error.text)
        return EXIT_FINDINGS
    except Failure as failure:
        console.report_failure(failure)
    except ImportError as error:
        console.complain(str(error))
    except BrokenPipeError:
        raise
    except OSError as error:
        console.complain("can't read or write {}: {}".format(error.filename or "a file", error.strerror or error))
    return EXIT_FAILURE
