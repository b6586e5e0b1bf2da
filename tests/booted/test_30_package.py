"""The life of an operator with the package: over Debian's xinetd, upgraded, crashed, removed, and back."""
import os
import shutil
import subprocess

import pytest

import mail
from harness import REPO, connect, listening, recv_n, refused, wait_until

CONFFILES = sorted("/etc/" + os.path.relpath(os.path.join(d, f), os.path.join(REPO, "debian/etc"))
                   for d, _, files in os.walk(os.path.join(REPO, "debian/etc")) for f in files) + ["/etc/default/xinetd", "/etc/init.d/xinetd"]
EDITED = {                              # what an operator does to files of Debian's package
    "/etc/xinetd.conf": "sed -i 's/^defaults/# mine\\n&/; 0,/^}/s//\\tper_source = 30\\n}/' /etc/xinetd.conf",
    "/etc/xinetd.d/echo": "sed -i '0,/disable.*/s//disable = no/' /etc/xinetd.d/echo",
    "/etc/default/xinetd": "printf 'INETD_COMPAT=No\\nXINETD_OPTS=\"-stayalive -limit 40\"\\n' >/etc/default/xinetd",
}
ADDED = ["/etc/xinetd.d/" + name for name in mail.PORTS] + ["/etc/xinetd-mail/plain.conf", "/etc/xinetd-mail/tls.conf"]
# Debian 13 ends all sessions with the daemon, unless it is told to leave them alone.
KEEP_SESSIONS = "/etc/systemd/system/xinetd.service.d/sessions.conf"
OURS, OLD = "xinetd-rs", "xinetd"


KEEP = "-o Dpkg::Options::=--force-confold"


def install(machine, package, *options):
    """By name, or from a file that is not in the machine yet. Nobody is there to answer a question."""
    if os.path.isabs(package):
        package = copied(machine, package)
    return machine.run("apt-get -q -y %s install %s" % (" ".join(options), package))


def copied(machine, deb):
    machine.copy(deb, "/root/")
    return "/root/" + os.path.basename(deb)


def sums(machine, files):
    return machine.run("sha256sum %s" % " ".join(files))


def expect(machine, enabled="enabled", active="active", package=OURS):
    """What holds after every step: the unit's state, nothing failed, and whose the daemon is."""
    assert machine.status("systemctl is-enabled xinetd; systemctl is-active xinetd")[1].split("\n")[-2:] == [enabled, active]
    assert machine.run("systemctl --failed --quiet --plain --no-legend") == ""
    if package:
        assert machine.run("dpkg -S /usr/sbin/xinetd") == package + ": /usr/sbin/xinetd"


def state(machine, package):
    return machine.status("dpkg-query -W -f '${db:Status-Abbrev}' %s" % package)[1].strip()


