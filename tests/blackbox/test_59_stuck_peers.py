"""While a peer is stuck, 200 others are served; what it costs them is measured in benches/stuck.py."""
import pytest

import stuck
from harness import *
from load import Load

pytestmark = pytest.mark.needs_sandbox

ENDLESS = dict(cps="0 0", instances="UNLIMITED", per_source="UNLIMITED")


@pytest.mark.covers("HARD-6", "BAN-4", "IDENT-1", "ADDR-13")
@pytest.mark.parametrize("kind", stuck.ALL, ids=lambda kind: kind.name)
def test_200_clients_are_served_beside(xd, ports, kind):
    """By another service, and by the very one that has a stuck client."""
    peer, (a, b) = kind(), ports(2)
    xd.boot(logdefaults(xd, **ENDLESS), peer.entry(xd, a), cat("b", b), up=[a, b])
    peer.begin(a)
    try:
        assert Load(b, 200).finish().outcome() == {"done": 200, "refused": 0, "broken": 0}
        if kind is stuck.Deaf:
            assert talk(a, b"z")[-1:] == b"z"
        else:
            assert Load(a, 200).finish().outcome() == {"done": 200, "refused": 0, "broken": 0}
        assert not [l for l in xd.log() if stuck.CLIENT in l], "they wait still"
        xd.wait_log("^EXIT: b", 200)
    finally:
        peer.end()
    assert talk(b, b"x") == b"x"
