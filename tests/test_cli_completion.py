# SPDX-License-Identifier: Apache-2.0
"""Completion: what is offered, and what happens at a real TAB in bash, zsh and fish, whatever layers are called."""

import os
import shutil
import subprocess
import sys
import time

import pytest

from amctcfg.flavours import FLAVOURS

from .conftest import THOROUGH, thorough
from .test_cli_commands import ENVIRONMENT

LAYERS = "name,type\n/stem/conv1,Conv2D\n/stem/conv2,Conv2D\n/head/fc,MatMul\n/head/relu,Relu\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "l.csv").write_text(LAYERS, encoding="utf-8")
    (tmp_path / "q.cfg").write_text("# amctcfg: graph=l.csv\n", encoding="utf-8")
    return tmp_path


def offered(cli, *words):
    """What is offered in place of the last word."""
    return [line.partition("\t")[0] for line in cli("completion", "query", "--", *words).out.splitlines()]


def test_candidates_have_descriptions(folder, cli):
    assert "check\treport every error and warning of configurations\n" in cli("completion", "query", "--", "ch").out
    assert cli("completion", "query", "--", "explain", "q.cfg", "/head/f").out == "/head/fc\tMatMul\n"
    assert "--graph\tthe model" in cli("completion", "query", "--", "check", "--gr").out
    assert "partial-override\t" in cli("completion", "query", "--", "codes", "par").out


def test_only_what_fits_is_offered(folder, cli):
    assert offered(cli, "ch") == ["check"]
    assert offered(cli, "explain", "q.cfg", "") == ["/stem/conv1", "/stem/conv2", "/head/fc"]  # relu can't be quantized
    assert offered(cli, "suggest", "q.cfg", "--skip", "/st") == ["/stem/conv1", "/stem/conv2"]
    assert offered(cli, "check", "") == []  # a file, which the shell knows


def test_ends_of_paths_are_offered_where_nothing_else_fits(folder, cli):
    assert offered(cli, "explain", "q.cfg", "conv") == ["conv1", "conv2"]
    assert offered(cli, "explain", "q.cfg", "f") == ["fc"]
    (folder / "l.csv").write_text("name,type\n/a/conv,Conv2D\n/b/conv,Conv2D\n", encoding="utf-8")
    assert offered(cli, "explain", "q.cfg", "conv") == []  # `explain conv` would be ambiguous


@pytest.mark.parametrize("words", [["--flavour=py"], ["--flavour", "=", "py"], ["--flavour", "py"]])
def test_values_behind_a_sign(folder, cli, words):
    lead = "--flavour=" if len(words) == 1 else ""
    expected = [lead + name for name in FLAVOURS if name.startswith("py")]
    assert offered(cli, "check", "q.cfg", *words) == expected != []
    everything = ["check", "q.cfg", "--rules", "="]
    assert offered(cli, *everything) == ["documented", "toolkit"]


def test_a_shell_that_is_not_known_or_not_given(cli):
    done = cli("completion", "tcsh")
    assert done.status == 2 and "query" not in done.err and "fish" in done.err
    done = cli("completion")
    assert done.status == 2 and "required: SHELL;" in done.err


# ---------------------------------------------------------------- a real TAB

WRAPPER = """\
#!/bin/sh
if [ "$1" = completion ]; then exec "{python}" -m amctcfg "$@"; fi
printf '%s\\n' "$@" > argv.part && mv argv.part argv
"""

START = {
    "bash": (["--norc", "--noprofile", "-i"], 'eval "$(amctcfg completion bash)"'),
    "zsh": (["-f", "-i"], 'autoload -U compinit; compinit -u -D; eval "$(amctcfg completion zsh)"'),
    "fish": (["--no-config", "-i"], "amctcfg completion fish | source"),
}

# A TAB starts a Python: usually bash has a few.
SHELLS = ["bash", *thorough(["zsh", "fish"])]

HOSTILE = [
    "$(touch PWNED)",
    "`touch PWNED`",
    "x;touch PWNED",
    "${IFS}touch${IFS}PWNED",
    "a b'c\"d\\e",
    "<(touch PWNED)",
    "*?[a]{1,2}",
    "-n",
    "conv#1&!1",
]