def newer(deb, directory):
    """The same package with a higher version."""
    tree = os.path.join(directory, "tree")
    subprocess.run(["dpkg-deb", "-R", deb, tree], check=True)
    subprocess.run(["sed", "-i", "s/^Version: .*/&+newer/", tree + "/DEBIAN/control"], check=True)
    subprocess.run(["dpkg-deb", "-b", "-Znone", tree, directory], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(tree)
    found, = os.listdir(directory)
    return os.path.join(directory, found)


def pids(machine):
    """(monitor, engine), as the machine counts."""
    monitor = int(machine.run("systemctl show -P MainPID xinetd"))
    return monitor, int(machine.run("pgrep -P %d -f engine" % monitor))


@pytest.fixture
def operated(machine):
    """Debian's xinetd, with files of an operator's, serving mail."""
    for edit in EDITED.values():
        machine.run(edit)
    mail.prepare(machine)
    machine.write("/etc/services", machine.read("/etc/services") + "imap4 143/tcp\nimap4s 993/tcp\n")
    machine.write(KEEP_SESSIONS, "[Service]\nKillMode=process\n")
    machine.run("systemctl daemon-reload; systemctl restart xinetd")
    mail.read_all(machine)
    return machine


def test_the_life_of_an_operator(operated, deb, tmp_path):
    machine = operated
    files = list(EDITED) + ADDED
    before = sums(machine, files)
    session = mail.imap4(machine)

    install(machine, deb)
    expect(machine)
    assert sums(machine, files) == before
    assert session.noop()[0] == "OK", "a session with the old daemon goes on"
    assert "-limit 40" in machine.run("ps -o args= -p %d" % pids(machine)[0])
    mail.read_all(machine)
    assert state(machine, OLD) == "rc"

    machine.run("sed -i 's/^}/\\tinstances = 7\\n}/' /etc/xinetd.d/pop3; xinetctl check; systemctl reload xinetd")
    before = sums(machine, files)
    assert "instances" in machine.run("xinetctl explain pop3 | grep -w 7")
    expect(machine)
    mail.read_all(machine)

    old = pids(machine)
    held = mail.pop3(machine, tls=True)
    install(machine, newer(deb, tmp_path))
    expect(machine)
    assert pids(machine)[0] != old[0], "an upgrade restarts the daemon"
    assert session.noop()[0] == "OK" and held.stat()[0] == 2, "and leaves sessions alone"
    assert sums(machine, files) == before
    held.quit()
    mail.read_all(machine)

    monitor, engine = pids(machine)
    machine.run("kill -KILL %d" % engine)
    mail.read_all(machine)
    assert pids(machine)[0] == monitor
    machine.run("kill -KILL %d" % monitor)
    assert wait_until(lambda: machine.run("systemctl show -P MainPID xinetd") not in ("0", str(monitor)))
    mail.read_all(machine)
    assert session.noop()[0] == "OK"
    expect(machine)

    machine.run("dpkg --purge xinetd")
    expect(machine)
    assert sums(machine, files) == before
    assert machine.status("ls " + " ".join(CONFFILES))[0] == 0
    mail.read_all(machine)
    assert session.logout()[0] == "BYE"

    machine.power_off()
    machine.boot()
    expect(machine)
    mail.read_all(machine)

    machine.run("apt-get -q -y remove xinetd-rs")
    assert machine.status("systemctl is-active xinetd; systemctl --failed --quiet")[1] == "inactive"
    assert sums(machine, files) == before
    with machine.network():
        assert all(refused(port) for port in mail.PORTS.values())

    machine.run("dpkg --purge xinetd-rs")
    assert sums(machine, ADDED) == "\n".join(l for l in before.split("\n") if l.split()[1] in ADDED)
    assert machine.status("ls -d " + " ".join(CONFFILES) + " 2>/dev/null") == (2, "")
    assert machine.run("find /etc/systemd /etc/rc?.d -name '*xinetd*' ! -path '*.service.d*'; systemctl --failed --quiet") == ""


def test_going_back_to_debians_xinetd(operated, deb):
    machine = operated
    install(machine, deb)
    mail.read_all(machine)
    files = list(EDITED) + ADDED
    before = sums(machine, files)
    session = mail.imap4(machine)
    install(machine, OLD, KEEP)
    expect(machine, package=OLD)
    mail.read_all(machine)
    assert session.noop()[0] == "OK"
    machine.run("dpkg --purge xinetd-rs")
    expect(machine, package=OLD)
    assert sums(machine, files) == before
    machine.power_off()
    machine.boot()
    expect(machine, package=OLD)
    mail.read_all(machine)
    install(machine, deb)
    expect(machine)
    assert sums(machine, files) == before
    mail.read_all(machine)


GONE, LINKED = "/etc/xinetd.d/time", "/etc/xinetd.d/discard"


@pytest.fixture
def as_it_was(machine):
    """as_it_was(): checks all about the files of Debian's package, each of which the operator has edited, deleted or linked."""
    edited = " ".join(path for path in CONFFILES if path not in (GONE, LINKED))
    machine.run("rm %s; mv %s /root/mine; ln -s /root/mine %s; for f in %s; do echo '# mine' >>$f; touch -d @1 $f; done; chmod 640 /etc/xinetd.conf"
                % (GONE, LINKED, LINKED, edited))
    # An upgrade leaves a .dpkg-new beside a link, whatever the package.
    script = r"find /etc ! -type d -path '*xinetd*' ! -path '/etc/rc?.d/*' ! -path '/etc/systemd/*' ! -name '*.dpkg-new' " \
             r"-printf '%p %l %m %u %g %T@\n' | sort; sha256sum /root/mine " + edited
    before = machine.run(script)
    assert before.count("\n/etc/xinetd.d/") == 11

    def check():
        assert machine.run(script) == before
    return check


def test_an_unattended_installation_keeps_what_the_operator_has_done(machine, deb, as_it_was, tmp_path):
    out = install(machine, deb)
    expect(machine)
    as_it_was()
    assert "Keeping /etc/xinetd.conf, " in out and "Keeping %s, " % GONE not in out
    machine.run("dpkg --purge xinetd")
    as_it_was()
    install(machine, newer(deb, tmp_path))
    expect(machine)
    as_it_was()
    machine.run("dpkg --purge xinetd-rs")
    assert machine.status("ls -d %s 2>/dev/null" % " ".join(path for path in CONFFILES if path != LINKED)) == (2, "")


def test_an_installation_that_fails_or_is_cut_off_loses_nothing(machine, deb, as_it_was):
    file = copied(machine, deb)
    # What dpkg has overwritten it cannot put back from below an overlay.
    machine.run("dpkg -L xinetd | grep '\\.service$' | xargs -r sed -i ''")
    machine.run("""mkdir -p /root/other/DEBIAN /root/other/usr/sbin; touch /root/other/usr/sbin/xinetctl
        printf 'Package: in-the-way\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: nothing\n' >/root/other/DEBIAN/control
        dpkg-deb -b /root/other /root/other.deb; dpkg -i /root/other.deb""")
    assert machine.status("dpkg -i " + file)[0] != 0
    as_it_was()
    expect(machine, package=OLD)
    machine.run("dpkg --purge in-the-way; dpkg-deb -e %s /root/scripts; /root/scripts/preinst install; rm /etc/xinetd.conf" % file)
    machine.run("/root/scripts/preinst upgrade ''; /root/scripts/postrm abort-install")
    as_it_was()
    machine.run("dpkg --unpack %s; dpkg --unpack %s" % (file, file))
    machine.power_off()
    machine.boot()
    machine.run("dpkg --configure -a")
    expect(machine)
    as_it_was()


def test_who_wants_new_files_gets_them(machine, deb):
    machine.run("echo '# mine' >>/etc/xinetd.conf")
    install(machine, deb, "-o Dpkg::Options::=--force-confnew")
    expect(machine)
    with open(os.path.join(REPO, "debian/etc/xinetd.conf")) as f:
        assert machine.read("/etc/xinetd.conf") == f.read()
    assert machine.read("/etc/xinetd.conf.dpkg-old").endswith("# mine\n")


def test_files_that_nobody_has_edited_become_ours(machine, deb):
    install(machine, deb)
    expect(machine)
    for path in CONFFILES:
        ours = os.path.join(REPO, "debian" + path)
        if os.path.exists(ours):
            with open(ours) as f:
                assert machine.read(path) == f.read(), path
    assert machine.run("dpkg --verify xinetd-rs") == ""
    assert machine.run("find /etc -name '*.dpkg-*' -path '*xinetd*'") == ""
    assert " 0 available services" in machine.run("journalctl -u xinetd -o cat | tail -5")


def test_a_daemon_that_was_switched_off_stays_so(machine, deb):
    machine.run("systemctl stop xinetd; systemctl disable xinetd")
    install(machine, deb)
    expect(machine, "disabled", "inactive")
    install(machine, deb, "--reinstall")
    expect(machine, "disabled", "inactive")
    machine.run("systemctl enable --now xinetd; dpkg --purge xinetd")
    expect(machine)


def test_on_a_system_without_xinetd_it_runs_and_serves_nothing(machine, deb):
    machine.run("dpkg --purge xinetd")
    before = machine.run("ss -Hlntu")
    install(machine, deb)
    expect(machine)
    assert machine.run("ss -Hlntu") == before
    assert machine.run("xinetctl check; id -un xinetd; stat -c %U:%a /run/xinetd").endswith("\nxinetd\nroot:755")


def test_services_of_inetd_conf_go_on(machine, deb):
    machine.write("/etc/inetd.conf", "discard stream tcp nowait root /bin/cat cat\n")
    if machine.release == "trixie":     # the unit there did not read it
        machine.write("/etc/default/xinetd", "INETD_COMPAT=Yes\n")
    machine.run("systemctl restart xinetd")
    install(machine, deb)
    with machine.network():
        assert listening(9)
