"""`xinetctl check` and `xinetd -t`: what the daemon would say, with a status and in three formats."""
import json
import os
import pty
import pwd
import select
import subprocess

import pytest

import harness
from harness import *

PLACE = {"file": str, "line": int, "column": int, "end_line": int, "end_column": int}
TEXT = (str, type(None))
NOTE = dict(PLACE, level=str, code=str, message=str, label=TEXT, help=TEXT, instead=list, not_in_force=TEXT,
            related=(dict, type(None)), legacy=TEXT)
SUMMARY = {"errors": int, "warnings": int, "notes": int, "not_in_force": int, "files": int, "services": int,
           "switched_off": int, "left_out": int, "would_start": bool, "uid": int}


def run(*args, **kw):
    kw.setdefault("cwd", "/")
    r = subprocess.run(list(args), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       env=dict(os.environ, TERM="xterm-256color"), timeout=60, **kw)
    return r.returncode, r.stdout.decode("utf-8"), r.stderr.decode("utf-8")


def check(*args, **kw):
    return run(CTL, "check", *args, **kw)


def summary(*args):
    return json.loads(check("--format", "json", *args)[1])["summary"]


@pytest.fixture
def tree(xd, ports):
    """A main file that includes two services."""
    os.mkdir(xd.path("xinetd.d"))
    for name, port in zip("ab", ports(2)):
        xd.write("xinetd.d/" + name, cat(name, port))
    xd.config(logdefaults(xd) + "includedir %s\n" % xd.path("xinetd.d"))
    xd.a, xd.b, xd.d = xd.path("xinetd.d/a"), xd.path("xinetd.d/b"), xd.path("xinetd.d")
    return xd


def add(path, line):
    with open(path) as f:
        text = f.read()
    write(path, text.replace("}", "\t%s\n}" % line))


def test_a_good_configuration_is_one_line_and_status_0(tree):
    code, out, err = check(tree.conf)
    assert (code, err) == (0, "")
    if os.geteuid() == 0:
        assert out == "no mistakes in 3 files; 2 services would start\n"


def test_a_mistake_is_status_1_and_the_last_line_counts(tree):
    add(tree.a, "nice = none")
    add(tree.b, "frobnicate = yes")
    code, out, _ = check(tree.conf)
    assert code == 1 and "error[bad-number]" in out
    assert out.splitlines()[-1] == "1 error, 1 warning in 3 files; 1 service would start, 1 left out"
    assert "\x1b" not in out, "no terminal, no colour"


def test_what_is_off_is_counted_apart_from_what_is_wrong(tree):
    add(tree.a, "disable = yes")
    assert check(tree.conf)[1].splitlines()[-1] == "no mistakes in 3 files; 1 service would start, 1 switched off"
    tree.config("defaults\n{\n\tdisabled = b\n}\nincludedir %s\n" % tree.d)
    assert check(tree.conf)[1].splitlines()[-1] == "no mistakes in 3 files; no service would start, 2 switched off"
    assert summary(tree.conf) == dict(summary(tree.conf), services=0, switched_off=2, left_out=0)


def test_warnings_are_mistakes_when_strict(tree):
    add(tree.a, "frobnicate = yes")
    assert check(tree.conf)[0] == 0
    assert check("--strict", tree.conf)[0] == 1
    assert check("--strict", tree.b)[0] == 0


def test_usage_and_what_cannot_be_read_are_status_2(tree):
    for args in (["--frobnicate"], ["--format", "xml"], ["--color", "sometimes"]):
        code, out, err = check(*args)
        assert (code, out) == (2, "") and "Usage:" in err or "possible values" in err, args
    code, out, err = check(tree.path("nothing"))
    assert (code, out) == (2, "") and err.startswith("xinetctl: cannot read %s: No such file" % tree.path("nothing"))
    code, out, err = check(tree.path("nothing"), tree.a)
    assert code == 2 and "cannot read" in err and "1 cannot be read; 1 service would start" in out


