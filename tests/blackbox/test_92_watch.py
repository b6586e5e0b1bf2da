"""`xinetctl status --watch` in a terminal, as a person sees it."""
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import threading

import pyte
import pytest

from harness import *

pytestmark = pytest.mark.needs_sandbox
HOME, ENTER, LEAVE = b"\x1b[H", b"\x1b[?1049h", b"\x1b[?1049l"


class Terminal:
    """A program in a terminal of its own, and the screen as it looks after each piece of output."""

    def __init__(self, words, rows=24, columns=100):
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.raw, self.pictures = b"", []
        self.ours, theirs = pty.openpty()
        self.before = termios.tcgetattr(theirs)
        self.resize(rows, columns)
        self.proc = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
                                     preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.theirs = theirs
        threading.Thread(target=self.read, daemon=True).start()

    def resize(self, rows, columns):
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.screen.resize(rows, columns)

    def read(self):
        while True:
            try:
                piece = os.read(self.ours, 65536)
            except OSError:
                return
            if not piece:
                return
            self.raw += piece
            self.stream.feed(piece)
            self.pictures.append("\n".join(self.screen.display))

    def shows(self, pattern):
        rx = re.compile(pattern, re.M)
        found = wait_until(lambda: any(rx.search(p) for p in self.pictures[-1:]))
        assert found, "no /%s/ in\n%s" % (pattern, "\n".join(self.screen.display))

    def type(self, keys):
        os.write(self.ours, keys)

    def close(self):
        self.proc.kill()
        self.proc.wait()
        os.close(self.theirs)
        os.close(self.ours)


@pytest.fixture
def terminal():
    made = []

    def make(*words, **kw):
        made.append(Terminal(words, **kw))
        return made[-1]
    yield make
    for t in made:
        t.close()


def test_a_small_screen_shows_what_needs_a_look_and_how_much_it_hides(xd, terminal, ports):
    many = ports(18)
    xd.boot(*(cat("mail%d" % n, p, **(dict(cps="1 300") if n == 17 else {})) for n, p in enumerate(many)),
            service("broken", free_port(), server="/nonexistent"), up=many)
    come_too_often(many[17])
    t = terminal(CTL, "status", "--watch", "1", rows=12, columns=50)
    t.shows(r"^Not in force:\s*\n  broken ")
    t.shows(r"^SERVICE .*\nmail17 +closed for ")
    t.shows(r"^\.\.\. \d+ more lines +\Z")
    assert all(line.endswith(">") for line in t.screen.display if re.match(r"mail\d", line)), "\n".join(t.screen.display)


def test_it_shows_what_happens_and_never_an_empty_screen(xd, terminal):
    port = free_port()
    xd.boot(cat("mail", port))
    t = terminal(CTL, "status", "--watch", "1")
    t.shows(r"^mail +active +0/- +0 ")
    first = len(t.pictures)
    with connect(port) as s:
        s.sendall(b"x")
        assert s.recv(1) == b"x"
        t.shows(r"^mail +active +1/- +1 ")
    t.shows(r"^mail +active +0/- +1 ")
    # From the first picture to the last there is none without the table.
    assert all("SERVICE" in p and "mail" in p for p in t.pictures[first:]), t.pictures[first:]
    assert b"\x1b[2J" not in t.raw and t.raw.count(HOME) >= 3
    t.type(b"q")
    assert t.proc.wait(patience()) == 0
    assert wait_until(lambda: LEAVE in t.raw) and t.raw.startswith(ENTER)
    assert termios.tcgetattr(t.theirs) == t.before, "the terminal is as it was"


@pytest.mark.parametrize("end", [b"\x03", signal.SIGTERM])
def test_it_leaves_the_terminal_as_it_was_however_it_is_ended(xd, terminal, end):
    xd.boot()
    t = terminal(CTL, "status", "-w")
    t.shows("sentinel")
    t.type(end) if isinstance(end, bytes) else t.proc.send_signal(end)
    assert t.proc.wait(patience()) == 0
    assert wait_until(lambda: t.raw.rstrip().endswith(LEAVE))
    assert termios.tcgetattr(t.theirs) == t.before


def test_a_small_screen_is_not_overrun_and_a_change_of_its_size_shows_at_once(xd, terminal, ports):
    xd.boot(*[cat("service-with-a-long-name-%d" % p, p) for p in ports(30)])
    t = terminal(CTL, "status", "--watch", "60", rows=10, columns=40)
    t.shows("^SERVICE")
    assert t.pictures[-1].startswith("xinetd-rs "), "nothing has scrolled away"
    t.resize(24, 80)
    os.killpg(t.proc.pid, signal.SIGWINCH)
    t.shows(r"STATE +SESSIONS")


def test_a_daemon_that_ends_and_comes_back_is_followed(xd, terminal):
    xd.boot()
    t = terminal(CTL, "status", "--watch", "1")
    t.shows("sentinel")
    xd.signal(signal.SIGTERM)
    xd.wait_exit()
    t.shows("Is it running?")
    assert "sentinel" not in t.pictures[-1]
    xd.boot()
    t.shows("^sentinel +active")


def test_elsewhere_one_picture_follows_the_other_without_a_control_character(xd):
    xd.boot()
    with subprocess.Popen([CTL, "status", "--watch", "1"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as p:
        out = b""
        while out.count(b"SERVICE") < 2:
            assert select.select([p.stdout], [], [], patience())[0]
            out += os.read(p.stdout.fileno(), 65536)
        p.terminate()
        assert p.wait(patience()) == 0
    assert b"\x1b" not in out and b"\r" not in out
    assert out.startswith(b"xinetd-rs ") and b"\n\nxinetd-rs " in out
