"""`xinetctl explain`: a service value by value, with the line each comes from; and attributes."""
import os
import pwd
import subprocess

import pytest

from harness import *

MAIN = """defaults
{
	log_type	= FILE /var/log/none
	log_on_success	= PID
	instances	= 20
	passenv		= PATH
}
"""
SERVICE = """service %s
{
	type		= UNLISTED
	port		= %d
	socket_type	= stream
	wait		= no
	user		= %s
	server		= /bin/cat
	server_args	= -u -
	log_on_success	+= HOST
	env		= LANG=C
	%s
}
"""


def ctl(*args, **kw):
    r = subprocess.run([CTL, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       timeout=60, cwd=kw.get("cwd", "/"))
    return r.returncode, r.stdout.decode("utf-8"), r.stderr.decode("utf-8")


@pytest.fixture
def tree(xd):
    """A main file with defaults, a service a with an overlay, and a place for more."""
    os.mkdir(xd.path("d"))
    xd.rest = "includedir %s\n" % xd.path("d")
    xd.config(MAIN + xd.rest)
    xd.write("d/a", SERVICE % ("a", 21001, ME, "bind = 127.0.0.1"))
    xd.write("d/a.local", "service a\n{\n\tnice\t= 4\n\tinstances = 5\n}\n")
    xd.a, xd.local = xd.path("d/a"), xd.path("d/a.local")
    return xd


def explain(xd, *args):
    return ctl("explain", "-f", xd.conf, *args)


def values(page):
    """The table of a page: attribute to value and origin."""
    found = re.findall(r"(?m)^  (\w+) += (.*?)(?:  +(.*))?$", page)
    return {name: (value, origin) for name, value, origin in found}


def test_every_value_says_where_it_comes_from(tree):
    code, out, err = explain(tree, "a")
    assert (code, err) == (0, "") and out.startswith("a, %s:1\n" % tree.a)
    found = values(out)
    assert found["server"] == ("/bin/cat", tree.a + ":8")
    assert found["instances"] == ("5", tree.local + ":4"), "the overlay wins over defaults"
    assert found["nice"] == ("4", tree.local + ":3")
    assert found["log_type"] == ("FILE /var/log/none", "defaults, %s:3" % tree.conf)
    assert found["log_on_success"] == ("PID HOST", "defaults, %s:4; %s:10" % (tree.conf, tree.a)), "DEF-5"
    assert found["cps"] == ("50 10", "default") and found["only_from"] == ("everybody", "default")
    assert found["disable"] == ("no", "default")
    assert "enabled" not in found, "a matter of defaults alone"


def test_an_assignment_hides_what_defaults_say(tree):
    tree.write("d/a", SERVICE.replace("+=", "=") % ("a", 21001, ME, ""))
    assert values(explain(tree, "a")[1])["log_on_success"] == ("HOST", tree.a + ":10"), "DEF-5"


def test_socket_program_user_and_environment_are_told(tree):
    out = explain(tree, "a")[1]
    user = pwd.getpwnam(ME)
    assert re.search(r"(?m)^  starts +yes$", out)
    assert re.search(r"(?m)^  listens on +127\.0\.0\.1:21001/tcp$", out)
    assert re.search(r"(?m)^    program +/bin/cat$", out)
    assert re.search(r"(?m)^    command line +cat -u -$", out), "SRV-3"
    assert re.search(r"(?m)^    as +%s \(uid %d\), group .*\(gid %d\), no other groups$" % (ME, user.pw_uid, user.pw_gid), out)
    assert re.search(r"(?m)^    environment +PATH of the daemon, LANG=C, REMOTE_HOST=\(the client's address\), both ends of the connection \(peer_env\)$", out), "SRV-6"


def test_a_socket_for_both_families_says_so(tree):
    tree.write("d/a", SERVICE % ("a", 21001, ME, ""))
    assert re.search(r"listens on +\[::\]:21001/tcp, IPv4 and IPv6\n", explain(tree, "a")[1]), "BIND-1"


def test_a_faulty_service_shows_its_mistakes_and_nobody_elses(tree):
    tree.write("d/b", SERVICE % ("b", 21002, "nosuchuser", ""))
    tree.write("d/c", SERVICE % ("c", 21003, ME, "nice = none"))
    code, out, _ = explain(tree, "b")
    assert code == 0 and "starts         no: the entry has a mistake, see below" in out
    assert "error[unknown-user]" in out and "--> %s:7:" % tree.path("d/b") in out
    assert "bad-number" not in out and "listens on" not in out
    assert "error" not in explain(tree, "a")[1]


def test_a_mistake_in_an_overlay_belongs_to_its_service(tree):
    tree.write("d/a.local", "service a\n{\n\tnice = none\n}\n")
    out = explain(tree, "a")[1]
    assert "no: the entry has a mistake, see below" in out and "--> %s:3:" % tree.local in out


@pytest.mark.parametrize("lines,why", [
    (None, "it is switched off"),
    ("disabled = x A", "`disabled` names it, %s:9"),
    ("enabled = b", "`enabled` does not name it, %s:9"),
])
def test_what_is_off_is_shown_as_if_it_were_on(tree, lines, why):
    if lines is None:
        tree.write("d/a", SERVICE % ("a", 21001, ME, "disable = yes"))
    else:
        tree.config(MAIN.replace("}\n", "\n\n\t%s\n}\n" % lines) + tree.rest)
        why %= tree.conf
    code, out, _ = explain(tree, "a")
    assert code == 0 and "starts         no: " + why in out and "what follows is as if it were on" in out
    found = values(out)
    assert found["server"][0] == "/bin/cat"
    assert found["disable"] == (("yes", tree.a + ":12") if lines is None else ("no", "default"))


def test_all_entries_of_a_name_are_shown_and_one_by_its_id(tree):
    for name, port in (("b", 21002), ("c", 21003)):
        tree.write("d/" + name, SERVICE % ("twin", port, ME, "id = twin-" + name))
    code, out, _ = explain(tree, "TWIN")
    assert code == 0 and "twin-b (service twin), " in out and "twin-c (service twin), " in out
    out = explain(tree, "twin-c")[1]
    assert "twin-c (service twin)" in out and "twin-b" not in out
    for name, port in (("b", 21002), ("c", 21003)):
        tree.write("d/" + name, SERVICE % (name, port, ME, "id = twin"))
    out = explain(tree, "twin")[1]
    assert "twin (service b), " in out and "twin (service c), " in out, "CHK-5"


def test_an_unknown_service_is_guessed_with_status_1(tree):
    tree.write("d/b", SERVICE % ("sentinel", 21002, ME, ""))
    code, out, err = explain(tree, "sentinal")
    assert (code, out) == (1, "") and err == "xinetctl: there is no service `sentinal`; did you mean `sentinel`?\n"
    code, out, err = explain(tree, "\x1b[2J")
    assert code == 1 and "\x1b" not in err


def test_a_main_file_that_cannot_be_read_and_usage_are_status_2(tree):
    code, out, err = ctl("explain", "-f", tree.path("nothing"), "a")
    assert (code, out) == (2, "") and "cannot read %s" % tree.path("nothing") in err
    assert ctl("explain")[0] == 2 and ctl("explain", "--frobnicate")[0] == 2
    assert ctl("explain", "--attribute", "cps", "a")[0] == 2


def test_a_relative_main_file_is_found_from_here(tree):
    assert ctl("explain", "-f", "xinetd.conf", "a", cwd=tree.dir)[1] == explain(tree, "a")[1], "START-10"
    code, out, _ = ctl("explain", "--file", tree.a, "a")
    assert code == 0 and values(out)["instances"] == ("UNLIMITED", "default"), "a file by itself has no overlay"


# ---------------------------------------------------------------- --attribute

def attributes():
    code, out, err = ctl("explain", "--attribute")
    assert (code, err) == (0, "")
    return dict(line.split(None, 1) for line in out.splitlines())


def test_every_attribute_of_the_manual_has_a_line_and_a_page():
    found = attributes()
    assert len(found) >= 46 and {"socket_type", "only_from", "cps", "rlimit_files", "mdns"} <= set(found)
    for name, summary in found.items():
        code, out, err = ctl("explain", "--attribute", name)
        assert (code, err) == (0, "") and out.startswith(name + " = "), name
        assert "\n  %s\n" % summary in out and max(map(len, out.splitlines()[2:])) < 79
        for fact in ("default", "stands in", "values", "operators", "lines", "comes from"):
            assert re.search(r"(?m)^  %s  +\S" % fact, out), (name, fact)
        assert out.rstrip().endswith("."), "each has its text"


def test_an_attribute_is_found_by_any_spelling_in_any_case():
    page = ctl("explain", "--attribute", "interface")[1]
    assert page == ctl("explain", "--attribute", "BIND")[1] and "\ninterface = " in page


def test_an_unknown_attribute_is_guessed_with_status_1():
    code, out, err = ctl("explain", "--attribute", "only_form")
    assert (code, out) == (1, "") and err == "xinetctl: there is no attribute `only_form`; did you mean `only_from`?\n"
    assert "`xinetctl explain --attribute` lists all" in ctl("explain", "--attribute", "frobnicate")[2]
