//! Where an address lies: the public internet, or one of the ranges that are not.
//!
//! The ranges are those of the IANA special-purpose registries, the forms that carry an IPv4 address inside an IPv6
//! one, and the addresses at which clouds hand out credentials. What is in no range is public for IPv4; for IPv6 only
//! `2000::/3` is public, because nothing else has been given out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Who may connect to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Every connector that declares the host.
    Everyone,
    /// Those for which the operator named the host.
    AllowedName,
    /// Those for which the operator named this very address: a name that leads there is never trusted.
    AllowedAddress,
}

/// Where an address lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// What it is, with its article.
    pub(super) name: &'static str,
    /// Who may go there.
    pub(super) reach: Reach,
}

const PUBLIC: Place = Place { name: "a public address", reach: Reach::Everyone };
const RESERVED: Place = Place { name: "a reserved address", reach: Reach::AllowedAddress };
const ISATAP: Place = Place { name: "an ISATAP address", reach: Reach::AllowedAddress };

const fn named(name: &'static str) -> Place {
    Place { name, reach: Reach::AllowedName }
}

const fn literal(name: &'static str) -> Place {
    Place { name, reach: Reach::AllowedAddress }
}

/// First match wins: single addresses before the ranges around them.
const V4: &[([u8; 4], u32, Place)] = &[
    ([169, 254, 169, 254], 32, literal("a cloud metadata address")),
    ([169, 254, 170, 2], 32, literal("a cloud metadata address")),
    ([100, 100, 100, 200], 32, literal("a cloud metadata address")),
    ([168, 63, 129, 16], 32, literal("a cloud metadata address")),
    ([192, 0, 0, 192], 32, literal("a cloud metadata address")),
    ([0, 0, 0, 0], 8, literal("an unspecified address")),
    ([10, 0, 0, 0], 8, named("a private address")),
    ([100, 64, 0, 0], 10, named("a shared (carrier-grade NAT) address")),
    ([127, 0, 0, 0], 8, named("a loopback address")),
    ([169, 254, 0, 0], 16, literal("a link-local address")),
    ([172, 16, 0, 0], 12, named("a private address")),
    ([192, 0, 0, 0], 24, literal("a protocol assignment")),
    ([192, 0, 2, 0], 24, named("a documentation address")),
    ([192, 31, 196, 0], 24, literal("an AS112 address")),
    ([192, 52, 193, 0], 24, literal("an AMT relay address")),
    ([192, 88, 99, 0], 24, literal("a 6to4 relay address")),
    ([192, 168, 0, 0], 16, named("a private address")),
    ([192, 175, 48, 0], 24, literal("an AS112 address")),
    ([198, 18, 0, 0], 15, named("a benchmarking address")),
    ([198, 51, 100, 0], 24, named("a documentation address")),
    ([203, 0, 113, 0], 24, named("a documentation address")),
    ([224, 0, 0, 0], 4, literal("a multicast address")),
    ([255, 255, 255, 255], 32, literal("the broadcast address")),
    ([240, 0, 0, 0], 4, literal("a reserved address")),
];

/// First match wins.
const V6: &[([u16; 8], u32, Place)] = &[
    ([0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254], 128, literal("a cloud metadata address")),
    ([0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x254], 128, literal("a cloud metadata address")),
    ([0xfd00, 0x0042, 0, 0, 0, 0, 0, 0x42], 128, literal("a cloud metadata address")),
    ([0xfd00, 0x00c1, 0, 0, 0, 0, 0xa9fe, 0xa9fe], 128, literal("a cloud metadata address")),
    ([0, 0, 0, 0, 0, 0, 0, 0], 128, literal("the unspecified address")),
    ([0, 0, 0, 0, 0, 0, 0, 1], 128, named("a loopback address")),
    ([0, 0, 0, 0, 0, 0, 0, 0], 96, literal("an IPv4-compatible address")),
    ([0, 0, 0, 0, 0, 0xffff, 0, 0], 96, literal("an IPv4-mapped address")),
    ([0, 0, 0, 0, 0xffff, 0, 0, 0], 96, literal("an IPv4-translated address")),
    ([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96, literal("a NAT64 address")),
    ([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, literal("a NAT64 address")),
    ([0x100, 0, 0, 0, 0, 0, 0, 0], 64, literal("a discard-only address")),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, literal("a Teredo address")),
    ([0x2001, 2, 0, 0, 0, 0, 0, 0], 48, named("a benchmarking address")),
    ([0x2001, 0x10, 0, 0, 0, 0, 0, 0], 28, literal("an ORCHID address")),
    ([0x2001, 0x20, 0, 0, 0, 0, 0, 0], 28, literal("an ORCHID address")),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, literal("a protocol assignment")),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, named("a documentation address")),
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, literal("a 6to4 address")),
    ([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48, literal("an AS112 address")),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, named("a documentation address")),
    ([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16, literal("a segment routing address")),
    ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, named("a unique local address")),
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, literal("a link-local address")),
    ([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, literal("a site-local address")),
    ([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, literal("a multicast address")),
];

/// Where an address lies.
pub(super) fn place(ip: IpAddr) -> Place {
    match ip {
        IpAddr::V4(ip) => place_v4(ip),
        IpAddr::V6(ip) => place_v6(ip),
    }
}

fn place_v4(ip: Ipv4Addr) -> Place {
    let inside = |network: [u8; 4], bits: u32| (ip.to_bits() ^ u32::from_be_bytes(network)).leading_zeros() >= bits;
    V4.iter().find(|(network, bits, _)| inside(*network, *bits)).map_or(PUBLIC, |(_, _, place)| *place)
}

fn place_v6(ip: Ipv6Addr) -> Place {
    let inside =
        |network: [u16; 8], bits: u32| (ip.to_bits() ^ Ipv6Addr::from(network).to_bits()).leading_zeros() >= bits;
    if let Some((_, _, place)) = V6.iter().find(|(network, bits, _)| inside(*network, *bits)) {
        return *place;
    }
    let segments = ip.segments();
    if segments[5] == 0x5efe && segments[4] & !0x0200 == 0 {
        return ISATAP;
    }
    if segments[0] & 0xe000 == 0x2000 { PUBLIC } else { RESERVED }
}
