"""Where webhooks may go: a host and one of its addresses in, whether it may be called out.

Who can make us call an address of his choice reaches what only we can reach: the cloud's metadata, a database
on loopback. So the rule is: public addresses, over https. `WAREHOUSE_ALLOW` makes exceptions.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Self

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NAT64 = ip_network("64:ff9b::/96")
_COMPATIBLE = ip_network("::/96")
# Beside the link-local one: Azure's (a public address), Alibaba's, Amazon's over IPv6.
_METADATA = frozenset(map(ip_address, ("168.63.129.16", "100.100.100.200", "fd00:ec2::254")))
# What is set aside, too, and Pythons before 3.13 take for public.
_SET_ASIDE = tuple(map(ip_network, ("192.0.0.0/24", "3fff::/20", "5f00::/16")))
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")


@dataclass(frozen=True, slots=True)
class Egress:
    """The exceptions to the rule.

    A network's addresses may be called whatever they are, a host's also where they are private or loopback;
    both without TLS, too.
    """

    networks: tuple[Network, ...] = ()
    hosts: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, allowed: str) -> Self:
        """From `10.1.0.0/16,127.0.0.1,warehouse.internal`; ValueError names the entry that is neither."""
        networks: list[Network] = []
        hosts: set[str] = set()
        for entry in filter(None, (part.strip().lower() for part in allowed.split(","))):
            try:
                networks.append(ip_network(entry))
            except ValueError as error:
                if not _is_host(entry):
                    raise ValueError(f"{entry!r} is no network, address or host: {error}") from None
                hosts.add(entry.rstrip("."))
        return cls(tuple(networks), frozenset(hosts))

    def permits(self, host: str, address: Address, *, encrypted: bool) -> bool:
        """Whether the address, to which the host's name leads now, may be called so."""
        is_listed = host.lower().rstrip(".") in self.hosts
        return all(self._permits(one, encrypted=encrypted, is_listed=is_listed) for one in _meant(address))

    def _permits(self, address: Address, *, encrypted: bool, is_listed: bool) -> bool:
        if any(address in network for network in self.networks):
            return True
        if is_listed and _is_inside(address):
            return True
        return (encrypted or is_listed) and _is_public(address)


def _meant(address: Address) -> list[Address]:
    """Where packets to it go: an IPv4 address may be written as one of IPv6, or tunnelled through one."""
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped:
        return [address.ipv4_mapped]
    if address in _COMPATIBLE and int(address) > 1:
        return [IPv4Address(int(address))]
    if address in _NAT64:
        return [IPv4Address(int(address) & 0xFFFFFFFF)]
    if address.sixtofour:
        return [address, address.sixtofour]
    return [address]


def _is_public(address: Address) -> bool:
    is_odd = address.is_multicast or address.is_reserved or address.is_unspecified
    is_site_local = isinstance(address, IPv6Address) and address.is_site_local
    is_set_aside = address in _METADATA or any(address in network for network in _SET_ASIDE)
    return address.is_global and not (is_odd or is_site_local or is_set_aside)


def _is_inside(address: Address) -> bool:
    """Private or loopback. Link-local is neither here: clouds answer there with credentials."""
    is_odd = address.is_link_local or address.is_reserved or address.is_unspecified or address.is_multicast
    return address.is_loopback or (address.is_private and not is_odd and address not in _METADATA)


def _is_host(entry: str) -> bool:
    last = entry.rstrip(".").rpartition(".")[2]
    return bool(_HOST.fullmatch(entry.rstrip("."))) and not last.isdigit()
