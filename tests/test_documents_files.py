# SPDX-License-Identifier: Apache-2.0
"""Files: replaced whole, with what they carry; what can't be a file is an `OSError`."""

import os
import subprocess
import sys

import pytest

import amctcfg
from amctcfg.documents import files

SHM = "/dev/shm"


@pytest.mark.skipif(not os.access(SHM, os.W_OK), reason="there is no /dev/shm")
def test_a_file_in_a_folder_of_memory_is_replaced_like_any_other():
    path = os.path.join(SHM, "amctcfg-test-{}.cfg".format(os.getpid()))
    try:
        amctcfg.dump(amctcfg.AMCTConfig(do_fusion=True), path)  # a new one
        amctcfg.dump(amctcfg.AMCTConfig(do_fusion=False), path)
        assert amctcfg.load(path) == amctcfg.AMCTConfig(do_fusion=False)
    finally:
        os.unlink(path)


@pytest.mark.skipif(not os.path.exists("/dev/stdout"), reason="there is no /dev/stdout")
def test_the_own_output_is_written_to_where_it_stands(tmp_path):
    shared = tmp_path / "shared"
    code = "import sys, amctcfg\nfor link in sys.argv[1:]: amctcfg.dump(amctcfg.AMCTConfig(do_fusion=True), link)"
    links = ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"]
    with shared.open("wb") as out:
        out.write(b"# before\n")
        out.flush()
        subprocess.run([sys.executable, "-c", code, *links], stdout=out, check=True, timeout=60)
        out.write(b"# behind\n")
    assert shared.read_text() == "# before\n" + 3 * "do_fusion: true\n" + "# behind\n"


@pytest.mark.skipif(os.name == "nt", reason="there is no umask")
def test_a_new_file_has_the_permissions_of_new_files_and_no_thread_sees_another_umask(tmp_path, monkeypatch):
    old, new = tmp_path / "old.cfg", tmp_path / "new.cfg"
    before = os.umask(0o027)
    try:
        old.write_text("")
        old.chmod(0o604)
        monkeypatch.setattr(os, "umask", None)  # it is the whole process's
        for path in (old, new):
            amctcfg.dump(amctcfg.AMCTConfig(), path)
    finally:
        monkeypatch.undo()
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in (old, new)] == [0o604, 0o640]


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="this system has no extended attributes")
def test_extended_attributes_and_access_lists_are_kept(tmp_path):
    path = tmp_path / "a.cfg"
    path.write_text("")
    # user 65534 may read and write, the group may read: version, then (tag, permissions, id) of each entry
    entries = [(1, 6, -1), (2, 6, 65534), (4, 4, -1), (16, 6, -1), (32, 0, -1)]
    acl = b"\2\0\0\0" + b"".join(
        tag.to_bytes(2, "little") + bits.to_bytes(2, "little") + (owner % 2**32).to_bytes(4, "little")
        for tag, bits, owner in entries
    )
    attributes = {"user.comment": b"kept", "system.posix_acl_access": acl}
    there = {}
    for name, value in attributes.items():
        try:
            os.setxattr(str(path), name, value)
        except OSError:
            continue
        there[name] = value
    if not there:
        pytest.skip("this file system has no extended attributes")
    amctcfg.dump(amctcfg.AMCTConfig(do_fusion=True), path)
    assert {name: os.getxattr(str(path), name) for name in there} == there
    assert amctcfg.load(path).do_fusion is True


def test_an_access_list_that_is_lost_gives_nobody_more(tmp_path, monkeypatch):
    path = tmp_path / "a.cfg"
    path.write_text("")
    path.chmod(0o660)
    monkeypatch.setattr(files.os, "listxattr", lambda path: ["system.posix_acl_access"], raising=False)
    monkeypatch.setattr(files.os, "getxattr", lambda path, name: b"", raising=False)

    def refuse(*arguments):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(files.os, "setxattr", refuse, raising=False)
    files.write("", path)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["a\0b.cfg", "no\0such/b.cfg", "\ud800.cfg"])
def test_a_name_that_no_file_can_have(tmp_path, name):
    for path in (os.path.join(str(tmp_path), name), name):
        with pytest.raises(OSError):
            amctcfg.load(path)
        if "\0" in name:  # half a character is a byte of its own on some systems
            with pytest.raises(OSError):
                amctcfg.dump(amctcfg.AMCTConfig(), path)


def test_a_file_that_has_changed_in_the_meantime_is_not_replaced(tmp_path):
    path = tmp_path / "a.cfg"
    path.write_bytes(b"new")
    with pytest.raises(OSError, match="changed"):
        files.write("mine", path, before=b"old")
    assert path.read_bytes() == b"new"
    files.write("mine", path, before=b"new")
    assert path.read_bytes() == b"mine"
    assert os.listdir(str(tmp_path)) == ["a.cfg"]


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="there is no /dev/zero")
def test_a_device_without_an_end_is_not_read(tmp_path):
    link = tmp_path / "z.cfg"
    link.symlink_to("/dev/zero")
    with pytest.raises(OSError, match="device"):
        amctcfg.load(link)
    assert amctcfg.load(os.devnull) == amctcfg.AMCTConfig()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the administrator may write everything")
def test_a_read_only_file_stays(tmp_path):
    path = tmp_path / "a.cfg"
    path.write_text("")
    path.chmod(0o444)
    with pytest.raises(PermissionError):
        files.write("x", path)
