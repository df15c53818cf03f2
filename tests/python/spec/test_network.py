# SPDX-License-Identifier: GPL-2.0-only
"""Network options are parsed exactly, and wrong ones are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvm.errors import UserError
from kvm.run.machine import command_line
from kvm.spec.json_form import from_json, to_json
from kvm.spec.network import Forward, NetKind, NetSpec, VsockSpec, guest_words
from support.asked import boot_options


def test_a_user_network_needs_no_more_than_its_name() -> None:
    net = NetSpec.parse("user")
    assert to_json(net) == to_json(NetSpec(NetKind.USER))
    assert guest_words((net,)) == "toolskvm.net=10.0.2.15/24:10.0.2.2:10.0.2.3"


def test_a_user_network_forwards_ports() -> None:
    net = NetSpec.parse(
        "user,hostfwd=tcp:8080:80,hostfwd=udp:0.0.0.0:53:5353,mtu=1500,mac=02:0:0:0:0:1"
    )
    assert net.forwards == (
        Forward(False, "127.0.0.1", 8080, 80),
        Forward(True, "0.0.0.0", 53, 5353),
    )
    assert (net.mtu, net.mac) == (1500, "02:0:0:0:0:1")


@pytest.mark.parametrize(
    ("text", "forward"),
    [
        ("tcp::8080-:80", Forward(False, "0.0.0.0", 8080, 80)),
        (":127.0.0.1:8080-:80", Forward(False, "127.0.0.1", 8080, 80)),
        ("udp:192.168.0.1:53-10.0.2.15:5353", Forward(True, "192.168.0.1", 53, 5353)),
    ],
)
def test_ports_may_be_forwarded_in_qemus_words(text: str, forward: Forward) -> None:
    assert NetSpec.parse(f"user,hostfwd={text}").forwards == (forward,)


def test_a_user_network_keeps_the_hosts_loopback_to_the_host_unless_asked() -> None:
    assert not NetSpec.parse("user").host_loopback
    net = NetSpec.parse("user,mtu=1500,loopback")
    assert (net.host_loopback, net.mtu) == (True, 1500)
    assert to_json(from_json(NetSpec, to_json(net))) == to_json(net)


def test_a_tap_has_addresses_on_both_sides() -> None:
    net = NetSpec.parse("tap=tap0,host=192.168.7.1/24,guest=192.168.7.2/24,queues=4")
    alike = NetSpec(NetKind.TAP, tap="tap0", queues=4, host_address="192.168.7.1/24")
    assert to_json(net) == to_json(alike)
    assert guest_words((net,)) == "toolskvm.net=192.168.7.2/24:192.168.7.1"


def test_each_interface_has_its_place_in_what_the_guest_is_told() -> None:
    assert guest_words((NetSpec.parse("tap=a"), NetSpec.parse("user"))) == (
        "toolskvm.net=,10.0.2.15/24:10.0.2.2:10.0.2.3"
    )
    assert guest_words((NetSpec.parse("tap=a"),)) == ""
    assert guest_words(()) == ""


def test_the_guest_is_told_on_the_command_line() -> None:
    assert " toolskvm.net=10.0.2.15/24" in command_line(boot_options(nets=("user",)))
    assert "toolskvm.net" not in command_line(boot_options())


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
        boot_options(nets=(text,)).check()
    assert words in str(caught.value)


def test_a_taps_frames_are_the_kernels_to_move_if_asked() -> None:
    assert NetSpec.parse("tap=t,vhost") == NetSpec(NetKind.TAP, tap="t", vhost=True)
    assert not NetSpec.parse("tap=t").vhost
    with pytest.raises(UserError, match="vhost"):
        NetSpec.parse("user,vhost")


def test_a_vsock_has_a_path_and_perhaps_a_number() -> None:
    assert VsockSpec.parse("/run/v") == VsockSpec(Path("/run/v"), 3)
    assert VsockSpec.parse("/run/v,cid=9") == VsockSpec(Path("/run/v"), 9)


def test_a_vsock_by_the_hosts_vhost_has_no_path() -> None:
    assert VsockSpec.parse("vhost") == VsockSpec(None, 3)
    assert VsockSpec.parse("vhost,cid=9") == VsockSpec(None, 9)
    assert VsockSpec.parse("./vhost") == VsockSpec(Path("vhost").absolute(), 3)


@pytest.mark.parametrize(
    "text", [",cid=3", "/v,cid=2", "/v,cid=x", "/v,port=1", "/v,cid=4294967295", "vhost,cid=2"]
)
def test_a_bad_vsock_is_named(text: str) -> None:
    with pytest.raises(UserError, match="--vsock"):
        boot_options(vsock=text).check()


@pytest.mark.parametrize(
    "text",
    [
        "user,hostfwd=udp:0.0.0.0:53:5353,mtu=1500,mac=02:0:0:0:0:1,loopback",
        "tap=t,host=10.0.0.1/24,guest=10.0.0.2/24,gateway=10.0.0.9,queues=4,vhost",
        "tap=t,host=10.0.0.1/24,guest=10.0.0.2/24,script=/bin/sh,downscript=/bin/sh,mac=2:0:0:0:0:1",
    ],
)
def test_a_network_is_the_same_when_a_run_is_repeated(text: str) -> None:
    net = NetSpec.parse(text)
    assert NetSpec.parse(net.words()) == net


def test_a_run_with_networks_can_be_said_again() -> None:
    options = boot_options(nets=("user", "tap=t"), vsock="/run/v")
    assert options.arguments() == "--net=user --net=tap=t --vsock=/run/v"
