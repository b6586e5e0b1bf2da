"""`xinetctl dump`: the resolved configuration as the document of docs/dump.md."""
import json
import os
import subprocess

import pytest

from harness import *

PLACE = {"file": str, "line": int, "column": int}
STATES = {"starts", "unsupported", "faulty", "disabled", "in-disabled", "not-in-enabled"}


def dump(*args, **kw):
    r = subprocess.run([CTL, "dump", *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       timeout=60, cwd=kw.get("cwd", "/"))
    return r.returncode, r.stdout, r.stderr.decode("utf-8")


def document(xd):
    code, out, err = dump(xd.conf)
    assert (code, err) == (0, "")
    return json.loads(out.decode("utf-8"))


def services(xd):
    return {service["name"]: service for service in document(xd)["services"]}


@pytest.fixture
def tree(xd, ports):
    """One service of each state."""
    os.mkdir(xd.path("d"))
    xd.ports = ports(6)
    kinds = dict(zip("abcdef", xd.ports))
    for name, port in kinds.items():
        xd.write("d/" + name, cat(name, port))
    xd.write("d/a.local", "service a\n{\n\tinstances = 5\n\tonly_from += 192.0.2.1\n}\n")
    xd.write("d/b", cat("b", kinds["b"], nice="none"))
    xd.write("d/c", cat("c", kinds["c"], disable="yes"))
    xd.write("d/e", cat("e", kinds["e"], wait="yes"))
    xd.config("defaults\n{\n\tinstances = 20\n\tonly_from = 10.0.0.0\n\tdisabled = d\n}\nincludedir %s\n" % xd.path("d"))
    return xd


def has_shape(found, shape):
    assert set(found) == set(shape)
    for name, kind in shape.items():
        assert isinstance(found[name], kind), (name, found[name])


def test_the_document_has_the_documented_fields_and_no_others(tree):
    found = document(tree)
    has_shape(found, {"version": int, "starts": bool, "files": list, "services": list})
    assert found["version"] == 1 and found["starts"] is True
    assert found["files"] == [tree.conf] + [tree.path("d/" + n) for n in ("a", "a.local", "b", "c", "d", "e", "f")]
    assert [service["name"] for service in found["services"]] == list("abcdef"), "in their order"
    for service in found["services"]:
        whole = service["state"] in ("starts", "unsupported")
        shape = {"id": str, "name": str, "at": dict, "state": str}
        has_shape(service, dict(shape, listen=list, attributes=dict) if whole else shape)
        has_shape(service["at"], PLACE)
        assert service["state"] in STATES
        for name, attribute in service.get("attributes", {}).items():
            has_shape(attribute, {"value": (str, list), "from": list})
            for place in attribute["from"]:
                has_shape(place, dict(PLACE, defaults=bool))


def test_every_entry_has_its_state(tree):
    found = services(tree)
    states = {name: service["state"] for name, service in found.items()}
    e = states.pop("e")
    assert e in ("starts", "unsupported"), "whether wait = yes is served is another matter"
    assert states == {"a": "starts", "b": "faulty", "c": "disabled", "d": "in-disabled", "f": "starts"}
    tree.config("defaults\n{\n\tenabled = a\n}\nincludedir %s\n" % tree.path("d"))
    assert services(tree)["f"]["state"] == "not-in-enabled"


def test_values_are_resolved_with_the_lines_that_made_them(tree):
    a = services(tree)["a"]
    assert a["listen"] == [dict(a["listen"][0], port=tree.ports[0], protocol="tcp", socket_type="stream", v6only=False)]
    attributes = a["attributes"]
    assert attributes["instances"] == {"value": "5", "from": [
        {"file": tree.path("d/a.local"), "line": 3, "column": 2, "defaults": False}]}
    assert sorted(attributes["only_from"]["value"]) == ["10.0.0.0/8", "192.0.2.1/32"]
    assert [line["defaults"] for line in attributes["only_from"]["from"]] == [True, False], "DEF-5"
    assert attributes["cps"] == {"value": ["50", "10"], "from": []}
    with open(tree.path("d/a")) as f:
        line = f.read().split("\n")[attributes["server"]["from"][0]["line"] - 1]
    assert line[attributes["server"]["from"][0]["column"] - 1:].startswith("server")
    f = services(tree)["f"]["attributes"]["instances"]
    assert f["value"] == "20" and f["from"][0]["file"] == tree.conf and f["from"][0]["defaults"] is True


def test_it_is_utf_8_whatever_the_files_are(tree):
    with open(os.fsencode(tree.path("d/")) + b"l\xe4tin", "wb") as g:
        g.write(b"service \xfc\x1b\n{\n\tdisable = yes\n}\n")
    last = document(tree)["services"][-1]
    assert last["name"] == "\ufffd\x1b" and last["at"]["file"].endswith("l\ufffdtin")
    assert b"\x1b" not in dump(tree.conf)[1], "JSON escapes it"


def test_mistakes_do_not_change_the_status_but_are_seen(tree):
    tree.config("defaults\n{\n\tinstances = many\n}\nincludedir %s\n" % tree.path("d"))
    assert document(tree)["starts"] is False, "DEF-6"


def test_a_main_file_that_cannot_be_read_and_usage_are_status_2(tree):
    code, out, err = dump(tree.path("nothing"))
    assert (code, out) == (2, b"") and "cannot read %s" % tree.path("nothing") in err
    assert dump("--frobnicate")[0] == 2


def test_a_relative_main_file_is_found_from_here(tree):
    assert dump("xinetd.conf", cwd=tree.dir)[1] == dump(tree.conf)[1], "START-10"
