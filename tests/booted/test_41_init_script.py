"""The init script, where systemd is not process 1."""
import pytest

from test_30_package import install

# In pid and mount namespaces of its own, whose /run has nothing of systemd in it, in runlevel 2.
WITHOUT_SYSTEMD = """
rm -f /sbin/runlevel
printf '#!/bin/sh\\necho N 2\\n' >/sbin/runlevel
chmod +x /sbin/runlevel
unshare --mount --pid --fork --mount-proc bash -euc "$(cat <<'END'
mount -t tmpfs tmpfs /run && mkdir /run/lock
%s
END
)"
"""


@pytest.fixture
def script(machine, deb):
    """script(commands): runs them as if there were no systemd; what they wrote."""
    install(machine, deb)
    machine.run("systemctl stop xinetd; sed -i '0,/yes/s//no/' /etc/xinetd.d/daytime")
    return lambda commands: machine.run(WITHOUT_SYSTEMD % commands)


def test_it_starts_reports_reloads_restarts_and_stops(script):
    out = script("""
listeners() { ss -Hltn sport = :13 | wc -l; }
wait_for() { for _ in $(seq 100); do [ $(listeners) != $1 ] || return 0; sleep 0.1; done; }
/etc/init.d/xinetd status || echo "status $?"
/etc/init.d/xinetd start
/etc/init.d/xinetd start
/etc/init.d/xinetd status
wait_for 1
listeners
pid=$(cat /run/xinetd.pid)
tr '\\0' ' ' </proc/$pid/cmdline; echo
sed -i '/disable/s/no/yes/' /etc/xinetd.d/daytime
/etc/init.d/xinetd reload
wait_for 0
listeners
sed -i '/disable/s/yes/no/' /etc/xinetd.d/daytime
/etc/init.d/xinetd force-reload
wait_for 1
listeners
[ $pid = $(cat /run/xinetd.pid) ]
/etc/init.d/xinetd restart
[ $pid != $(cat /run/xinetd.pid) ]
wait_for 1
listeners
/etc/init.d/xinetd stop
/etc/init.d/xinetd stop
/etc/init.d/xinetd status || echo "status $?"
listeners
ls /run/xinetd.pid 2>&1 || true
/etc/init.d/xinetd nonsense || echo "status $?"
""")
    lines = out.split("\n")
    assert [l for l in lines if l in "01"] == ["1", "0", "1", "1", "0"], out
    assert [l for l in lines if l.startswith("status ")] == ["status 3", "status 3", "status 3"], out
    assert "/usr/sbin/xinetd -pidfile /run/xinetd.pid -stayalive -inetd_compat " in lines, out
    assert all(l.startswith("xinetd is not running") for l in lines if "failed" in l) and "xinetd is running" in out, out


def test_it_obeys_etc_default(script):
    out = script("""
printf 'XINETD_OPTS="-stayalive -limit 40"\\nINETD_COMPAT=no\\n' >/etc/default/xinetd
/etc/init.d/xinetd start
tr '\\0' ' ' </proc/$(cat /run/xinetd.pid)/cmdline; echo
/etc/init.d/xinetd stop
""")
    assert "/usr/sbin/xinetd -pidfile /run/xinetd.pid -stayalive -limit 40 " in out.split("\n"), out


def test_the_package_is_upgraded_and_removed_without_systemd(script, deb):
    out = script("""
/etc/init.d/xinetd start
before=$(cat /run/xinetd.pid)
dpkg -i /root/xinetd-rs_*.deb
[ $before != $(cat /run/xinetd.pid) ]
/etc/init.d/xinetd status
dpkg --purge xinetd
dpkg --purge xinetd-rs
[ ! -e /run/xinetd.pid ]
find /etc/rc?.d -name '*xinetd'
""")
    assert "xinetd is running" in out and "rc2.d" not in out, out
