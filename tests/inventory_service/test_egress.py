"""Which addresses a webhook may go to."""

from ipaddress import ip_address

import pytest

from inventory_service.egress import Egress

V4 = (
    "127.0.0.1 127.8.9.1 0.0.0.0 0.1.2.3 10.0.0.1 172.16.0.1 192.168.1.1 100.64.0.1 100.127.255.254 "
    "192.0.0.192 169.254.169.254 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 239.1.2.3 "
    "240.0.0.1 255.255.255.255 168.63.129.16 100.100.100.200"
)
V6 = "::1 :: fe80::1 fe80::1%eth0 fec0::1 fc00::1 fd00:ec2::254 ff02::1 2001:db8::1 3fff::1 64:ff9b:1::1"
V4_IN_V6 = (
    "::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:10.0.0.1 ::127.0.0.1 ::10.0.0.1 "
    "64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 2002:7f00:1:: 2002:a00:1::1"
)
NOT_PUBLIC = f"{V4} {V6} {V4_IN_V6}".split()
PUBLIC = ["1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_what_is_not_public_is_refused(address: str) -> None:
    assert not Egress().permits("warehouse.example.com", ip_address(address), encrypted=True)


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public_is_called_over_tls_only(address: str) -> None:
    assert Egress().permits("warehouse.example.com", ip_address(address), encrypted=True)
    assert not Egress().permits("warehouse.example.com", ip_address(address), encrypted=False)


def test_a_listed_network_is_called_as_it_is_and_nothing_beside_it() -> None:
    egress = Egress.parse("10.1.0.0/16, 169.254.7.7")

    for address in ("10.1.2.3", "::ffff:10.1.2.3", "169.254.7.7"):
        assert egress.permits("a", ip_address(address), encrypted=False)
    for address in ("10.2.0.1", "169.254.169.254", "127.0.0.1"):
        assert not egress.permits("a", ip_address(address), encrypted=True)


@pytest.mark.parametrize("host", ["warehouse.internal", "Warehouse.Internal."])
def test_a_listed_host_may_be_private_but_never_the_clouds_metadata(host: str) -> None:
    egress = Egress.parse("warehouse.internal")

    for address in ("10.2.0.1", "127.0.0.1", "::1", "fd12::1", "8.8.8.8"):
        assert egress.permits(host, ip_address(address), encrypted=False)
    for address in ("169.254.169.254", "fe80::1", "fd00:ec2::254", "224.0.0.1", "::ffff:169.254.169.254"):
        assert not egress.permits(host, ip_address(address), encrypted=True)
    assert not egress.permits("other.internal", ip_address("10.2.0.1"), encrypted=True)


@pytest.mark.parametrize("entry", ["10.1.0.0/33", "10.1.2.3/16", "http://a", "300.1.2.3", "a..b", "-a"])
def test_what_is_neither_network_nor_host_is_named(entry: str) -> None:
    with pytest.raises(ValueError, match="is no network, address or host"):
        Egress.parse(f"localhost,{entry}")
