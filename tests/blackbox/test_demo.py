"""`xinetctl demo`, from the ready line to Ctrl-C, with the clients its header names.

XINETCTL_BIN is the binary under test, target/release/xinetctl unless told otherwise.
Nothing here sleeps: tests wait for a line, for the end of a stream or of a process."""
import email
import email.policy
import imaplib
import os
import poplib
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
import time

import pytest

import harness

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
XINETCTL = os.environ.get("XINETCTL_BIN", os.path.join(REPO, "target/release/xinetctl"))
PATIENCE = 20


def children():
    return set(harness.children(os.getpid(), zombies=True))


def wait_for_end(pid):
    """Whether the process ends in time."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([fd], [], [], PATIENCE)[0])
    finally:
        os.close(fd)


class Demo:
    def __init__(self, tmp, *args, binary=XINETCTL):
        self.tmp = tmp
        self.text = ""
        self.process = subprocess.Popen([binary, "demo", *args], env={**os.environ, "TMPDIR": str(tmp)},
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.wait_for(r"^Ready\. Ctrl-C")
        self.header = self.text
        self.addresses = {name: (ip, int(port)) for name, ip, port in
                          re.findall(r"^  (pop3s?|imap4s?|echo|daytime|forward) +([0-9.]+):(\d+)", self.header, re.M)}
        self.certificate = re.search(r"^  certificate .*: (/.*)$", self.header, re.M)[1]
        self.tls = ssl.create_default_context(cafile=self.certificate)

    def read(self, until):
        """Reads on, if there is more before the time is over; the end of the stream is None."""
        ready, _, _ = select.select([self.process.stdout], [], [], max(0, until - time.monotonic()))
        assert ready, "nothing more after:\n" + self.text
        chunk = os.read(self.process.stdout.fileno(), 65536)
        self.text += chunk.decode()
        return chunk or None

    def wait_for(self, pattern):
        until = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.text, re.M)):
            assert self.read(until), "ended without %s:\n%s" % (pattern, self.text)
        return found

    def wait(self):
        """The exit status, after the last word."""
        until = time.monotonic() + PATIENCE
        while self.read(until):
            pass
        return self.process.wait(PATIENCE)

    def daemon(self):
        (directory,) = os.listdir(self.tmp)
        with open(os.path.join(self.tmp, directory, "pid")) as f:
            return int(f.read())

    def to_try(self, program):
        return re.findall(r"^  (%s .*)$" % program, self.header, re.M)

    def pop3(self):
        return poplib.POP3(*self.addresses["pop3"], timeout=PATIENCE)

    def pop3s(self):
        return poplib.POP3_SSL(*self.addresses["pop3s"], timeout=PATIENCE, context=self.tls)

    def imap4(self):
        return imaplib.IMAP4(*self.addresses["imap4"], timeout=PATIENCE)

    def imap4s(self):
        return imaplib.IMAP4_SSL(*self.addresses["imap4s"], timeout=PATIENCE, ssl_context=self.tls)


@pytest.fixture
def start(tmp_path):
    """Starts demos; whatever one of them leaves behind becomes our child, and is an error."""
    before = children()
    files = tmp_path / "files"
    files.mkdir()
    demos = []

    def run(*args, **kw):
        demos.append(Demo(files, *args, **kw))
        return demos[-1]

    yield run
    for demo in demos:
        if demo.process.poll() is None:
            demo.process.send_signal(signal.SIGINT)
            demo.wait()
        demo.process.stdout.close()
    left = children() - before
    alive = [pid for pid in left if not wait_for_end(pid)]
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
    for pid in left:
        os.waitpid(pid, 0)
    assert not alive, "processes were left behind"


@pytest.fixture
def demo(start):
    return start()


def shell(line):
    return subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=PATIENCE)


def test_the_header_says_what_listens_where_and_how_to_log_in(demo):
    assert set(demo.addresses) == {"pop3", "pop3s", "imap4", "imap4s", "echo", "daytime", "forward"}
    assert "user demo, password demo" in demo.header
    assert len(demo.to_try("curl")) >= 5 and len(demo.to_try("python3")) == 4


def test_every_line_to_try_works_as_printed(demo):
    for line in demo.to_try("curl"):
        result = shell(line + " -sS")
        assert result.returncode == 0, line + result.stderr
        assert re.search(r"^Subject: |^1 \d+", result.stdout, re.M), line + result.stdout
    asks, = demo.to_try(os.path.realpath(XINETCTL))
    result = shell(asks)
    assert result.returncode == 0 and "7 services" in result.stdout, asks + result.stdout + result.stderr
    for line in demo.to_try("python3"):
        result = shell(line)
        assert result.returncode == 0, line + result.stderr
        assert re.search(r"3|b'hello'|b'.*:\d\d ", result.stdout), line + result.stdout


@pytest.mark.parametrize("service", ["pop3", "pop3s"])
def test_poplib_lists_reads_and_deletes_for_the_session(demo, service):
    client = getattr(demo, service)()
    assert b"demo" in client.getwelcome()
    client.user("demo")
    client.pass_("demo")
    count, octets = client.stat()
    sizes = [int(line.split()[1]) for line in client.list()[1]]
    assert count == len(sizes) == 3 and sum(sizes) == octets
    for number, size in enumerate(sizes, 1):
        lines = client.retr(number)[1]
        assert sum(len(line) + 2 for line in lines) == size
    assert b"." in lines and b".plan" in lines
    assert client.top(1, 0)[1][-1] == b""
    assert len({line.split()[1] for line in client.uidl()[1]}) == 3
    client.dele(1)
    assert client.stat()[0] == 2
    client.rset()
    assert client.stat()[0] == 3
    client.dele(1)
    client.quit()
    again = getattr(demo, service)()
    again.user("demo")
    again.pass_("demo")
    assert again.stat()[0] == 3
    again.quit()


@pytest.mark.parametrize("service", ["imap4", "imap4s"])
def test_imaplib_searches_reads_and_flags_for_the_session(demo, service):
    client = getattr(demo, service)()
    assert b"demo" in client.welcome
    client.login("demo", "demo")
    assert client.list()[1] == [b'() "/" INBOX']
    assert client.select()[1] == [b"3"]
    assert client.search(None, "UNSEEN")[1] == [b"1 2 3"]
    assert client.uid("search", None, "SUBJECT", "kettle")[1] == [b"1 3"]
    (_, octets), tail = client.fetch("2", "(RFC822.SIZE BODY[])")[1]
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert message["Subject"] == "Grüße aus dem Café ☕"
    assert message.get_body(("plain",)).get_content().count("€") == 1
    assert client.search(None, "UNSEEN")[1] == [b"1 3"]
    assert b"FLAGS (\\Flagged)" in client.store("1", "+FLAGS", "\\Flagged")[1][0]
    envelope = client.fetch("3", "(ENVELOPE BODYSTRUCTURE)")[1][0]
    assert b'"Brook, Tom"' in envelope and b'("TEXT" "PLAIN"' in envelope
    client.close()
    assert client.logout()[0] == "BYE"


def test_authenticate_plain(demo):
    client = demo.imap4()
    assert client.authenticate("PLAIN", lambda _: b"\0demo\0demo")[0] == "OK"
    client.logout()


def test_a_wrong_password_is_refused_everywhere(demo):
    for client in (demo.pop3(), demo.pop3s()):
        client.user("demo")
        with pytest.raises(poplib.error_proto):
            client.pass_("wrong")
        client.quit()
    for client in (demo.imap4(), demo.imap4s()):
        with pytest.raises(imaplib.IMAP4.error):
            client.login("demo", "wrong")
        client.logout()


def test_the_log_is_shown_while_it_is_written(demo):
    client = demo.pop3()
    pid = demo.wait_for(r"^  \| .*START: pop3 pid=(\d+) from=\S*127\.0\.0\.1$")[1]
    client.quit()
    demo.wait_for(r"^  \| .*EXIT: pop3 status=0 pid=%s duration=\d+\(sec\)$" % pid)


def test_echo_and_daytime_are_answered_without_a_server(demo):
    with socket.create_connection(demo.addresses["echo"], PATIENCE) as c:
        c.sendall(b"hello\n")
        c.shutdown(socket.SHUT_WR)
        assert c.makefile("rb").read() == b"hello\n"
    with socket.create_connection(demo.addresses["daytime"], PATIENCE) as c:
        assert re.fullmatch(rb"\d+ [A-Z]{3} \d{4} \d\d:\d\d:\d\d \S+\r\n", c.makefile("rb").read())
    demo.wait_for(r"^  \| .*EXIT: echo status=0 ")


def test_a_connection_is_passed_on(demo):
    client = poplib.POP3(*demo.addresses["forward"], timeout=PATIENCE)
    client.user("demo")
    client.pass_("demo")
    assert client.stat()[0] == 3
    client.quit()
    demo.wait_for(r"^  \| .*START: forward pid=\d+ from=\S*127\.0\.0\.1$")
    demo.wait_for(r"^  \| .*TRAFFIC: forward in=\d\d\(bytes\) out=\d+\(bytes\)$")
    demo.wait_for(r"^  \| .*EXIT: pop3 status=0 ")


def test_a_taken_port_is_replaced_and_said(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        demo = start("--port-base", str(port - 110))
        assert demo.addresses["pop3"][1] != port
        assert "(port %d is taken)" % port in demo.header
        demo.pop3().quit()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_cleanly_with_a_session_open(demo, number):
    client = demo.imap4()
    daemon = demo.daemon()
    demo.process.send_signal(number)
    assert demo.wait() == 0
    assert "Traceback" not in demo.text and "panicked" not in demo.text
    assert os.listdir(demo.tmp) == []
    assert wait_for_end(daemon)
    client.sock.settimeout(PATIENCE)
    assert client.sock.recv(1) == b""


def test_ctrl_c_reaches_only_xinetctl(demo):
    """At a terminal the signal goes to its foreground process group, in which the daemon is not."""
    assert os.getpgid(demo.daemon()) != os.getpgid(demo.process.pid)


def test_the_end_of_the_daemon_is_reported(demo):
    os.kill(demo.daemon(), signal.SIGKILL)
    assert demo.wait() not in (0, None)
    assert "the daemon ended by itself" in demo.text
    assert os.listdir(demo.tmp) == []


def test_the_daemon_does_not_outlive_a_killed_xinetctl(demo):
    daemon = demo.daemon()
    demo.process.kill()
    demo.process.wait(PATIENCE)
    assert wait_for_end(daemon)


def test_the_files_are_private(demo):
    (directory,) = os.listdir(demo.tmp)
    directory = os.path.join(demo.tmp, directory)
    assert os.stat(directory).st_mode & 0o777 == 0o700
    assert os.stat(os.path.join(directory, "key.pem")).st_mode & 0o777 == 0o600


def test_a_path_with_spaces_is_no_obstacle(start, tmp_path):
    place = tmp_path / "my own projects"
    place.mkdir()
    binary = shutil.copy(XINETCTL, place / "xinetctl")
    demo = start(binary=binary)
    client = demo.pop3s()
    client.user("demo")
    assert client.pass_("demo").startswith(b"+OK")
    client.quit()
