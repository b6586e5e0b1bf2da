"""Mail in a machine: a user with two messages, a certificate, and logins to the four services."""
import imaplib
import os
import poplib
import ssl

from harness import REPO, listening, wait_until

PORTS = {"pop3": 110, "pop3s": 995, "imap4": 143, "imap4s": 993}
PREPARE = """
useradd -m alice
echo alice:secret | chpasswd
for n in 1 2; do
    printf 'From bob@example.org Mon Nov 16 10:00:00 2026\\nFrom: bob@example.org\\nSubject: message %s\\n\\nHello %s.\\n\\n' $n $n
done >/var/mail/alice
chown alice:mail /var/mail/alice
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 \
    -keyout /etc/xinetd-mail/key.pem -out /etc/xinetd-mail/cert.pem 2>/dev/null
chmod 600 /etc/xinetd-mail/*.pem
"""
# The mail servers of Debian 13 (mailutils 3.19) abort when they are to speak TLS to a client that they
# have not accepted themselves: there stunnel does it, and starts them.
STUNNEL = """
for name in pop3 imap4; do
    sed -i "s,/usr/sbin/${name}d,/usr/bin/stunnel4,; s,= --inetd.*,= /etc/xinetd-mail/${name}s.conf," /etc/xinetd.d/${name}s
    cat >/etc/xinetd-mail/${name}s.conf <<-END
	cert = /etc/xinetd-mail/cert.pem
	key = /etc/xinetd-mail/key.pem
	exec = /usr/sbin/${name}d
	execArgs = ${name}d --inetd --config-file=/etc/xinetd-mail/plain.conf
	END
done
"""


def prepare(machine):
    """The mail services of etc/, a user, and a certificate. xinetd is not told of it."""
    for name in PORTS:
        machine.copy(os.path.join(REPO, "etc/xinetd.d", name), "/etc/xinetd.d/")
    machine.copy(os.path.join(REPO, "etc/xinetd-mail"), "/etc/")
    machine.run(PREPARE + (STUNNEL if machine.release == "trixie" else ""))


def wait_served(machine, *names):
    with machine.network():
        for name in names or PORTS:
            assert wait_until(lambda: listening(PORTS[name])), "%s is not served on %s" % (name, machine.release)


def trusting(machine):
    return ssl.create_default_context(cadata=machine.read("/etc/xinetd-mail/cert.pem"))


def pop3(machine, tls=False):
    """A session that has logged in."""
    with machine.network():
        box = poplib.POP3_SSL("127.0.0.1", context=trusting(machine), timeout=60) if tls else poplib.POP3("127.0.0.1", timeout=20)
    box.user("alice")
    box.pass_("secret")
    return box


def imap4(machine, tls=False):
    """A session that has logged in."""
    with machine.network():
        box = imaplib.IMAP4_SSL("127.0.0.1", ssl_context=trusting(machine), timeout=60) if tls else imaplib.IMAP4("127.0.0.1", timeout=20)
    box.login("alice", "secret")
    return box


def read_all(machine):
    """Mail is read by each of the four services."""
    wait_served(machine)
    for tls in False, True:
        box = imap4(machine, tls)
        assert box.select("INBOX", readonly=True) == ("OK", [b"2"])
        assert b"Hello 2." in box.fetch("2", "(BODY.PEEK[])")[1][0][1]
        box.logout()
    for tls in False, True:
        box = pop3(machine, tls)
        assert box.stat()[0] == 2 and b"Hello 1." in box.retr(1)[1]
        box.quit()
