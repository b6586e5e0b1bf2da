"""Banners: when they are shown, what a slow reader costs, what the server gets afterwards."""
import os
import socket

import pytest

from harness import *

covers = pytest.mark.covers
root = pytest.mark.needs_root


def files(xd):
    return dict(banner=xd.write("ban", "BAN\nno newline at end|"), banner_success=xd.write("suc", "SUC\r\n"),
                banner_fail=xd.write("fail", "FAIL\r\n"))


@covers("BAN-1", "BAN-2")
def test_a_client_that_is_let_in_reads_both_banners_and_then_the_server(daemon):
    a = free_port()
    daemon.boot(cat("a", a, **files(daemon)), up=[a])
    assert talk(a, b"hello") == b"BAN\nno newline at end|SUC\r\nhello"


@covers("BAN-1", "BAN-2", "ACC-2")
def test_a_client_that_is_refused_reads_the_banner_and_banner_fail(daemon, ports):
    a, b = ports(2)
    daemon.boot(logdefaults(daemon), cat("a", a, only_from="127.0.0.9", **files(daemon)),
                cat("b", b, instances="0", **files(daemon)), up=[a, b])
    assert talk(a) == b"BAN\nno newline at end|FAIL\r\n"
    assert talk(b) == b"BAN\nno newline at end|FAIL\r\n"
    daemon.wait_log("^FAIL: b service_limit from=127.0.0.1$")


@covers("BAN-2", "SRV-1")
def test_the_socket_is_blocking_for_the_server_after_a_banner(daemon):
    a = free_port()
    body = pyscript("import os, fcntl\nprint(fcntl.fcntl(0, fcntl.F_GETFL) & os.O_NONBLOCK)")
    daemon.boot(service("a", a, server=daemon.script("s", body), **files(daemon)), up=[a])
    assert talk(a, shut=False).split(b"SUC\r\n")[1] == b"0\n"


@covers("BAN-1")
def test_an_edited_banner_is_shown_without_a_reload(daemon):
    a = free_port()
    daemon.boot(cat("a", a, banner=daemon.write("ban", "old ")), up=[a])
    assert talk(a, b"x") == b"old x"
    daemon.write("new", "new ")
    os.rename(daemon.path("new"), daemon.path("ban"))
    assert talk(a, b"x") == b"new x"


@covers("BAN-3")
@pytest.mark.parametrize("what", ["missing", "directory", "fifo"])
def test_a_banner_that_is_no_file_is_said_and_skipped(mk, what):
    xd, a = mk(), free_port()
    path = xd.path("ban")
    if what == "directory":
        os.mkdir(path)
    elif what == "fifo":
        os.mkfifo(path)
    xd.boot(cat("a", a, banner=path), up=[a])
    assert talk(a, b"x") == b"x"
    xd.wait_dlog("open of banner .*ban failed")


@covers("BAN-1", "ACC-5")
@root
def test_a_banner_that_only_root_can_read_is_shown(mk):
    xd, a = mk(), free_port()
    path = xd.write("ban", "secret ", 0o600)
    xd.boot(cat("a", a, user="nobody", banner_success=path), up=[a])
    assert talk(a, b"x") == b"secret x"


@covers("BAN-4", "HARD-6")
def test_clients_that_do_not_read_a_large_banner_hold_up_nobody(mk):
    """The original stops for everybody at the first of them."""
    xd, a, b = mk(), free_port(), free_port()
    xd.boot(cat("a", a, banner=xd.write("ban", "x" * 1000000)), cat("b", b), up=[a, b])
    deaf = []
    for _ in range(20):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        s.connect(("127.0.0.1", a))
        deaf.append(s)
    assert talk(b, b"y") == b"y"
    assert talk(a, b"z") == b"x" * 1000000 + b"z"
    for s in deaf:
        s.close()


@covers("BAN-2", "BAN-4")
def test_a_banner_of_ten_megabytes_is_shown_as_it_is(daemon):
    a = free_port()
    text = os.urandom(10_000_000)
    with open(daemon.path("ban"), "wb") as f:
        f.write(text)
    daemon.boot(cat("a", a, banner=daemon.path("ban")), up=[a])
    assert talk(a, b"the end") == text + b"the end"


@covers("BAN-2", "LIM-1")
def test_limits_count_clients_of_services_with_banners(mk):
    xd, a = mk(), free_port()
    xd.boot(logdefaults(xd), cat("a", a, instances="1", banner_success=xd.write("suc", "+")), up=[a])
    s = connect(a)
    s.sendall(b"x")
    assert recv_n(s, 2) == b"+x"
    assert talk(a, b"x") == b""
    xd.wait_log("^FAIL: a service_limit")
    s.close()
    xd.wait_log("^EXIT: a ")
    assert wait_until(lambda: talk(a, b"x") == b"+x")
