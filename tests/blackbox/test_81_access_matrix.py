"""Who is let in: lists against clients, each with a real connection from its address, ours and the original beside.

Where the corpus is at hand (XINETD_CORPUS) its matrix is asked about as well.
"""
import os
import subprocess

import pytest

from harness import *

covers = pytest.mark.covers
sandbox = pytest.mark.needs_sandbox

CLIENTS = ["127.0.0.1", "1.2.3.4", "1.2.3.5", "1.2.3.6", "1.2.3.9", "1.2.4.4", "1.2.9.9", "1.9.9.9", "10.0.0.1", "192.0.2.1",
           "::1", "2001:db8::1", "2001:db8:1::1", "2001:db8::7", "fd00::1"]
HOSTS = """127.0.0.1 localhost
::1 localhost
1.2.3.4 host.example.com host
1.2.3.5 a.example.com
1.2.3.6 b.example.com other.test
2001:db8::7 v6.example.com
1.2.9.9 multi.test
1.2.9.8 multi.test
"""
CORPUS = os.path.join(os.environ.get("XINETD_CORPUS", os.path.join(REPO, "../shared/corpus")), "probes/access-matrix.tsv")

# Lists, and where ours is another opinion: its statement.
V4, V6 = "flags = IPv4 ; ", ""
LISTS = {
    "ADDR-1": [V4 + "only_from =", V4 + "no_access =", "only_from =", "no_access =", V4 + "no_access = 1.2.3.4", "no_access = 1.2.3.4",
               V4 + "only_from = 1.2.3.4 1.2.4.0 10.0.0.0"],
    "ADDR-2": [V4 + "only_from = 1.2.3.0 ; no_access = 1.2.3.4", V4 + "only_from = 1.2.3.4 ; no_access = 1.2.3.0",
               "only_from = 1.2.3.4 ; no_access = 1.2.3.4", "only_from = ::/0 ; no_access = 1.2.0.0 2001:db8::/32"],
    "ADDR-3": [V4 + "only_from = 1.2.3.4", V4 + "only_from = 1.2.3.0", V4 + "only_from = 1.2.0.0", V4 + "only_from = 1.0.0.0",
               V4 + "only_from = 0.0.0.0", "only_from = 1.2.3.0", "only_from = 0.0.0.0", "no_access = 0.0.0.0"],
    "ADDR-4": [V4 + "only_from = 1.2.3", V4 + "only_from = 1.2", V4 + "only_from = 1", V4 + "only_from = 0x01020304",
               V4 + "only_from = 01.02.03.011", V4 + "only_from = 0", V4 + "only_from = 10.1"],
    "ADDR-5": [V4 + "only_from = 1.2.3.4/32", V4 + "only_from = 1.2.3.0/24", V4 + "only_from = 1.2.3.4/24", V4 + "only_from = 1.2.3.0/29",
               V4 + "only_from = 1.2.0.0/16", V4 + "only_from = 1.2.3.4/0", V4 + "only_from = 1.2.3.4/31", "only_from = 1.2.3.4/31",
               "only_from = 0.0.0.0/0"],
    "ADDR-7": [V4 + "only_from = 1.2.{3,9}", V4 + "only_from = {1,10}", V4 + "only_from = 1.2.3.{4}", V4 + "only_from = 1.2.3.{4,6,9}",
               "only_from = 1.2.{3,4}", "no_access = 1.2.3.{4,5} 10.{0}"],
    "ADDR-9": ["only_from = ::1", "only_from = 2001:db8::", "only_from = 2001:db8::1", "only_from = 2001:db8::/32",
               "only_from = 2001:db8::/48", "only_from = 2001:db8::/127", "no_access = 2001:db8::/33", "no_access = ::1",
               "only_from = fc00::/7"],
    "ADDR-11": ["only_from = ::", "only_from = ::/0", "no_access = ::/0", "no_access = ::", "only_from = 0.0.0.0 ::1"],
    "ADDR-12": ["only_from = ::ffff:1.2.3.4", "only_from = ::ffff:1.2.3.0/120", "only_from = ::ffff:0:0/96",
                "no_access = ::ffff:1.2.3.4", "only_from = ::ffff:1.2.3.4 1.2.3.5"],
    "ADDR-13": [V4 + "only_from = host.example.com", V4 + "only_from = HOST.EXAMPLE.COM", V4 + "only_from = host",
                V4 + "only_from = a.example.com 10.0.0.1", V4 + "no_access = host.example.com", "only_from = v6.example.com",
                V4 + "only_from = other.test", V4 + "only_from = multi.test"],
    "ADDR-14": [V4 + "only_from = .example.com", V4 + "only_from = .COM", V4 + "only_from = .test", V4 + "no_access = .example.com",
                V4 + "only_from = 1.2.3.0 ; no_access = .example.com", "no_access = .nowhere.test"],
    "ADDR-17": [V4 + "only_from = ALL", V4 + "only_from = nosuchhost.invalid", V4 + "only_from = nosuchhost.invalid 1.2.3.4",
                V4 + "only_from = 1.2.3.*", V4 + "only_from = [::1]", V4 + "only_from = !1.2.3.4", "only_from = 256.1.1.1 ::1"],
    "ADDR-18": [V4 + "only_from = 1.2.3.4,1.2.3.5", V4 + "no_access = 1.2.3.4,1.2.3.5", V4 + "only_from = 1.2.3.{4,5"],
    "ADDR-19": [V4 + "only_from = 1.2.3.4 1.2.3.5 ; only_from -= 1.2.3.4", V4 + "only_from = 1.2.3.0 ; only_from -= 1.2.3.4",
                V4 + "only_from = 1.2.3.0 ; only_from -= 1.2.3.0/24", "no_access = ::1 fd00::1 ; no_access -= ::1",
                V4 + "only_from = host.example.com ; only_from -= host.example.com"],
}

