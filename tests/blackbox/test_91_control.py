"""The control socket: who may ask, what it bears, and what `xinetctl status` and `reload` say."""
import json
import os
import random
import resource
import stat
import subprocess
import threading

import pytest

import control
from control import WHERE, ask, ctl, read_all, status
from harness import *
from procs import busy, cpu, engine, rss

pytestmark = pytest.mark.needs_sandbox
NOBODY = 65534


def sentinel_answers(xd):
    with connect(xd.sentinel) as s:
        s.sendall(b"still here\n")
        assert s.recv(100) == b"still here\n"


# ---------------------------------------------------------------- who may ask

def test_it_is_a_socket_for_root_that_goes_with_the_daemon(xd):
    xd.boot()
    mode = os.stat(WHERE)
    assert stat.S_ISSOCK(mode.st_mode) and stat.S_IMODE(mode.st_mode) == 0o600 and mode.st_uid == 0
    xd.signal(signal.SIGTERM)
    xd.wait_exit()
    assert not os.path.exists(WHERE)


def test_a_wrong_uid_is_refused_whatever_the_mode_of_the_file(xd):
    xd.boot()
    os.chmod(WHERE, 0o666)
    code = ("import socket; s = socket.socket(socket.AF_UNIX); s.connect(%r);"
            "print(s.makefile().read())" % WHERE)
    r = subprocess.run(["/usr/bin/python3", "-c", code], user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, text=True)
    assert "only root" in r.stdout and "daemon" not in json.loads(r.stdout), r
    os.chmod(WHERE, 0o600)
    r = subprocess.run([CTL, "status"], user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, text=True)
    assert r.returncode == 2 and "Only root may ask it." in r.stderr


def test_another_place_and_none(xd):
    xd.boot(args=["-control", xd.path("asks")])
    assert status(xd.path("asks"))[0]["pid"] == xd.proc.pid and not os.path.exists(WHERE)
    assert ctl("status", "--socket", xd.path("asks"))[0] == 0
    xd.signal(signal.SIGTERM)
    xd.wait_exit()
    xd.boot(args=["-control", "none"])
    assert not os.path.exists(WHERE)
    code, out, err = ctl("status")
    assert (code, out) == (2, "") and WHERE in err and "Is it running?" in err


def test_a_socket_that_is_left_over_is_replaced_and_one_in_use_is_not(xd, mk):
    xd.boot()
    other = mk()
    other.boot()
    assert "no control socket %s, nothing for xinetctl to ask: somebody else listens there" % WHERE in other.dlog()
    assert status()[0]["pid"] == xd.proc.pid
    xd.proc.kill()
    xd.wait_exit()
    other.signal(signal.SIGTERM)
    other.wait_exit()
    assert os.path.exists(WHERE), "who does not have it must not take it away"
    third = mk()
    third.boot()
    assert status()[0]["pid"] == third.proc.pid


# ---------------------------------------------------------------- what it bears

@pytest.mark.parametrize("line", [b"\n", b"status\n", b"{}\n", b'{"version":1,"command":"fly"}\n',
                                  b'{"version":1,"command":{"reload":{"file":"/etc/shadow"}}}\n',
                                  b'{"version":1,"command":"status","run":"/bin/sh"}\n', b"\xff\xfe\n", b"[" * 4000 + b"\n"])
def test_what_is_no_request_gets_a_reason_and_nothing_else(xd, line):
    xd.boot()
    with control.connect() as s:
        s.sendall(line)
        answer = json.loads(read_all(s))
    assert list(answer) == ["failed"] and "no request" in answer["failed"]["why"]
    sentinel_answers(xd)


def test_bytes_of_every_kind_in_pieces_of_every_size_change_nothing(xd):
    xd.boot()
    seed = int(os.environ.get("SEED", "91"))
    dice = random.Random(seed)
    good = b'{"version":1,"command":"status"}\n'
    before = status()[0]
    for number in range(400):
        line = bytearray(good if dice.random() < .7 else dice.randbytes(dice.randrange(5000)))
        for _ in range(dice.randrange(4)):
            if line:
                line[dice.randrange(len(line))] = dice.randrange(256)
        with control.connect() as s:
            try:
                while line:
                    size = dice.randrange(1, 600)
                    s.sendall(line[:size])
                    del line[:size]
                if dice.random() < .5:
                    s.shutdown(socket.SHUT_WR)
                    read_all(s)
            except (BrokenPipeError, ConnectionResetError):
                pass                        # it had heard enough
    after = status()[0]
    assert (after["pid"], after["engine"]["pid"], after["generation"]) == (before["pid"], before["engine"]["pid"], 1), seed
    sentinel_answers(xd)


