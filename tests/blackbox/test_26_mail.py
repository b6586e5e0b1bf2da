"""The main job: mail clients read mail through the files in etc/, exactly as they are.

In the sandbox the real ports are free and /etc is a private copy, so not a byte
of etc/ has to be changed: the files are put where an operator puts them."""
import imaplib
import os
import poplib
import shutil
import ssl
import subprocess

import pytest

import harness
from harness import *

pytestmark = [pytest.mark.needs_sandbox,
              pytest.mark.skipif(not os.path.exists("/usr/sbin/imap4d"), reason="needs mailutils-pop3d and mailutils-imap4d")]

PORTS = {"pop3": 110, "pop3s": 995, "imap4": 143, "imap4s": 993}
MESSAGE = """From bob@example.org Mon Nov 16 10:0%(n)d:00 2026
Return-Path: <bob@example.org>
From: Bob <bob@example.org>
To: alice@localhost
Subject: %(subject)s
Date: Mon, 16 Nov 2026 10:0%(n)d:00 +0000
Message-ID: <%(n)d@example.org>

Hello %(n)d.

"""


def run(*args, **kw):
    r = subprocess.run(args, capture_output=True, text=True, **kw)
    assert r.returncode == 0, r.stderr


@pytest.fixture(scope="module")
def alice():
    """A system user with two messages and a password, in the private /etc and a private spool."""
    run("mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", "/var/mail")
    run("useradd", "-M", "-d", "/nonexistent", "alice")
    run("chpasswd", input="alice:secret\n")
    harness.write("/var/mail/alice", "".join(MESSAGE % {"n": n, "subject": s} for n, s in ((1, "first"), (2, "second"))), 0o660)
    shutil.chown("/var/mail/alice", "alice", "mail")
    run("popauth", "--add", "-f", "/etc/apop.db", "--user=alice", "--password=secret")        # curl insists on APOP
    yield
    run("umount", "/var/mail")
    run("userdel", "alice")


@pytest.fixture(scope="module")
def operator():
    """What an operator does: copy etc/, make the engine's account and a certificate."""
    shutil.rmtree("/etc/xinetd.d", ignore_errors=True)
    shutil.copytree(os.path.join(REPO, "etc"), "/etc", dirs_exist_ok=True)
    run("systemd-sysusers", os.path.join(REPO, "systemd/xinetd.sysusers"))
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
        "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", "/etc/xinetd-mail/key.pem", "-out", "/etc/xinetd-mail/cert.pem")
    for name in ("key.pem", "cert.pem"):
        os.chmod("/etc/xinetd-mail/" + name, 0o600)
    yield
    shutil.rmtree("/etc/xinetd-mail")


@pytest.fixture
def mail(daemon, etc, alice, operator):
    """The daemon on /etc/xinetd.conf."""
    if daemon.original:                 # ours knows imap4 and imap4s by itself
        etc("services", "imap4 143/tcp\nimap4s 993/tcp\n", append=True)
    with open("/etc/xinetd.d/pop3") as f:
        etc("xinetd.d/pop3", f.read())  # a test may edit it
    daemon.start(conf_arg=False, expect=PORTS.values(), env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    return daemon


def trusting():
    return ssl.create_default_context(cafile="/etc/xinetd-mail/cert.pem")


def curl(url):
    return subprocess.run(["curl", "-sS", "--max-time", "20", "--cacert", "/etc/xinetd-mail/cert.pem", "-u", "alice:secret", url],
                          check=True, capture_output=True, text=True).stdout


def test_the_files_load_without_a_diagnostic(mail):
    mail.wait_dlog("Started working: 4 available services")
    assert not re.search("WARNING|ERROR|CRITICAL", mail.dlog()), mail.dlog()


@pytest.mark.parametrize("scheme", ["pop3", "pop3s"])
def test_curl_lists_and_fetches_by_pop3(mail, scheme):
    assert [l.split()[0] for l in curl("%s://localhost/" % scheme).split("\n") if l.strip()] == ["1", "2"]
    assert "Subject: first" in curl("%s://localhost/1" % scheme) and "Hello 2." in curl("%s://localhost/2" % scheme)


@pytest.mark.parametrize("scheme", ["imap", "imaps"])
def test_curl_lists_and_fetches_by_imap(mail, scheme):
    assert "INBOX" in curl("%s://localhost/" % scheme)
    assert "Subject: first" in curl("%s://localhost/INBOX;MAILINDEX=1" % scheme)
    assert "Hello 2." in curl("%s://localhost/INBOX;MAILINDEX=2" % scheme)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_poplib_lists_and_fetches(mail, tls):
    box = poplib.POP3_SSL("localhost", context=trusting()) if tls else poplib.POP3("localhost")
    box.user("alice")
    box.pass_("secret")
    assert len(box.list()[1]) == 2 and box.stat()[0] == 2
    assert b"Subject: second" in box.retr(2)[1] and b"Hello 1." in box.retr(1)[1]
    box.quit()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_imaplib_lists_and_fetches(mail, tls):
    box = imaplib.IMAP4_SSL("localhost", ssl_context=trusting()) if tls else imaplib.IMAP4("localhost")
    box.login("alice", "secret")
    assert any(b"INBOX" in l for l in box.list()[1])
    assert box.select("INBOX", readonly=True) == ("OK", [b"2"])
    assert b"Subject: first" in box.fetch("1", "(BODY.PEEK[])")[1][0][1]
    box.logout()


def test_a_disabled_pop3_is_gone_after_sighup_and_the_others_stay(mail):
    session = imaplib.IMAP4("localhost")
    harness.write("/etc/xinetd.d/pop3", open("/etc/xinetd.d/pop3").read().replace("disable\t\t= no", "disable\t\t= yes"))
    mail.hup()
    mail.wait_closed(110)
    mail.wait_dlog(r"Reconfigured: new=0 old=3 dropped=1 \(services\)")
    assert refused(110)
    session.login("alice", "secret")
    session.logout()
    assert "Subject: first" in curl("imaps://localhost/INBOX;MAILINDEX=1") and "Hello 2." in curl("pop3s://localhost/2")


def test_logins_are_logged(daemon, etc, syslog, alice, operator):
    if daemon.original:
        etc("services", "imap4 143/tcp\nimap4s 993/tcp\n", append=True)
    daemon.start(conf_arg=False, expect=PORTS.values())
    curl("pop3://127.0.0.1/")
    line = syslog.wait(r"START: pop3 ")[0]
    assert re.search(r"<30>.*xinetd\[\d+\]: START: pop3 pid=\d+ from=(::ffff:)?127\.0\.0\.1$", line), line
    assert re.search(r"EXIT: pop3 status=0 pid=\d+ duration=\d+\(sec\)$", syslog.wait("EXIT: pop3 ")[0])


def test_real_clients_come_through_a_redirect(mail, etc):
    """To pop3 on this machine, by its name."""
    port = free_port()
    etc("xinetd.d/forward", service("forward", port, redirect="localhost pop3", bind=None))
    mail.hup()
    mail.wait_port(port)
    box = poplib.POP3("127.0.0.1", port)
    box.user("alice")
    box.pass_("secret")
    assert len(box.list()[1]) == 2 and b"Hello 1." in box.retr(1)[1]
    box.quit()
    assert "Subject: first" in curl("pop3://localhost:%d/1" % port)
