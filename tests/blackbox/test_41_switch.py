"""`xinetctl enable` and `disable`: one word of one file, and what they say."""
import os
import stat
import subprocess

import pytest

from harness import *

RELOAD = "`xinetctl reload` puts it in force"


def raw(path):
    with open(path, "rb") as f:
        return f.read()


def put(path, data):
    with open(path, "wb") as f:
        f.write(data)


@pytest.fixture
def tree(xd, ports):
    """Two services as distributions ship them, one of them off."""
    os.mkdir(xd.path("xinetd.d"))
    xd.pa, xd.pb = ports(2)
    for name, port, disable in (("a", xd.pa, "no"), ("b", xd.pb, "yes")):
        xd.write("xinetd.d/" + name, "# default: off\nservice %s\n{\n\ttype\t\t= UNLISTED\n\tdisable\t\t= %s\n\tport\t\t= %d\n"
                 "\tsocket_type\t= stream\n\twait\t\t= no\n\tuser\t\t= %s\n\tserver\t\t= /bin/cat\n}\n" % (name, disable, port, ME))
    xd.a, xd.b = xd.path("xinetd.d/a"), xd.path("xinetd.d/b")
    xd.config("includedir %s\n" % xd.path("xinetd.d"))
    return xd


def switch(xd, verb, *services):
    r = subprocess.run([CTL, verb, "-f", xd.conf, *services], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, timeout=60, cwd="/")
    return r.returncode, r.stdout.decode(), r.stderr.decode()


def chkconfig_says(path):
    """How chkconfig reads a file of xinetd.d: the word behind `disable =`."""
    found = re.findall(rb"(?m)^\s*disable\s*=\s*(\w+)", raw(path))
    return b"off" if found and found[-1] == b"yes" else b"on"


def test_one_word_changes_and_comes_back(tree):
    before = raw(tree.a)
    code, out, err = switch(tree, "disable", "a")
    assert (code, err) == (0, "")
    assert out == "a: disable = yes (%s:5)\n%s\n" % (tree.a, RELOAD)
    assert raw(tree.a) == before.replace(b"= no\n\tport", b"= yes\n\tport") and chkconfig_says(tree.a) == b"off"
    assert switch(tree, "enable", "A")[0] == 0, "DEF-8: in any case"
    assert raw(tree.a) == before and chkconfig_says(tree.a) == b"on"
    assert sorted(os.listdir(tree.path("xinetd.d"))) == ["a", "b"]


def test_a_daemon_sees_the_switch_at_its_next_reload(tree):
    sentinel = cat("sentinel", free_port())
    tree.config(sentinel + "includedir %s\n" % tree.path("xinetd.d"))
    tree.start(expect=[tree.pa])
    assert not listening(tree.pb)
    assert switch(tree, "disable", "a")[0] == 0 and switch(tree, "enable", "b")[0] == 0
    tree.hup()
    tree.wait_port(tree.pb)
    tree.wait_closed(tree.pa)


def test_what_is_so_already_stays_to_the_inode(tree):
    inode = os.stat(tree.b).st_ino
    code, out, err = switch(tree, "disable", "b")
    assert (code, err) == (0, "") and out == "b: already disabled (%s:2)\n" % tree.b
    assert os.stat(tree.b).st_ino == inode
    code, out, _ = switch(tree, "enable", "a")
    assert code == 0 and "already enabled" in out and RELOAD not in out


def test_a_missing_line_is_added_in_the_style_of_the_others(tree):
    text = raw(tree.a).replace(b"\tdisable\t\t= no\n", b"")
    put(tree.a, text)
    assert switch(tree, "enable", "a")[1].startswith("a: already enabled")
    assert raw(tree.a) == text
    assert switch(tree, "disable", "a")[0] == 0
    assert raw(tree.a) == text.replace(b"{\n", b"{\n\tdisable\t\t= yes\n")


def test_line_ends_bytes_mode_and_link_are_kept(tree):
    text = b"\xef\xbb\xbf# \xe4\xfc\r\n" + raw(tree.a).replace(b"\n", b"\r\n").rstrip(b"\r\n")
    real = tree.path("real")
    put(real, text)
    os.chmod(real, 0o640)
    os.unlink(tree.a)
    os.symlink("../real", tree.a)
    assert switch(tree, "disable", "a")[0] == 0
    assert raw(real) == text.replace(b"= no\r\n\tport", b"= yes\r\n\tport")
    assert os.readlink(tree.a) == "../real" and stat.S_IMODE(os.stat(real).st_mode) == 0o640


@pytest.mark.needs_root
def test_the_owner_is_kept(tree):
    os.chown(tree.a, 1, 2)
    assert switch(tree, "disable", "a")[0] == 0
    assert (os.stat(tree.a).st_uid, os.stat(tree.a).st_gid) == (1, 2)


