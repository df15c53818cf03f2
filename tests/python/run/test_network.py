# SPDX-License-Identifier: GPL-2.0-only
"""What is said of networks is read exactly, and what makes no sense is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvm.errors import UserError
from kvm.run.machine import command_line
from kvm.run.network import guest_words, parse_net, parse_nets, parse_vsock
from kvm.run.options import BootOptions
from kvm.vm.network import Forward, NetKind, NetSpec, VsockSpec


def test_a_user_network_needs_no_more_than_its_name() -> None:
    net = parse_net("user")
    assert net.spec == NetSpec(NetKind.USER)
    assert guest_words((net,)) == "toolskvm.net=10.0.2.15/24:10.0.2.2:10.0.2.3"


def test_a_user_network_forwards_ports() -> None:
    net = parse_net(
        "user,hostfwd=tcp:8080:80,hostfwd=udp:0.0.0.0:53:5353,mtu=1500,mac=02:0:0:0:0:1"
    )
    assert net.spec.forwards == (
        Forward(False, "127.0.0.1", 8080, 80),
        Forward(True, "0.0.0.0", 53, 5353),
    )
    assert (net.spec.mtu, net.spec.mac) == (1500, "02:0:0:0:0:1")


@pytest.mark.parametrize(
    ("text", "forward"),
    [
        ("tcp::8080-:80", Forward(False, "0.0.0.0", 8080, 80)),
        (":127.0.0.1:8080-:80", Forward(False, "127.0.0.1", 8080, 80)),
        ("udp:192.168.0.1:53-10.0.2.15:5353", Forward(True, "192.168.0.1", 53, 5353)),
    ],
)
def test_ports_may_be_forwarded_in_qemu_s_words(text: str, forward: Forward) -> None:
    assert parse_net(f"user,hostfwd={text}").spec.forwards == (forward,)


def test_a_user_network_keeps_the_host_s_loopback_to_the_host_unless_asked() -> None:
    assert not parse_net("user").spec.host_loopback
    net = parse_net("user,mtu=1500,loopback")
    assert (net.spec.host_loopback, net.spec.mtu) == (True, 1500)
    assert NetSpec.from_json(net.spec.to_json()) == net.spec


def test_a_tap_has_addresses_on_both_sides() -> None:
    net = parse_net("tap=tap0,host=192.168.7.1/24,guest=192.168.7.2/24,queues=4")
    assert net.spec == NetSpec(NetKind.TAP, tap="tap0", queues=4, host_address="192.168.7.1/24")
    assert guest_words((net,)) == "toolskvm.net=192.168.7.2/24:192.168.7.1"


def test_each_interface_has_its_place_in_what_the_guest_is_told() -> None:
    assert guest_words(parse_nets(("tap=a", "user"))) == (
        "toolskvm.net=,10.0.2.15/24:10.0.2.2:10.0.2.3"
    )
    assert guest_words(parse_nets(("tap=a",))) == ""
    assert guest_words(()) == ""


def test_the_guest_is_told_on_the_command_line() -> None:
    assert " toolskvm.net=10.0.2.15/24" in command_line(BootOptions(nets=("user",)))
    assert "toolskvm.net" not in command_line(BootOptions())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no kind of network"),
        ("bridge=br0", "bridge=br0"),
        ("tap=", "'tap='"),
        ("user,tap=x", "tap=x"),
        ("user,hostfwd", "'hostfwd'"),
        ("tap=t,loopback", "'loopback'"),
        ("user,hostfwd=tcp:80", "tcp:HOST:GUEST"),
        ("user,hostfwd=sctp:80:80", "tcp:HOST:GUEST"),
        ("user,hostfwd=tcp:0:80", "use 1 to 65535"),
        ("user,hostfwd=tcp:80:65536", "use 1 to 65535"),
        ("user,hostfwd=tcp:localhost:80:80", "no IPv4 address"),
        ("user,hostfwd=tcp::80-10.0.2.9:80", "the guest is not 10.0.2.9"),
        ("user,hostfwd=tcp::80-80", "tcp:ADDRESS:HOST-:GUEST"),
        ("user,hostfwd=sctp::80-:80", "tcp:ADDRESS:HOST-:GUEST"),
        ("user,hostfwd=tcp::0-:80", "use 1 to 65535"),
        ("user,hostfwd=tcp:localhost:80-:80", "no IPv4 address"),
        ("user,mtu=100", "use 576 to 65521"),
        ("tap=t,queues=9", "use 1 to 8"),
        ("tap=t,script=/nowhere/up", "script=/nowhere/up is no program"),
        ("tap=t,downscript=/", "downscript=/ is no program"),
        ("tap=t,host=10.0.0.300/24", "host=10.0.0.300/24"),
        ("tap=t,guest=ten", "guest=ten"),
    ],
)
def test_a_bad_network_is_named(text: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        BootOptions(nets=(text,)).check()
    assert words in str(caught.value)


def test_a_tap_s_frames_are_the_kernel_s_to_move_if_asked() -> None:
    assert parse_net("tap=t,vhost").spec == NetSpec(NetKind.TAP, tap="t", vhost=True)
    assert not parse_net("tap=t").spec.vhost
    with pytest.raises(UserError, match="vhost"):
        parse_net("user,vhost")


def test_a_vsock_has_a_path_and_perhaps_a_number() -> None:
    assert parse_vsock("/run/v") == VsockSpec(Path("/run/v"), 3)
    assert parse_vsock("/run/v,cid=9") == VsockSpec(Path("/run/v"), 9)


def test_a_vsock_by_the_host_s_vhost_has_no_path() -> None:
    assert parse_vsock("vhost") == VsockSpec(None, 3)
    assert parse_vsock("vhost,cid=9") == VsockSpec(None, 9)
    assert parse_vsock("./vhost") == VsockSpec(Path("vhost").absolute(), 3)


@pytest.mark.parametrize(
    "text", [",cid=3", "/v,cid=2", "/v,cid=x", "/v,port=1", "/v,cid=4294967295", "vhost,cid=2"]
)
def test_a_bad_vsock_is_named(text: str) -> None:
    with pytest.raises(UserError, match="--vsock"):
        BootOptions(vsock=text).check()


def test_a_run_with_networks_can_be_said_again() -> None:
    options = BootOptions(nets=("user", "tap=t"), vsock="/run/v")
    assert options.arguments() == "--net=user --net=tap=t --vsock=/run/v"