def test_a_single_file_and_a_directory_are_checked_as_includedir_reads_them(tree):
    tree.write("xinetd.d/c.conf", "nonsense")
    tree.write("xinetd.d/b~", "nonsense")
    os.mkdir(tree.path("xinetd.d/sub"))
    assert summary(tree.a) == dict(summary(tree.a), files=1, services=1, errors=0)
    assert summary(tree.d) == dict(summary(tree.d), files=2, services=2, errors=0)
    assert summary(tree.a, tree.d)["services"] == 3, "each by itself, one sum"
    add(tree.b, "nice = none")
    assert check(tree.a)[0] == 0 and check(tree.d)[0] == 1 and check(tree.a, tree.d)[0] == 1
    assert run(CTL, "check", "xinetd.d/a", cwd=tree.dir)[0] == 0


def test_one_socket_twice_in_a_directory_is_found(tree):
    with open(tree.a) as f:
        tree.write("xinetd.d/c", f.read().replace("service a", "service c"))
    code, out, _ = check(tree.d)
    assert code == 1 and "duplicate-socket" in out


def test_short_is_a_line_for_each_mistake(tree):
    add(tree.a, "only_form = 10.0.0.0")
    add(tree.b, "nice = none")
    code, out, _ = check("--format", "short", tree.conf)
    lines = out.splitlines()
    assert code == 1 and len(lines) == 2
    assert re.match(r"%s:\d+:2: warning: `only_form` is not an attribute" % re.escape(tree.a), lines[0])
    assert re.match(r"%s:\d+:9: error: " % re.escape(tree.b), lines[1])


def has_shape(found, shape):
    assert set(found) == set(shape)
    for name, kind in shape.items():
        assert isinstance(found[name], kind), (name, found[name])


def test_json_has_the_documented_fields(tree):
    add(tree.a, "instances = 5 # five")
    add(tree.b, "only_from = 10.0.0.0")
    add(tree.b, "user = nobody")
    code, out, _ = check("--format", "json", tree.conf)
    document = json.loads(out)
    assert code == 0
    has_shape(document, {"version": int, "diagnostics": list, "differences": list, "unreadable": list, "summary": dict})
    has_shape(document["summary"], SUMMARY)
    for note in document["diagnostics"]:
        has_shape(note, NOTE)
        assert note["level"] in ("error", "warning", "note")
        if note["related"]:
            has_shape(note["related"], dict(PLACE, message=str))
    comment, again = document["diagnostics"]
    assert (comment["code"], comment["not_in_force"]) == ("comment-as-value", "instances")
    assert comment["instead"] == ["# five", "instances = 5"]
    with open(tree.a) as f:
        line = f.read().split("\n")[comment["line"] - 1]
    assert line[comment["column"] - 1:comment["end_column"] - 1] == "# five"
    assert again["code"] == "repeated-attribute" and again["related"]["line"] < again["line"]
    assert document["summary"]["uid"] == os.geteuid()


def test_json_is_utf_8_whatever_the_files_are(tree):
    with open(os.fsencode(tree.path("xinetd.d/")) + b"l\xe4tin", "wb") as f:
        f.write(b"service c\n{\n\tb\xfc\x1b = \xe4\n}\n")
    document = json.loads(check("--format", "json", tree.conf)[1])
    found = next(n for n in document["diagnostics"] if n["code"] == "unknown-attribute")
    assert found["file"].endswith("l\ufffdtin") and "b\ufffd\x1b" in found["message"]
    assert (found["column"], found["end_column"]) == (2, 5)
    for form in ("human", "short"):
        assert "\x1b" not in check("--format", form, tree.conf)[1]


def test_json_names_what_cannot_be_read(tree):
    code, out, _ = check("--format", "json", tree.path("nothing"))
    document = json.loads(out)
    assert code == 2 and tree.path("nothing") in document["unreadable"][0]
    assert document["summary"]["would_start"] is False


def test_limits_that_a_comment_switches_off_are_named_first_and_counted(tree):
    add(tree.a, "per_source = 10 # ten")
    add(tree.b, "cps = 25 30 # thirty")
    code, out, _ = check(tree.conf)
    assert code == 0
    assert "]: `per_source` is NOT in force: `# ten` is read as values" in out
    assert re.search(r"(?m)^ +# ten\n +per_source = 10$", out), out
    lines = out.splitlines()
    assert "2 lines that should keep clients out are NOT in force" in lines[-1]
    assert re.fullmatch(r"NOT in force: `per_source`, %s:\d+" % re.escape(tree.a), lines[-3])
    assert re.fullmatch(r"NOT in force: `cps`, %s:\d+" % re.escape(tree.b), lines[-2])
    assert t(tree)[2].splitlines()[-3:] == lines[-3:], "whoever checks"


