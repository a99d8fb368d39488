# SPDX-License-Identifier: Apache-2.0
"""The search on a Dask cluster: a scheduler and workers, started here as processes that know nothing of amctcfg."""

import json
import os
import re
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import amctcfg
from amctcfg import Layer
from amctcfg.tuning import Bisection, search
from amctcfg.tuning.cluster import ClusterCommands
from amctcfg.tuning.commands import CommandError

from .conftest import thorough
from .lsp_client import INSTALLED
from .test_tuning import script, wait_for_lines, wait_until_gone, wide

distributed = pytest.importorskip("distributed")

FLEET = Path(__file__).parent.parent / "examples" / "fleet"
PLAIN = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}


def start(folder, *arguments):
    # Without a dashboard its port is still taken, for figures; 8787 may be another cluster's.
    local = ["--host", "127.0.0.1", "--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
    command = [sys.executable, "-m", "dask", *arguments, *local]
    return subprocess.Popen(command, env=PLAIN, cwd=str(folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """The address of a scheduler on the loopback, its two workers, and itself."""
    monkeypatch.chdir(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = "tcp://127.0.0.1:{}".format(free.getsockname()[1])
    scheduler = start(elsewhere, "scheduler", "--port", address.rpartition(":")[2])
    workers = [start(elsewhere, "worker", address, "--nthreads", "2", "--no-nanny") for _ in range(2)]
    try:
        with distributed.Client(address, timeout=60, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
        yield address, workers, scheduler
    finally:
        for process in (*workers, scheduler):
            process.kill()
            process.wait()


NEEDS_TWO = "config = open(sys.argv[1]).read()\nprint('seen by', os.environ['AMCTCFG_WORKER'])\nsys.exit(0 if '\"l3\"' in config and '\"l8\"' in config else 1)"


def test_a_search_on_a_cluster(cluster, tmp_path, cli):
    address, *_ = cluster
    wide(tmp_path, 12)
    test = script(tmp_path, "test.py", NEEDS_TWO)
    result = cli("bisect", "q.cfg", "--dask", address, "--jobs", "4", "--", test, "{}", "{json}", "{worker}")
    assert result.status == 0, result.err
    assert "l3  if quantized: bad" in result.out and "l8  if quantized: bad" in result.out and "minimal" in result.out
    state = tmp_path / "q.cfg.bisect"  # a run that was stopped when the answer was there has no line
    logs = [json.loads(line)["output"] for line in (state / "journal.jsonl").read_text().splitlines()]
    assert logs and all((state / "runs" / log).read_text().startswith("seen by") for log in logs)
    missing = cli("bisect", "q.cfg", "--dask", address, "--state", "m", "--", "no-such-command", "{}")
    worker = re.search(r"the worker (tcp://127.0.0.1:\d+) can't run 'no-such-command'", missing.err)
    assert missing.status == 2 and worker, missing.err
    wrong = cli("bisect", "q.cfg", "--dask", worker.group(1), "--state", "m", "--", "true", "{}")
    assert wrong.status == 2 and "what answers there is a Worker" in wrong.err


@pytest.mark.thorough
def test_a_worker_that_dies_in_the_middle_of_a_run(cluster, tmp_path, cli):
    """Its run is repeated on the other one, its command ends with it, and the answer is the same."""
    address, workers, _ = cluster
    wide(tmp_path, 12)
    # One of the runs that begin at the same time creates the file: the other worker has to live.
    first = (
        "try:\n    file = open({!r}, 'x')\nexcept FileExistsError:\n    pass\nelse:\n"
        "    with file: file.write('%d\\n' % os.getpid())\n"
        "    worker = os.popen('ps -o ppid= -p %d' % os.getppid()).read()\n"
        "    os.kill(int(worker), 9)\n    time.sleep(600)\n"
    )
    body = first.format(str(tmp_path / "pids")) + NEEDS_TWO
    result = cli("bisect", "q.cfg", "--dask", address, "--jobs", "3", "--", script(tmp_path, "test.py", body), "{}")
    assert result.status == 0, result.err
    assert "l3  if quantized: bad" in result.out and "l8  if quantized: bad" in result.out and "minimal" in result.out
    assert sorted(worker.poll() is None for worker in workers) == [False, True]
    wait_until_gone(wait_for_lines(tmp_path / "pids", 1))


def test_a_cluster_without_workers_is_told_and_waited_for(cluster, tmp_path):
    address, workers, _ = cluster
    for worker in workers:
        worker.kill()
        worker.wait()
    with distributed.Client(address, timeout=60, set_as_default=False) as client:
        while client.nthreads():
            time.sleep(0.05)
    wide(tmp_path, 12)
    test = script(tmp_path, "test.py", NEEDS_TWO)
    command = [sys.executable, "-m", "amctcfg", "bisect", "q.cfg", "--dask", address, "--jobs", "3", "--", test, "{}"]
    environment = dict(PLAIN, PYTHONPATH=str(INSTALLED))
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as search:
        first = search.stderr.readline().decode()
        workers.append(start(tmp_path / "elsewhere", "worker", address, "--nthreads", "2", "--no-nanny"))
        search.communicate(timeout=120)
    assert "the cluster has no workers yet; the runs begin when one is there" in first and search.returncode == 0


@pytest.mark.thorough
def test_a_scheduler_that_dies_in_the_middle_of_a_run(cluster, tmp_path, cli):
    """The search ends with a sentence, its commands with it; it goes on without a cluster, and nothing is run twice."""
    address, _, scheduler = cluster
    wide(tmp_path, 12)
    body = (
        "pids, dead = {!r}, {!r}\nwith open(pids, 'a') as file: file.write('%d\\n' % os.getpid())\n"
        "if len(open(pids).readlines()) > 4 and not os.path.exists(dead):\n"
        "    open(dead, 'w').close()\n    os.kill({}, 9)\n    time.sleep(600)\n"
    ).format(str(tmp_path / "pids"), str(tmp_path / "dead"), scheduler.pid) + NEEDS_TWO
    test = script(tmp_path, "test.py", body)
    command = [sys.executable, "-m", "amctcfg", "bisect", "q.cfg", "--dask", address, "--jobs", "3", "--", test, "{}"]
    environment = dict(PLAIN, PYTHONPATH=str(INSTALLED))
    done = subprocess.run(command, env=environment, capture_output=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.decode().splitlines()[-2:] == [
        "amctcfg: the Dask scheduler at {} is gone".format(address),
        "amctcfg: the search ends here; mend that and run the same command again to continue",
    ]
    wait_until_gone(wait_for_lines(tmp_path / "pids", 5))
    journal = tmp_path / "q.cfg.bisect" / "journal.jsonl"
    before = journal.read_text()
    assert before.endswith("\n") and all(map(json.loads, before.splitlines()))
    again = cli("bisect", "q.cfg", "--jobs", "3", "--", test, "{}")
    assert again.status == 0, again.err
    assert "l3  if quantized: bad" in again.out and "l8  if quantized: bad" in again.out and "minimal" in again.out
    asked = [tuple(json.loads(line)["skip"]) for line in journal.read_text().splitlines()]
    assert journal.read_text().startswith(before) and len(set(asked)) == len(asked)


@pytest.mark.thorough
def test_a_command_whose_files_time_out(cluster, tmp_path):
    """A folder on a network that is lost: not the waiting for the run has timed out, but the run."""
    commands = ClusterCommands(cluster[0])
    commands._source = "def run_with_files(*given):\n    raise TimeoutError(110, 'Connection timed out')\n"
    with pytest.raises(CommandError, match="Connection timed out"):
        commands.run(["true"], {}, {"worker": "0"}, str(tmp_path / "log.txt"))
    commands.stop()


@pytest.mark.thorough
def test_a_scheduler_that_dies_between_two_runs(cluster, tmp_path):
    """Its client tries to find it again, then closes itself: each run meanwhile ends with the sentence."""
    address, _, scheduler = cluster
    commands = ClusterCommands(address)
    files, values, log = {"": b""}, {"worker": "0"}, str(tmp_path / "log.txt")
    assert commands.run(["true", "{}"], files, values, log).status == 0
    scheduler.kill()
    for _ in range(3):
        with pytest.raises(CommandError, match="the Dask scheduler at {} is gone".format(address)):
            commands.run(["true", "{}"], files, values, log)
    commands.stop()


@pytest.mark.thorough
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_commands_on_a_cluster_end_with_their_search(cluster, tmp_path, end):
    address, *_ = cluster
    wide(tmp_path, 12)
    body = "with open({!r}, 'a') as file: file.write('%d\\n' % os.getpid())\ntime.sleep(600)".format(
        str(tmp_path / "pids")
    )
    command = [sys.executable, "-m", "amctcfg", "bisect", "q.cfg", "--dask", address, "--jobs", "2", "--"]
    process = subprocess.Popen(
        [*command, script(tmp_path, "test.py", body), "{}"],
        env=dict(PLAIN, PYTHONPATH=str(INSTALLED)),
        stderr=subprocess.PIPE,
    )
    pids = wait_for_lines(tmp_path / "pids", 2)
    process.send_signal(end)
    process.communicate()
    assert process.returncode == (130 if end == signal.SIGINT else -9)
    wait_until_gone(pids)


@pytest.mark.parametrize("is_listening", [True, *thorough([False])])
def test_a_scheduler_that_is_not_there(tmp_path, monkeypatch, cli, is_listening):
    """Nobody, or somebody who never says a word: a client waits for a greeting for half a minute."""
    monkeypatch.chdir(tmp_path)
    wide(tmp_path, 12)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        if is_listening:
            taken.listen()
        address = "tcp://127.0.0.1:{}".format(taken.getsockname()[1])
        result = cli("bisect", "q.cfg", "--dask", address, "--", "true", "{}")
    assert result.status == 2 and "there is no Dask scheduler at " + address in result.err
    assert len(result.err.splitlines()) == 1 and ("no answer after 5 s" in result.err) is is_listening
    insecure = cli("bisect", "q.cfg", "--dask", "tls://127.0.0.1:1", "--", "true", "{}")
    assert insecure.status == 2 and "TLS" in insecure.err  # there are no certificates


class WebPage(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
        while self.request.recv(1 << 16):
            pass


def test_a_web_server_is_no_scheduler(tmp_path, monkeypatch, cli):
    """Dask's dashboard, say, which has another port."""
    monkeypatch.chdir(tmp_path)
    wide(tmp_path, 12)
    with socketserver.TCPServer(("127.0.0.1", 0), WebPage) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        address = "tcp://127.0.0.1:{}".format(server.server_address[1])
        result = cli("bisect", "q.cfg", "--dask", address, "--", "true", "{}")
        thread.join()
    assert result.status == 2 and result.err.splitlines() == [
        "amctcfg: there is no Dask scheduler at {}: what answers there does not speak Dask's protocol".format(address)
    ]


def needs_l3(candidate):
    return "l3" in candidate.skip


@pytest.mark.parametrize("address", ["bogus://127.0.0.1:1", *thorough(["127.0.0.1", "tcp://127.0.0.1:x", ""])])
def test_what_is_not_an_address(address, tmp_path, cli):
    """A sentence at once, and nothing else on stderr: a client of such an address complains until it is given up."""
    wide(tmp_path, 12)
    command = [sys.executable, "-m", "amctcfg", "bisect", "q.cfg", "--dask=" + address, "--", "true", "{}"]
    environment = dict(os.environ, PYTHONPATH=str(INSTALLED))
    done = subprocess.run(command, cwd=str(tmp_path), env=environment, stderr=subprocess.PIPE, timeout=60)
    lines = done.stderr.decode().splitlines()
    assert done.returncode == 2 and len(lines) == 1 and "there is no Dask scheduler at " + address in lines[0]


def test_the_library_on_a_cluster(tmp_path):
    """With workers that have amctcfg, an executor is enough."""
    options = {"processes": False, "dashboard_address": None, "protocol": "inproc://"}
    with distributed.LocalCluster(2, **options) as local, distributed.Client(local, set_as_default=False) as client:
        bisection = Bisection(amctcfg.parse(""), [Layer("l{}".format(n), "Conv2D") for n in range(12)])
        assert search(bisection, needs_l3, client.get_executor(), jobs=4).skip == ("l3",)


@pytest.fixture
def simulates():
    for name in ("numpy", "onnx", "onnxruntime"):
        pytest.importorskip(name, reason="the simulation needs it: pip install 'amctcfg[simulate]'")
    if sys.version_info < (3, 9):
        pytest.skip("the simulation needs Python 3.9")


@pytest.mark.thorough
def test_the_example_by_the_library(simulates, tmp_path):
    shown = re.search(
        r"^(skip .* after )\d+( runs, minimal)$", (FLEET / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    environment = dict(PLAIN, PYTHONPATH=str(INSTALLED))
    command = [sys.executable, str(FLEET / "fleet.py")]
    done = subprocess.run(command, env=environment, cwd=str(tmp_path), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert re.sub(r"\d+ runs", "N runs", done.stdout.decode()) == "{}N{}\n".format(*shown.groups())


@pytest.mark.thorough
def test_the_examples_command(simulates, cluster, cli):
    """The workers get each candidate's simulated model."""
    address, *_ = cluster
    resnet = FLEET.parent / "resnet"
    model, data, evaluate = (str(resnet / name) for name in ("digits.onnx", "calibration.npz", "evaluate.py"))
    assert cli("init", "--graph", model, "--flavour", "pytorch", "-o", "quant.cfg").status == 0
    command = ("bisect", "quant.cfg", "--data", data, "--target", "0.97", "--dask", address, "--jobs", "2", "--")
    result = cli(*command, sys.executable, evaluate, "{onnx}")
    assert result.status == 0, result.err
    assert "  layer1.conv2  if quantized" in result.out and "  layer2.conv2  if quantized" in result.out
    assert "skip 2 layers" in result.out and "minimal" in result.out
