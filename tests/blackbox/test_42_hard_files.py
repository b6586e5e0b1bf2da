"""Files that nobody writes on purpose: a clear word or a correct load, in bounded time and memory."""
import os
import resource
import subprocess
import threading

import pytest

from harness import *

SECONDS = 60                            # of processor time, on a slow machine
MEMORY = 800                            # MiB, unless a test says otherwise
PLAIN = "service s%d\n{\n\ttype = UNLISTED\n\tport = %d\n\tbind = 127.0.0.%d\n\tsocket_type = stream\n" \
        "\tprotocol = tcp\n\twait = no\n\tuser = root\n\tserver = /bin/cat\n\tonly_from = 192.0.2.0/24\n}\n"


def plain(number):
    return PLAIN % (number, 1024 + number % 60000, 1 + number // 60000)


def limits():
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class Checked:
    """What `xinetctl check` says of `path`, and what it took."""

    def __init__(self, path, *options, memory=MEMORY):
        options = options or ("--format", "short")
        child = subprocess.Popen([CTL, "check", *options, path], cwd="/", stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=limits)
        self.out = child.stdout.read().decode("utf-8", "backslashreplace")
        child.stdout.close()
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        self.status, self.cpu = child.returncode, used.ru_utime + used.ru_stime
        self.lines = self.out.splitlines()
        assert self.status in (0, 1, 2), "neither a panic nor a limit: %s\n%s" % (self.status, self.out[-2000:])
        assert used.ru_maxrss <= memory * 1024, "%d MiB" % (used.ru_maxrss // 1024)

    @property
    def last(self):
        return self.lines[-1]


def human(path, **kw):
    return Checked(path, "--format", "human", **kw)


@pytest.fixture
def at(tmp_path):
    """Writes a file, bytes or text, and returns its path."""
    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)
    return write


def in_one_file(at, number):
    return at("one%d" % number, "".join(map(plain, range(number))))


def in_a_directory(at, number):
    for n in range(number):
        at("d%d/s%d" % (number, n), plain(n))
    return at("dir%d" % number, "includedir %s\n" % os.path.dirname(at("d%d/s0" % number, plain(0))))


def with_overlays_for_nobody(at, number):
    for n in range(number):
        at("o%d/s%d" % (number, n), plain(n))
        at("o%d/s%d.local" % (number, n), "service t%d\n{\n\tinstances = 3\n}\n" % n)
    return at("over%d" % number, "includedir %s\n" % os.path.dirname(at("o%d/s0" % number, plain(0))))


def with_unknown_ids(at, number):
    lists = "defaults\n{\n\tenabled = %s\n}\n" % " ".join("t%d" % n for n in range(number))
    return at("ids%d" % number, lists + "".join(map(plain, range(number))))


def with_faulty_services(at, number):
    text = "".join(map(plain, range(number)))
    return at("faulty%d" % number, text.replace("only_from", "only_form").replace("= root", "= no-such-user"))


def with_one_socket_for_all(at, number):
    text = "".join(plain(n).replace("port = %d" % (1024 + n % 60000), "port = 2000") for n in range(number))
    return at("same%d" % number, text)


def with_faulty_lines_in_defaults(at, number):
    return at("lines%d" % number, "defaults\n{\n%s}\n" % "".join("only_form%d = x\n" % n for n in range(number)))


def with_lines_outside(at, number):
    return at("outside%d" % number, "".join("servce s%d\n" % n for n in range(number)))


def with_a_long_list(at, number):
    adds = "".join("\tonly_from += 10.0.%d.%d\n" % (n // 256, n % 256) for n in range(number))
    return at("list%d" % number, plain(0).replace("\tonly_from = 192.0.2.0/24\n", adds + adds.replace("+=", "-=")))


def with_defaults_in_each_file(at, number):
    for n in range(number):
        at("f%d/s%d" % (number, n), "defaults\n{\n\tno_access = 192.0.2.%d\n}\n" % (n % 256))
    return at("many%d" % number, "includedir %s\n" % os.path.dirname(at("f%d/s0" % number, "defaults\n{\n}\n")))


SHAPES = [in_one_file, in_a_directory, with_overlays_for_nobody, with_unknown_ids, with_faulty_services,
          with_one_socket_for_all, with_faulty_lines_in_defaults, with_lines_outside, with_a_long_list,
          with_defaults_in_each_file]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_four_times_as_much_costs_four_times_as_much_and_not_sixteen(at, shape):
    # the smaller of two, because others use the machine too
    small, large = (min(Checked(shape(at, n)).cpu for _ in range(2)) for n in (4000, 16000))
    assert large <= 9 * max(small, 0.02), "%.2f s became %.2f s" % (small, large)


def test_50000_services_in_one_file_are_read(at):
    checked = human(in_one_file(at, 50_000))
    assert "50000 services would start" in checked.last, checked.out[-500:]


def test_50000_files_of_a_directory_are_read(at):
    checked = human(in_a_directory(at, 50_000))
    assert "in 50001 files; 50000 services would start" in checked.last, checked.out[-500:]


def test_100000_includes_end_with_one_clear_error(at):
    part = at("part", "")
    checked = human(at("main", plain(0) + "include %s\n" % part * 100_000))
    assert checked.status == 1
    assert checked.out.count("error[") == 1 and "more than 65536 files" in checked.out
    assert "1 service would start" in checked.last


def test_100_mb_are_refused_at_once(at, tmp_path):
    path = at("long", "")
    os.truncate(path, 100 << 20)
    checked = Checked(path, memory=64)
    assert checked.status == 2 and "longer than 64 MiB" in checked.out and checked.cpu < 1
    checked = Checked(at("main", "include %s\n" % path + plain(0)), memory=64)
    assert checked.status == 1 and ":1:9: error: cannot read %s: longer than 64 MiB" % path in checked.out


def test_100_mb_in_many_files_are_refused_too(at):
    for name in "abcdefghij":
        at("d/" + name, "# %s\n" % ("x" * 1000) * (10 << 10))
    checked = Checked(at("main", "includedir %s\n" % os.path.dirname(at("d/a", ""))))
    assert checked.status == 1 and "longer than 64 MiB, together with the files before it" in checked.out


@pytest.mark.parametrize("line", [
    "\tserver_args = %s\n" % ("x" * (1 << 20)),
    "\tserver_args = %s\n" % ("x " * (1 << 19)),
    "#%s\n" % (" comment" * (1 << 17)),
    "\tonly_from += %s\n" % ("10.0.0.1 " * (1 << 17)),
], ids=["word", "words", "comment", "addresses"])
def test_a_line_of_1_mb_is_a_line(at, line):
    checked = human(at("main", plain(0).replace("}", line + "}")))
    assert checked.status == 0 and "1 service would start" in checked.last, checked.out[-500:]


@pytest.mark.parametrize("line", [
    "\tonly_from += %s\n" % ("10.0.0.256/x " * (1 << 17)),
    "\t%s = 1\n" % ("y" * (1 << 20)),
    "x" * (1 << 20) + "\n",
    "\tflags = %s\n" % ("NODELEY " * (1 << 17)),
    "\tinstances = %s\n" % ("1" * (1 << 20)),
], ids=["addresses", "name", "word", "flags", "number"])
def test_mistakes_in_a_line_of_1_mb_are_shown_in_a_few_lines(at, line):
    path = at("main", plain(0).replace("}", line + "}"))
    for options in (("--format", "short"), ("--format", "human"), ("--format", "json")):
        checked = Checked(path, *options)
        assert "main" in checked.out
        assert len(checked.out) < 8 << 20, "%d bytes" % len(checked.out)


def test_millions_of_mistakes_are_counted_and_not_kept(at):
    for text in ("x\n" * (4 << 20), "defaults\n{\n" + "y = 1\n" * (1 << 20) + "}\n",
                 "service a\n{\n" + "service b\n" * (1 << 20), plain(0).replace("}", "nice = x\n" * (1 << 20) + "}")):
        checked = Checked(at("main", text))
        assert "too many mistakes: at least 199000 more are not shown" in checked.out, checked.last


def test_bytes_that_are_no_text_are_said_or_read(at):
    good = plain(0)
    for name, text, status, said in [
        ("nul-in-a-line", good.replace("= no", "= n\0o"), 1, "zero byte"),
        ("nuls", b"\0" * 10_000, 1, "is no text"),
        ("utf-16", good.encode("utf-16"), 1, "is in UTF-16"),
        ("bad-utf-8", good.replace("/bin/cat", "/bin/\udcff\udcfe").encode("utf-8", "surrogateescape"), 1, "/bin/"),
        ("bad-utf-8-in-a-comment", b"# \xff\xfe\x80\n" + good.encode(), 0, "1 service would start"),
        ("crlf", good.replace("\n", "\r\n"), 0, "1 service would start"),
        ("bom", b"\xef\xbb\xbf" + good.encode(), 0, "1 service would start"),
    ]:
        checked = human(at(name, text))
        assert checked.status == status and said in checked.out, (name, checked.out)
        assert "\0" not in checked.out


def test_includes_without_end_are_cut_once(at, tmp_path):
    checked = Checked(at("self", "include %s\n" % (tmp_path / "self") + plain(0)))
    assert checked.status == 1 and checked.out.count("is being read already") == 1
    for depth in range(200):
        at("deep%d" % depth, "include %s\n" % (tmp_path / ("deep%d" % (depth + 1))) + plain(depth))
    checked = Checked(str(tmp_path / "deep0"))
    assert checked.status == 1 and checked.out.count("more than 64 deep") == 1
    # a tree: each of 20 levels includes the next one twice
    for level in range(20):
        at("tree%d" % level, "include %s\n" % (tmp_path / ("tree%d" % (level + 1))) * 2)
    at("tree20", "")
    checked = Checked(str(tmp_path / "tree0"))
    assert checked.status == 1 and checked.out.count("more than 65536 files") == 1


def test_what_is_no_file_is_not_waited_for(at, tmp_path):
    os.mkfifo(str(tmp_path / "fifo"))
    for path in (tmp_path / "fifo", tmp_path, "/dev/zero", tmp_path / "nothing"):
        checked = Checked(at("main", "include %s\n" % path + plain(0)))
        assert checked.status == 1 and ":1:9: error: cannot read %s: " % path in checked.out
    os.mkfifo(str(tmp_path / "d-fifo"))
    directory = os.path.dirname(at("d/a", plain(0)))
    os.rename(str(tmp_path / "d-fifo"), directory + "/fifo")
    assert "1 service would start" in human(at("main", "includedir %s\n" % directory)).last


def test_a_file_that_grows_is_read_as_far_as_it_goes(at):
    path, stop = at("grows", plain(0)), threading.Event()

    def grow():
        with open(path, "ab", buffering=0) as out:
            while not stop.is_set() and out.tell() < 1 << 30:
                out.write(b"# more\n" * 10_000)
    writer = threading.Thread(target=grow)
    writer.start()
    try:
        checked = [human(path) for _ in range(5)]
    finally:
        stop.set()
        writer.join()
    for one in checked:
        assert "1 service would start" in one.last or "longer than 64 MiB" in one.out