# Ours says what the original's manual says: the cells it has instead.
MENDED = {
    "ADDR-6": {V4 + "only_from = 1.2.3.4/255.255.255.0": "dAAAAddddd-----", "no_access = 1.2.3.4/255.255.0.0": "AddddddAAAAAAAA"},
    "ADDR-10": {"only_from = fd00::1/128": "ddddddddddddddA", "no_access = 2001:db8::1/128": "AAAAAAAAAAAdAAA"},
    "ADDR-15": {"only_from = localhost": "AdddddddddAdddd", "only_from = host.example.com": "dAddddddddddddd",
                "no_access = .example.com": "AdddAAAAAAAAAdA"},
    "ADDR-16": {V4 + "only_from = mynet": "dAAAAAAddd-----"},
    "ADDR-18": {V4 + "only_from = 1.2.3.4}": "---------------"},
    "ADDR-17": {V4 + "no_access = nosuchhost.invalid": "---------------", "no_access = 1.2.3.4 nosuchhost.invalid": "---------------"},
}


@pytest.fixture(scope="module")
def addresses():
    """The clients' addresses, on the loopback interface of this namespace."""
    ours = [c for c in CLIENTS if c not in ("127.0.0.1", "::1")]
    for address in ours:
        subprocess.check_call(["ip", "address", "add", address, "dev", "lo"] + (["nodad"] if ":" in address else []))
    yield
    for address in ours:
        subprocess.check_call(["ip", "address", "del", address + ("/128" if ":" in address else "/32"), "dev", "lo"])


def entry(number, port, lists):
    return "service s%d\n{\ntype = UNLISTED\nid = s%d\nsocket_type = stream\nport = %d\nwait = no\nuser = root\ncps = 0 0\n" \
        "server = /bin/echo\n%s\n}\n" % (number, number, port, lists.replace(" ; ", "\n"))


def cell(port, client):
    """A: served; d: closed without a word; -: nobody listens."""
    try:
        got = talk(port, addr="::1" if ":" in client else "127.0.0.1", src=client)
    except ConnectionRefusedError:
        return "-"
    return "A" if got == b"\n" else "d"


def rows(xd, lists):
    ports = [free_port() for _ in lists]
    config = "".join(entry(n, port, text) for n, (port, text) in enumerate(zip(ports, lists)))
    xd.boot(config)
    return {text: "".join(cell(port, client) for client in CLIENTS) for port, text in zip(ports, lists)}


def matrix(daemons, etc, lists):
    """What each daemon says about each list."""
    etc("hosts", HOSTS)
    etc("networks", "mynet 1.2.0.0\n")
    return [rows(xd, lists) for xd in daemons]


@covers("ADDR-1", "ADDR-2", "ADDR-3", "ADDR-4", "ADDR-5", "ADDR-7", "ADDR-9", "ADDR-11", "ADDR-12", "ADDR-13", "ADDR-14", "ADDR-17",
        "ADDR-18", "ADDR-19")
@sandbox
def test_the_same_clients_are_let_in_as_by_the_original(beside, etc, addresses):
    lists = [text for group in LISTS.values() for text in group]
    ours, theirs = matrix(beside, etc, lists)
    assert ours == theirs
    for statement, group in LISTS.items():
        cells = "".join(theirs[text] for text in group)
        assert statement == "ADDR-18" or len(set(cells) & set("Ad")) == 2, "%s: nobody, or everybody" % statement


@covers("ADDR-6", "ADDR-10", "ADDR-15", "ADDR-16", "ADDR-17", "ADDR-18")
@sandbox
def test_where_the_original_is_wrong_it_is_as_written(beside, etc, addresses):
    mended = {text: cells for group in MENDED.values() for text, cells in group.items()}
    ours, theirs = matrix(beside, etc, list(mended))
    assert ours == mended
    assert [text for text in mended if theirs[text] == mended[text]] == [], "no difference, so no reason for one"


@sandbox
def matrix_of_the_corpus(beside, etc, addresses):
    """Each recorded cell is the original's today; ours may differ only where a statement says so."""
    table = [l.rstrip("\n").split("\t") for l in open(CORPUS) if not l.startswith("#")]
    assert table[0][2:] == CLIENTS
    recorded = {row[0]: "".join(row[2:]) for row in table[1:]}
    ours, theirs = matrix(beside, etc, list(recorded))
    assert theirs == recorded
    reasons = {"ADDR-6": ["/255."], "ADDR-10": ["/128"], "ADDR-17": ["no_access"],
               "ADDR-15": ["host", "HOST", "multi.test", ".example.com"]}
    other = [text for text in recorded if ours[text] != recorded[text]]
    unexplained = [text for text in other if not any(w in text for words in reasons.values() for w in words)]
    assert unexplained == []
    cells = sum(a != b for text in other for a, b in zip(ours[text], recorded[text]))
    print("%d cells, %d differ" % (len(CLIENTS) * len(recorded), cells))


if os.path.exists(CORPUS):              # no part of this package
    test_the_matrix_of_the_corpus = matrix_of_the_corpus
