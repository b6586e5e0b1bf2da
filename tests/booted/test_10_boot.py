"""What every booted test relies on: the machine is a whole one, and it is forgotten."""
import pytest

from harness import listening, refused, talk, wait_until


def test_a_machine_boots_without_a_failed_unit_and_runs_debians_xinetd(machine):
    assert machine.run("systemctl is-system-running") == "running"
    assert machine.run("cat /proc/1/comm; systemctl is-active xinetd") == "systemd\nactive"
    assert machine.run("dpkg-query -W -f '${Status}' xinetd") == "install ok installed"
    assert machine.status("exit 3") == (3, "")
    with pytest.raises(AssertionError, match="no such unit|not loaded|not found"):
        machine.run("systemctl start nothing-of-that-name")


def test_a_socket_made_in_its_network_reaches_its_services(machine):
    machine.run("sed -i '0,/disable.*/s//disable = no/' /etc/xinetd.d/daytime && systemctl restart xinetd")
    with machine.network():
        assert wait_until(lambda: listening(13))
        assert talk(13).endswith(b"\n")
    assert refused(13)


def test_what_is_written_outlives_a_power_failure_but_not_the_test(machine):
    assert machine.status("test -e /etc/kept")[0] == 1
    machine.write("/etc/kept", "yes\n")
    machine.power_off()
    machine.boot()
    assert machine.read("/etc/kept") == "yes\n"