def test_a_rejected_default_is_said_to_keep_xinetd_from_starting(tree):
    tree.config("defaults\n{\n\tinstances = many\n}\nincludedir %s\n" % tree.d)
    code, out, _ = check(tree.conf)
    assert code == 1 and out.splitlines()[-1].endswith("xinetd would NOT start")
    assert summary(tree.conf)["would_start"] is False


def on_terminal(*cmd, **env):
    master, slave = pty.openpty()
    with subprocess.Popen(cmd, stdin=subprocess.DEVNULL, stdout=slave, stderr=slave, cwd="/",
                          env=dict(os.environ, TERM="xterm-256color", **env)) as p:
        os.close(slave)
        out = b""
        while select.select([master], [], [], 10)[0]:
            try:
                part = os.read(master, 65536)
            except OSError:             # the other end is closed
                break
            out += part
        os.close(master)
    return p.returncode, out.decode()


def test_colour_is_for_terminals_unless_told_otherwise(tree):
    add(tree.a, "frobnicate = yes")
    colour = lambda *args, **env: "\x1b[" in on_terminal(CTL, "check", *args, tree.conf, **env)[1]
    assert colour() and not colour("--color", "never") and not colour(NO_COLOR="1") and not colour("--format", "short")
    assert colour("--color", "always", NO_COLOR="1")
    assert "\x1b[" in check("--color", "always", tree.conf)[1]


@pytest.mark.needs_root
def test_another_user_is_told_whose_look_ups_these_are(tree):
    os.chmod(tree.a, 0o600)
    nobody = pwd.getpwnam("nobody")
    ctl = tree.path("xinetctl")         # where nobody may run it
    with open(CTL, "rb") as f, open(ctl, "wb") as g:
        g.write(f.read())
    os.chmod(ctl, 0o755)
    code, out, _ = run(ctl, "check", tree.conf, user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[])
    assert code == 1 and "Permission denied" in out
    assert "checked as uid %d, not as root" % nobody.pw_uid in out.splitlines()[-2]


# ---------------------------------------------------------------- xinetd -t

def t(xd, *args):
    return run(harness.BIN, "-t", "-f", xd.conf, *args)


def test_t_says_what_check_says_on_stderr(tree):
    add(tree.a, "frobnicate = yes")
    code, out, err = t(tree)
    assert (code, out) == (0, "")
    lines = err.splitlines()
    assert re.match(r"%s:\d+:2: warning: " % re.escape(tree.a), lines[0])
    assert lines[-1] == check(tree.conf)[1].splitlines()[-1]
    add(tree.b, "nice = none")
    assert t(tree)[0] == 1
    tree.config("")
    assert t(tree) == (0, "", t(tree)[2])


def test_t_on_a_terminal_quotes_the_line(tree):
    add(tree.a, "frobnicate = yes")
    code, out = on_terminal(harness.BIN, "-f", tree.conf, "-t")
    assert code == 0 and "\x1b[" in out and "^^^^" in out


def test_t_touches_nothing(tree):
    port = free_port()
    tree.write("xinetd.d/c", cat("c", port))
    before = sorted(os.listdir(tree.dir))
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        code, _, err = t(tree, "-pidfile", tree.pidfile, "-filelog", tree.daemonlog)
    assert code == 0 and err.splitlines()[-1].startswith("no mistakes in 4 files")
    assert sorted(os.listdir(tree.dir)) == before, "no pid file, no log"


def test_t_without_a_file_is_status_1(tree):
    code, out, err = run(harness.BIN, "-t", "-f", tree.path("nothing"))
    assert (code, out) == (1, "") and "cannot read %s" % tree.path("nothing") in err
    assert run(harness.BIN, "-t", "-f")[0] == 1, "CLI-19"
    assert run(harness.BIN, "-t", "-f", tree.conf, "extra")[2].startswith("Usage: "), "CLI-18"


def test_t_takes_the_directory_it_is_started_in(tree):
    tree.config("includedir xinetd.d\n")
    assert run(harness.BIN, "-t", "-f", "xinetd.conf", cwd=tree.dir)[0] == 0, "START-10"
