"""Mistakes in a file: each is reported where it is, and costs only its service."""
import os
import pty
import select
import subprocess

import pytest

import harness
from harness import *
from load import Held

MISTAKES = [("socket_type", "steam"), ("wait", "maybe"), ("only_form", "only_form")]       # attribute, where the caret points


def faulty(port):
    return ("service a\n{\n\ttype\t\t= UNLISTED\n\tport\t\t= %d\n\tprotocol\t= tcp\n\tsocket_type\t= steam\n\twait\t\t= maybe\n"
            "\tuser\t\t= %s\n\tbind\t\t= 127.0.0.1\n\tserver\t\t= /bin/cat\n\tonly_form\t= 127.0.0.1\n}\n" % (port, ME))


def places(path):
    """(line, column) of every mistake; a tab is one column."""
    with open(path) as f:
        lines = f.read().split("\n")
    out = []
    for attribute, at in MISTAKES:
        n = next(i for i, l in enumerate(lines) if l.strip().startswith(attribute))
        out.append((n + 1, lines[n].index(at) + 1))
    return out


class Terminal:
    """A pseudo terminal whose other end collects what is written."""

    def __init__(self):
        self.master, self.slave = pty.openpty()
        self.text = ""

    def wait(self, cond):
        def ready():
            while select.select([self.master], [], [], 0)[0]:
                self.text += os.read(self.master, 65536).decode(errors="replace").replace("\r\n", "\n")
            return cond(self.text)
        assert wait_until(ready), self.text
        return self.text


@pytest.fixture
def terminal():
    t = Terminal()
    yield t
    os.close(t.master)
    os.close(t.slave)


@pytest.fixture
def setting(xd, ports):
    """A main file, a service in it, and the faulty file beside it."""
    xd.a, xd.b = ports(2)
    os.mkdir(xd.path("xinetd.d"))
    xd.file = xd.write("xinetd.d/a", faulty(xd.a))
    xd.config(logdefaults(xd) + cat("b", xd.b) + "includedir %s\n" % xd.path("xinetd.d"))
    return xd


def start_on(xd, stderr, mode="-dontfork", **kw):
    xd.proc = subprocess.Popen([harness.BIN, mode, "-f", xd.conf, "-pidfile", xd.pidfile], stdin=subprocess.DEVNULL, stdout=stderr,
                               stderr=stderr, env=dict(os.environ, TERM="xterm-256color", LANG="C.UTF-8"), **kw)
    xd.wait_port(xd.b)


COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def test_three_mistakes_give_three_pictures_on_a_terminal(setting, terminal):
    start_on(setting, terminal.slave)
    wanted = ["%s:%d:%d" % (setting.file, l, c) for l, c in places(setting.file)]
    raw = terminal.wait(lambda t: all(w in COLOUR.sub("", t) for w in wanted) and "Started working" in t)
    text = COLOUR.sub("", raw)
    assert COLOUR.search(raw), "a terminal gets colour"
    for where in wanted:
        assert text.count(where) == 1, text
        lines = text[text.index(where):].split("\n")[1:8]
        shown = next(i for i, l in enumerate(lines) if re.match(r"\s*\d+\s*\|", l))
        below = lines[shown + 1]
        assert re.search(r"\|\s+\^+", below), text
        word = next(at for (_, at), w in zip(MISTAKES, wanted) if w == where)
        assert lines[shown].replace("\t", "    ").find(word) >= 0 and below.count("^") == len(word), text
    assert re.search(r"(?i)did you mean `?stream", text) and re.search(r"(?i)did you mean `?only_from", text)
    assert talk(setting.b, b"x") == b"x" and not listening(setting.a)


def test_debug_mode_without_a_terminal_gives_plain_pictures(setting):
    with open(setting.path("stderr"), "wb") as err:
        start_on(setting, err, "-d", start_new_session=True)

    def text():
        with open(setting.path("stderr"), errors="replace") as f:
            return f.read()
    wanted = ["%s:%d:%d" % (setting.file, l, c) for l, c in places(setting.file)]
    assert wait_until(lambda: all(w in text() for w in wanted + ["Started working"])), text()
    assert "\x1b" not in text() and re.search(r"(?m)\|\s+\^+", text())


@pytest.mark.needs_sandbox
def test_in_syslog_each_mistake_is_one_plain_line(setting, syslog):
    with open(os.devnull, "wb") as nowhere:
        start_on(setting, nowhere)
    for line, _ in places(setting.file):
        syslog.wait(r"xinetd\[%d\]: .* \[file=%s\] \[line=%d\]$" % (setting.proc.pid, re.escape(setting.file), line))
    assert not any("\x1b" in l or "^^" in l or "\n" in l for l in syslog.lines)


def test_in_the_log_each_mistake_has_its_file_and_line(setting):
    setting.start(expect=[setting.b])
    for line, _ in places(setting.file):
        setting.wait_dlog(r"\[file=%s\] \[line=%d\]$" % (re.escape(setting.file), line))
    assert "\x1b" not in setting.dlog() and "^^" not in setting.dlog()


def test_only_the_faulty_service_stays_out(setting):
    c = free_port()
    setting.write("xinetd.d/c", cat("c", c))
    setting.start(expect=[setting.b, c])
    assert not listening(setting.a)
    assert talk(setting.b, b"x") == b"x" and talk(c, b"x") == b"x"


def test_on_reload_the_old_service_goes_on(setting):
    setting.write("xinetd.d/a", cat("a", setting.a))
    setting.start(expect=[setting.a, setting.b])
    held = Held(setting.a, 3)
    setting.write("xinetd.d/a", faulty(setting.a))
    setting.hup()
    setting.wait_dlog("Reconfigured: ")
    for line, _ in places(setting.file):
        setting.wait_dlog(r"\[file=%s\] \[line=%d\]" % (re.escape(setting.file), line))
    held.echo()
    assert talk(setting.a, b"x") == b"x"