def test_all_entries_of_a_name_are_switched_and_one_by_its_id(tree):
    more = b"service a\n{\n\tid\t= a-too\n\tdisable\t= no\n}\n"
    put(tree.a, raw(tree.a).replace(b"service a\n{\n", b"service a\n{\n\tid = a-one\n") + more)
    code, out, _ = switch(tree, "disable", "a")
    assert code == 0 and out.startswith("a: 2 entries have this name\n")
    assert raw(tree.a).count(b"= yes") == 2
    assert out.count("disable = yes (%s:" % tree.a) == 2
    switch(tree, "enable", "A-ONE")
    assert raw(tree.a).count(b"= yes") == 1 and raw(tree.a).endswith(more.replace(b"= no", b"= yes"))


@pytest.fixture
def overlaid(tree):
    """The service a with an overlay, and how both files look now."""
    def make(lines):
        tree.local = tree.path("xinetd.d/a.local")
        put(tree.local, b"# ours\nservice a\n{\n\tinstances = 3\n%s}\n" % lines)
        return raw(tree.a), raw(tree.local)
    return make


def test_the_line_of_an_overlay_is_switched_when_it_decides(tree, overlaid):
    own, local = overlaid(b"\tdisable = no\n")
    code, out, err = switch(tree, "disable", "a")
    assert (code, err) == (0, "") and out.startswith("a: disable = yes (%s:5)\n" % tree.local)
    assert raw(tree.a) == own and raw(tree.local) == local.replace(b"= no", b"= yes")
    assert switch(tree, "disable", "a")[1] == "a: already disabled (%s:2)\n" % tree.local
    tree.config("includedir %s\n%s" % (tree.path("xinetd.d"), cat("sentinel", free_port())))
    tree.start()
    assert not listening(tree.pa)
    assert switch(tree, "enable", "a")[0] == 0 and raw(tree.local) == local and raw(tree.a) == own
    tree.hup()
    tree.wait_port(tree.pa)


def test_an_overlay_wins_over_the_entry_below_it(tree, overlaid):
    put(tree.a, raw(tree.a).replace(b"= no\n\tport", b"= yes\n\tport"))
    own, local = overlaid(b"\tdisable = no\n")
    assert switch(tree, "enable", "a")[1] == "a: already enabled (%s:2)\n" % tree.local
    assert switch(tree, "disable", "a")[0] == 0
    assert raw(tree.a) == own and raw(tree.local) == local.replace(b"= no", b"= yes")


@pytest.mark.parametrize("line", [b"", b"\tdisable = yes # until monday\n"])
def test_an_overlay_that_does_not_decide_is_left_alone(tree, overlaid, line):
    own, local = overlaid(line)
    assert switch(tree, "disable", "a")[0] == 0
    assert raw(tree.local) == local and raw(tree.a) == own.replace(b"= no\n\tport", b"= yes\n\tport")


def test_unknown_services_are_guessed_and_the_others_are_done(tree):
    code, out, err = switch(tree, "disable", "sentinal", "a")
    assert code == 1 and "there is no service `sentinal`" in err and "a: disable = yes" in out
    with open(tree.conf, "a") as f:
        f.write("service sentinel\n{\n}\n")
    assert "did you mean `sentinel`?" in switch(tree, "enable", "sentinal")[2]


@pytest.mark.parametrize("line,why", [("disabled = x B", "`disabled` names `b`"), ("enabled = a", "`enabled` does not name `b`")])
def test_lists_of_defaults_win_and_are_never_edited(tree, line, why):
    tree.config("defaults\n{\n\t%s\n}\nincludedir %s\n" % (line, tree.path("xinetd.d")))
    main, before = raw(tree.conf), raw(tree.b)
    code, out, err = switch(tree, "enable", "b")
    assert (code, out) == (1, "") and "%s:3, %s" % (tree.conf, why) in err, err
    assert raw(tree.b) == before and raw(tree.conf) == main, "DEF-8"
    assert switch(tree, "disable", "b")[0] == 0


def test_an_entry_that_would_be_lost_is_not_switched_on(tree):
    put(tree.b, raw(tree.b).replace(b"\twait\t\t= no\n", b"\twait\n"))
    before = raw(tree.b)
    code, out, err = switch(tree, "enable", "b")
    assert (code, out) == (1, "") and "b: not changed (%s:2)" % tree.b in err
    assert raw(tree.b) == before, "PARSE-10"


def test_a_service_that_will_not_start_is_named(tree):
    put(tree.b, raw(tree.b).replace(b"/bin/cat", b"/nonexistent"))
    code, out, err = switch(tree, "enable", "b")
    assert code == 1 and "b: disable = no" in out and "b has mistakes and will not start" in err


def test_names_with_control_characters_are_shown_and_not_obeyed(tree):
    put(tree.a, raw(tree.a).replace(b"service a", b"service a\x1b[2J"))
    code, out, _ = switch(tree, "disable", "a\x1b[2J")
    assert code == 0 and out.startswith("a\\x1b[2J: disable = yes")
    assert "\x1b" not in switch(tree, "disable", "\x1b[2J")[2]


def test_a_main_file_that_is_missing_is_status_1_and_usage_is_2(tree):
    os.unlink(tree.conf)
    code, _, err = switch(tree, "enable", "a")
    assert code == 2 and "cannot read %s" % tree.conf in err
    assert switch(tree, "enable")[0] == 2