def test_another_version_is_told_which_one_is_spoken(xd):
    xd.boot()
    with control.connect() as s:
        s.sendall(b'{"version":7,"command":{"what":"ever"}}\n')
        assert "only 1" in json.loads(read_all(s))["failed"]["why"]


def test_a_request_without_end_is_cut(xd):
    xd.boot()
    with control.connect() as s:
        s.sendall(b"x" * 4096)
        assert "4096" in json.loads(read_all(s))["failed"]["why"]


def test_a_thousand_clients_at_once_are_all_answered_and_clients_of_services_meanwhile(xd):
    xd.boot()
    answers, waiting = [], [control.connect() for _ in range(32)]  # as many as are served at a time
    one = control.connect()             # and one more, who has to wait

    def customer():
        answers.append(ask("status")[-1][0])
    threads = [threading.Thread(target=customer) for _ in range(1000)]
    for t in threads:
        t.start()
    sentinel_answers(xd)
    assert not answers
    for s in waiting:
        s.close()
    for t in threads:
        t.join(60)
    assert answers == ["done"] * 1000
    one.sendall(b'{"version":1,"command":"status"}\n')
    assert b'"done"' in read_all(one)
    before = xd.proc.pid
    assert wait_until(lambda: len(os.listdir("/proc/%d/fd" % before)) < 25), os.listdir("/proc/%d/fd" % before)


def test_a_client_that_never_reads_costs_nothing_and_is_let_go(xd, ports):
    many = [cat("s%d" % p, p) for p in ports(40)]
    xd.boot(*many)
    monitor = xd.proc.pid
    before = rss(monitor)
    deaf = []
    for _ in range(32):
        s = control.connect()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        s.sendall(b'{"version":1,"command":"status"}\n')
        deaf.append(s)
    sentinel_answers(xd)
    assert xd.alive() and rss(monitor) < before + 4096
    # The next one is served as soon as the others have had their time.
    assert status()[0]["pid"] == monitor
    assert wait_until(lambda: rss(monitor) < before + 2048)


@pytest.mark.parametrize("descriptors", range(62, 70))
def test_services_that_take_all_descriptors_there_are_leave_one_to_ask(xd, ports, descriptors):
    """With some left out for want of descriptors, and with just enough."""
    many = ports(50)
    few = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
    xd.start("".join(cat("s%d" % n, p) for n, p in enumerate(many)), expect=many[:1], preexec=few)
    xd.wait_dlog("Started working: ")
    code, out, err = control.ctl("status")
    left_out = "Not in force:" in out
    assert code == left_out and "s0 " in out and not err, (code, err)
    code, out, err = control.ctl("reload")
    assert code == left_out and ("RLIMIT_NOFILE leaves room for" in err) == left_out, (code, err)
    assert talk(many[0], b"x") == b"x"


def test_clients_of_the_socket_take_no_descriptor_that_a_connection_needs(xd):
    xd.boot(preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40)))
    idle = [control.connect() for _ in range(60)]
    before = cpu(xd.proc.pid)
    for _ in range(5):
        sentinel_answers(xd)
    assert "no available descriptors" not in xd.dlog()
    assert idle[0].recv(1) == b"", "it has asked nothing for five seconds"
    assert cpu(xd.proc.pid) - before < 1, "and nobody was busy with those who wait"
    for s in idle:
        s.close()
    assert wait_until(lambda: ask("status")[-1][0] == "done")


def test_who_asks_nothing_is_let_go(xd):
    xd.boot()
    with control.connect() as s:
        assert s.recv(1) == b""
    sentinel_answers(xd)


# ---------------------------------------------------------------- status

