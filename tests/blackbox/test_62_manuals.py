"""The pages are read by man and mandoc, and the completions by bash, zsh and fish."""
import glob
import os
import pty
import re
import select
import shutil
import subprocess
import time

import pytest

from harness import *

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGES = sorted(glob.glob(os.path.join(ROOT, "man", "*")))
BIN_DIR = os.path.dirname(os.path.abspath(BIN))


def needs(program):
    reason = "%s is not installed" % program
    return pytest.mark.skipif(shutil.which(program) is None, reason=reason)


def output(*args, **kwargs):
    """What a program says on both outputs; it must succeed."""
    r = subprocess.run(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       timeout=60, **kwargs)
    assert r.returncode == 0, r.stdout.decode()
    return r.stdout.decode()


def test_there_are_six_pages():
    names = ["itox.8", "xconv.pl.8", "xinetctl.8", "xinetd.8", "xinetd.conf.5", "xinetd.log.5"]
    assert [os.path.basename(page) for page in PAGES] == names


@needs("man")
@pytest.mark.parametrize("page", PAGES, ids=os.path.basename)
def test_man_renders_a_page_without_a_warning(page):
    env = {**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80", "MANROFFSEQ": "", "MANPAGER": "cat"}
    assert output("man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page, env=env).startswith("x T utf8")
    text = re.sub("\x1b\\[[0-9;]*m|.\x08", "", output("man", "-l", page, env=env))
    name = os.path.basename(page).rsplit(".", 1)[0]
    assert "NAME\n     %s " % name in text
    assert max(map(len, text.expandtabs().splitlines())) <= 80
    assert "\\f" not in text


@needs("mandoc")
@pytest.mark.parametrize("page", PAGES, ids=os.path.basename)
def test_mandoc_has_nothing_against_a_page(page):
    assert output("mandoc", "-T", "lint", "-W", "warning", page) == ""


@pytest.mark.parametrize("name, options", [("itox", ["-daemon_dir", "/usr/sbin"]), ("xconv.pl", [])])
def test_the_example_of_a_filter_is_what_it_writes(tmp_path, name, options):
    source = open(os.path.join(ROOT, "docs", "man", name + ".8.in")).read()
    line = re.search(r"^The line\n\.Pp\n\.Dl (.*)$", source, re.M).group(1).replace("\\-", "-")
    entry = re.search(r"\.\\\" example\n\.Bd .*\n((?:.*\n)*?)\.Ed", source).group(1)
    program = tmp_path / name
    program.symlink_to(CTL)
    r = subprocess.run([program, *options], input=line.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    lines = [line.rstrip(" ") for line in r.stdout.decode().splitlines()]
    assert (r.returncode, lines[lines.index("service pop3"):]) == (0, [*entry.splitlines(), ""])


def bash(command, *words):
    script = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); ' \
             '_%s "$1" "${@: -1}" "${@: -2:1}"; printf "%%s\\n" "${COMPREPLY[@]}"' % command
    file = os.path.join(ROOT, "completions", command + ".bash")
    return output("bash", "--norc", "-c", script, "bash", file, command, *words).split()


def fish(home, command, *words):
    file = os.path.join(ROOT, "completions", command + ".fish")
    line = " ".join((command,) + words)
    env = {**os.environ, "HOME": str(home), "PATH": BIN_DIR + ":" + os.environ["PATH"]}
    out = output("fish", "--no-config", "-c", "source %s; complete -C '%s'" % (file, line), env=env)
    return [text.split("\t")[0] for text in out.splitlines()]


COMPLETED = [
    ("xinetctl", ["expl"], ["explain"]),
    ("xinetctl", ["explain", "--attribute", "per_source_"], ["per_source_prefix"]),
    ("xinetctl", ["check", "--format", "js"], ["json"]),
    ("xinetctl", ["demo-"], []),
    ("xinetd", ["-inetd_c"], ["-inetd_compat"]),
    ("xinetd", ["-syslog", "authp"], ["authpriv"]),
    ("xinetd", ["-log-format", "j"], ["json"]),
    ("xinetd", ["-limit", ""], []),
]


def ids(case):
    return " ".join([case[0]] + case[1])


@needs("bash")
@pytest.mark.parametrize("case", COMPLETED, ids=ids)
def test_bash_completes(case):
    command, words, wanted = case
    assert bash(command, *words) == wanted


@needs("fish")
@pytest.mark.parametrize("case", COMPLETED, ids=ids)
def test_fish_completes(case, tmp_path):
    command, words, wanted = case
    assert fish(tmp_path, command, *words) == wanted


class Typed:
    """An interactive zsh on a terminal."""

    def __init__(self, home):
        self.text = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            env = {"HOME": str(home), "TERM": "dumb", "PATH": BIN_DIR + ":/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
            os.execve(shutil.which("zsh"), ["zsh", "-f", "-i"], env)

    def type(self, text):
        os.write(self.fd, text.encode())

    def wait_for(self, wanted):
        """Until `wanted` has been shown; what was before it is forgotten."""
        until = time.monotonic() + 30
        while wanted not in self.text:
            assert select.select([self.fd], [], [], until - time.monotonic())[0], self.text
            self.text += os.read(self.fd, 4096).decode(errors="replace")
        self.text = self.text.split(wanted, 1)[1]

    def end(self):
        os.close(self.fd)
        os.waitpid(self.pid, 0)


@needs("zsh")
def test_zsh_completes(tmp_path):
    zsh = Typed(tmp_path)
    try:
        zsh.type("PS1='ready''> '; fpath=(%s/completions $fpath); autoload -U compinit; compinit -u -D\n" % ROOT)
        zsh.wait_for("ready> ")
        for command, words, wanted in COMPLETED:
            if wanted:
                zsh.type(" ".join([command] + words) + "\t")
                zsh.wait_for(" ".join([command] + words[:-1] + wanted))
                zsh.type("\x15\n")      # the line goes away
                zsh.wait_for("ready> ")
    finally:
        zsh.end()