class Terminal:
    """A shell on a terminal of its own."""

    def __init__(self, shell, folder):
        import pty

        path = shutil.which(shell)
        if path is None:
            pytest.skip("{} is not installed".format(shell))
        flags, script = START[shell]
        (folder / "bin").mkdir()
        (folder / "bin" / "amctcfg").write_text(WRAPPER.format(python=sys.executable), encoding="utf-8")
        (folder / "bin" / "amctcfg").chmod(0o755)
        home = folder / "home"
        home.mkdir()
        environment = dict(ENVIRONMENT, PATH="{}{}{}".format(folder / "bin", os.pathsep, os.environ["PATH"]))
        environment.update(HOME=str(home), XDG_CONFIG_HOME=str(home), XDG_DATA_HOME=str(home), TERM="dumb", PS1="> ")
        self.process, self.terminal = pty.fork()
        if not self.process:
            os.chdir(str(folder))
            os.execve(path, [path, *flags], environment)
        self.folder = folder
        self.screen = b""
        self.type(script + "; echo REA''DY\r")
        self.wait(lambda: b"READY" in self.screen)

    def type(self, text):
        os.write(self.terminal, text.encode("utf-8"))

    def wait(self, condition):
        """Read what the shell writes until something holds."""
        import select

        end = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < end, self.screen.decode("utf-8", "replace")
            if select.select([self.terminal], [], [], 0.1)[0]:
                self.screen += os.read(self.terminal, 65536)

    def tab(self):
        """Press TAB, and wait until the shell has written what it has to say."""
        import select

        while select.select([self.terminal], [], [], 0.2)[0]:
            self.screen += os.read(self.terminal, 65536)
        before = len(self.screen)
        self.type("\t")
        self.wait(lambda: len(self.screen) > before)
        while select.select([self.terminal], [], [], 0.2)[0]:
            self.screen += os.read(self.terminal, 65536)

    def arguments(self):
        """What the command is called with when the line is entered."""
        self.type("\r")
        path = self.folder / "argv"
        self.wait(path.exists)
        found = path.read_text(encoding="utf-8").split("\n")[:-1]
        path.unlink()
        return found

    def close(self):
        import signal

        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)
        os.close(self.terminal)


@pytest.fixture
def terminal(request, folder):
    opened = []

    def open_one(shell):
        opened.append(Terminal(shell, folder))
        return opened[0]

    yield open_one
    for one in opened:
        one.close()


@pytest.mark.parametrize("shell", SHELLS)
def test_a_tab_inserts_a_name_and_runs_nothing(folder, terminal, shell):
    session = terminal(shell)
    for name in HOSTILE if THOROUGH else ["".join(HOSTILE[:3])]:
        row = '"{}",Conv2D'.format(name.replace('"', '""'))
        (folder / "l.csv").write_text("name,type\n{}\n".format(row), encoding="utf-8")
        session.type("amctcfg explain --graph l.csv -- q.cfg ")
        session.tab()
        assert session.arguments() == ["explain", "--graph", "l.csv", "--", "q.cfg", name]
        assert not (folder / "PWNED").exists()


def test_fish_takes_no_file_for_a_command(folder):
    path = shutil.which("fish") or pytest.skip("fish is not installed")
    (folder / "bin").mkdir()
    (folder / "bin" / "amctcfg").write_text(WRAPPER.format(python=sys.executable), encoding="utf-8")
    (folder / "bin" / "amctcfg").chmod(0o755)
    environment = dict(
        ENVIRONMENT, PATH="{}{}{}".format(folder / "bin", os.pathsep, os.environ["PATH"]), HOME=str(folder)
    )

    def offered(line):
        script = "amctcfg completion fish | source; complete -C '{}'".format(line)
        done = subprocess.run(
            [path, "--no-config", "-c", script], env=environment, cwd=str(folder), stdout=subprocess.PIPE, timeout=60
        )
        return done.stdout.decode("utf-8").split("\n")[:-1]

    assert offered("amctcfg q") == [] and offered("amctcfg check q") == ["q.cfg"]


TYPED = [  # every other one is enough usually
    (["amctcfg explain q.c", "/head/f", ""], ["explain", "q.cfg", "/head/fc"]),
    (["amctcfg expl", "q.cfg /stem/conv1"], ["explain", "q.cfg", "/stem/conv1"]),
    (["amctcfg explain q.cfg 'f", ""], ["explain", "q.cfg", "fc"]),
    (["amctcfg check q.cfg --strict-w", ""], ["check", "q.cfg", "--strict-warnings"]),
    (["amctcfg check q.cfg --flavour=mind", ""], ["check", "q.cfg", "--flavour=mindspore"]),
    (["amctcfg check q", ""], ["check", "q.cfg"]),
]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_tab_completes(folder, terminal, shell):
    (folder / "explained").write_text("a file whose name begins like a command\n", encoding="utf-8")
    session = terminal(shell)
    for (first, *rest), expected in TYPED if THOROUGH else TYPED[::2]:
        session.type(first)
        for part in rest:
            session.tab()
            session.type(part)
        assert session.arguments() == expected