def test_every_client_is_counted_by_what_became_of_it(xd, ports):
    a, b, c, d = ports(4)
    xd.boot(service("open", a, server="/bin/cat", instances="1", log_type="FILE /dev/null", log_on_failure="HOST"),
            service("shut", b, server="/bin/cat", no_access="127.0.0.1"),
            internal("time", c), internal("echo", d, "dgram"), up=[a, b, c])
    assert status()[1]["open"]["last"] is None
    with connect(a) as held:
        held.sendall(b"x")
        assert held.recv(1) == b"x"
        with connect(a) as second:
            assert second.recv(1) == b""
        for _ in range(3):
            with connect(b) as s:
                assert s.recv(1) == b""
        with connect(c) as s:
            assert len(read_all(s)) == 4
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
            u.settimeout(patience())
            for _ in range(5):
                u.sendto(b"ping", ("127.0.0.1", d))
                assert u.recv(10) == b"ping"
        # Those that no log has a line about come a second late.
        wanted = lambda: [(s["accepted"], s["refused"], s["sessions"]) for s in map(status()[1].get, ("open", "shut", "time-stream", "echo-dgram"))]
        assert wait_until(lambda: wanted() == [(1, {"service_limit": 1}, 1), (0, {"address": 3}, 0), (1, {}, 0), (5, {}, 0)]), wanted()
        daemon, services, left_out = status()
        assert (daemon["sessions"], left_out, services["open"]["limit"]) == (1, {}, 1)
        assert abs(services["open"]["last"] - time.time()) < 60
    assert wait_until(lambda: status()[0]["sessions"] == 0)
    code, out, _ = ctl("status")
    assert code == 0 and re.search(r"(?m)^open +active +0/1 +1 .* 1 +\S+ +1 service_limit$", out), out
    assert ctl("status", "open")[1].count("active") == 1
    code, _, err = ctl("status", "nobody")
    assert (code, "there is no service nobody" in err) == (1, True)


def test_a_service_is_suspended_while_a_server_has_its_socket(xd):
    port = free_port()
    xd.boot(service("held", port, server=xd.script("held", "#!/bin/sh\nexec sleep 1000\n"), wait="yes"))
    assert status()[1]["held"]["state"] == "active"
    with connect(port):
        assert wait_until(lambda: status()[1]["held"]["state"] == "suspended")
    assert status()[1]["held"]["sessions"] == 1 and ctl("status")[0] == 0, "nothing is wrong with that"


def test_a_service_is_closed_by_cps_until_then_and_the_status_says_so(xd):
    port = free_port()
    xd.boot(service("busy", port, server="/bin/cat", cps="1 30"))
    come_too_often(port)
    assert wait_until(lambda: status()[1]["busy"]["state"] == "closed")
    busy = status()[1]["busy"]
    assert 0 <= busy["until"] - time.time() <= 32
    code, out, _ = ctl("status")
    assert code == 1 and re.search(r"(?m)^busy +closed for \d+ s ", out), out


def test_what_is_left_out_is_named_with_its_mistake(xd, ports):
    a, b, c = ports(3)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", c))
        taken.listen()
        xd.boot(cat("good", a), service("bad", b, server="/nonexistent"), cat("taken", c, bind="127.0.0.1"))
        daemon, services, left_out = status()
        assert sorted(services) == ["good", "sentinel"] and sorted(left_out) == ["bad", "taken"]
        bad, lost = left_out["bad"], left_out["taken"]
        lines = open(xd.conf).read().splitlines()
        assert bad["place"]["file"] == xd.conf and "/nonexistent" in lines[bad["place"]["line"] - 1] and "/nonexistent" in bad["why"]
        assert "bind failed" in lost["why"] and str(c) in lost["why"] and not lost["goes_on"]
        code, out, _ = ctl("status")
        assert code == 1 and "Not in force:" in out and "%s:%d:" % (xd.conf, bad["place"]["line"]) in out
        assert json.loads(ctl("status", "--json")[1])["left_out"] == [bad, lost]


def test_an_engine_that_died_is_told_of_and_the_counts_stay(xd):
    port = free_port()
    xd.boot(cat("c", port))
    with connect(port) as s:
        s.sendall(b"x")
        assert s.recv(1) == b"x"
        first = engine(xd.proc.pid)
        os.kill(first, signal.SIGKILL)
        second = engine(xd.proc.pid, first)
        daemon, services, _ = status()
        assert (daemon["engine"]["pid"], daemon["engine_crashes"]) == (second, 1)
        assert (services["c"]["accepted"], services["c"]["sessions"]) == (1, 1)


def test_a_thousand_services_are_told_of(xd):
    ports = range(10000, 11000)
    xd.boot(*[cat("s%d" % p, p) for p in ports])
    assert len(status()[1]) == 1001


# ---------------------------------------------------------------- reload

def test_a_reload_says_what_has_changed_and_waits_until_it_is_in_force(xd, ports):
    a, b, c, d = ports(4)
    last = cat("sentinel", free_port())
    xd.start(cat("stays", a) + cat("other", b) + cat("moves", c) + cat("goes", d) + last, expect=[a, b, c, d])
    xd.wait_dlog("Started working: ")
    xd.config(cat("stays", a) + cat("other", b, instances="7") + cat("moves", c, bind="127.0.0.2") + last + cat("comes", d))
    code, out, err = ctl("reload")
    assert (code, err) == (0, "")
    assert out == "added: comes\nchanged: other\nreopened: moves\ndropped: goes\nunchanged: 2 services\n"
    connect(c, addr="127.0.0.2").close()
    assert ctl("reload")[1] == "nothing has changed: 5 services\n"
    assert status()[0]["generation"] == 3


def test_a_reload_that_takes_nothing_over_fails_and_shows_why(xd):
    port = free_port()
    xd.boot(cat("c", port))
    good = open(xd.conf).read()
    xd.config(good + "defaults\n{\n\tinstances = many\n}\n")
    code, out, err = ctl("reload")
    assert (code, out) == (1, "")
    assert re.search(r"(?m)^%s:\d+:\d+: error: " % re.escape(xd.conf), err) and "xinetctl: nothing was taken over: " in err
    daemon = status()[0]
    assert daemon["generation"] == 1 and daemon["reload_failed"]["why"] in err
    code, out, _ = ctl("status")
    assert code == 1 and "THE LAST RELOAD" in out
    xd.config(good)
    assert ctl("reload")[0] == 0 and status()[0]["reload_failed"] is None


def test_an_entry_with_a_mistake_goes_on_as_it_was_and_both_say_so(xd):
    port = free_port()
    xd.boot(cat("c", port))
    xd.config(open(xd.conf).read().replace("/bin/cat", "/nonexistent", 1))
    code, out, err = ctl("reload")
    assert code == 0 and "error: " in err and "go on as before" in err
    assert status()[2]["c"]["goes_on"] and listening(port)
    assert "(it goes on as it was)" in ctl("status")[1]


def test_many_reloads_at_once_are_each_answered(xd):
    xd.boot()
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(ctl("reload"))) for _ in range(12)]
    for t in threads:
        t.start()
    xd.hup()
    for t in threads:
        t.join(60)
    assert answers == [(0, "nothing has changed: 1 service\n", "")] * 12


def test_who_has_said_everything_still_hears_the_answer(xd, ports):
    a, = ports(1)
    xd.boot()
    xd.config(open(xd.conf).read() + cat("a", a))
    e = engine(xd.proc.pid)
    os.kill(e, signal.SIGSTOP)
    try:
        with control.connect() as s, control.connect() as gone:
            for one in s, gone:
                one.sendall(b'{"version":1,"command":{"reload":{}}}\n')
                one.shutdown(socket.SHUT_WR)
            gone.close()
            xd.wait_dlog("Starting reconfiguration")
            before = busy(xd.proc.pid)
            s.settimeout(0.5)
            with pytest.raises(socket.timeout):
                read_all(s)
            assert busy(xd.proc.pid) - before < 0.2, "it turns for nothing"
            os.kill(e, signal.SIGCONT)
            s.settimeout(patience())
            lines = [json.loads(l) for l in read_all(s).splitlines()]
    finally:
        os.kill(e, signal.SIGCONT)
    assert lines[-1] == {"done": {}} and lines[-2]["difference"]["added"] == ["a"]


def test_an_engine_that_dies_during_a_reload_does_not_leave_anybody_waiting(xd, ports):
    xd.boot(*[cat("s%d" % p, p) for p in ports(30)])
    os.kill(engine(xd.proc.pid), signal.SIGSTOP)
    with control.connect() as s:
        s.sendall(b'{"version":1,"command":{"reload":{}}}\n')
        assert wait_until(lambda: status()[0]["is_changing"])
        os.kill(engine(xd.proc.pid), signal.SIGKILL)
        assert read_all(s).endswith(b'{"done":{}}\n')
    sentinel_answers(xd)


def test_who_waits_and_goes_away_is_forgotten(xd):
    xd.boot()
    os.kill(engine(xd.proc.pid), signal.SIGSTOP)
    with control.connect() as s:
        s.sendall(b'{"version":1,"command":{"reload":{}}}\n')
        assert wait_until(lambda: status()[0]["is_changing"])
    os.kill(engine(xd.proc.pid), signal.SIGCONT)
    assert wait_until(lambda: not status()[0]["is_changing"])
    sentinel_answers(xd)
