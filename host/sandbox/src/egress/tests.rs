//! Tables of addresses, URLs and patterns, each in every spelling we know.

use super::allow::HostPort;
use super::denied::DeniedBy;
use super::*;
use model::error::Code;
use model::{Field, Secrecy};

fn field(name: &str, secrecy: Secrecy) -> Field {
    Field { name: name.into(), help: String::new(), required: false, secrecy, default: None, hosts: vec![] }
}

fn description(hosts: &[&str]) -> Description {
    Description {
        name: "test".into(),
        version: "1.0.0".into(),
        fields: vec![
            field("base_url", Secrecy::Plain),
            field("shop", Secrecy::Plain),
            field("region", Secrecy::Plain),
            field("api_key", Secrecy::Secret),
            field("signing_key", Secrecy::Exposed),
        ],
        hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        rate_limits: vec![],
    }
}

fn configuration(entries: &[(&str, &str)]) -> Configuration {
    Configuration(entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

fn allow(private: &[&str], http: &[&str]) -> Allow {
    let read = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    Allow { private: read(private), http: read(http) }
}

fn policy(hosts: &[&str], entries: &[(&str, &str)], allow: &Allow) -> Policy {
    Policy::new(&description(hosts), &configuration(entries), allow).unwrap()
}

/// "ok", or who refused; "invalid" where it is no URL at all.
fn verdict(policy: &Policy, text: &str) -> &'static str {
    let Ok(url) = Url::parse(text) else { return "invalid" };
    match policy.check_url(&url) {
        Ok(_) => "ok",
        Err(Denied { by: DeniedBy::Declaration, .. }) => "declaration",
        Err(Denied { by: DeniedBy::Options, .. }) => "options",
        Err(Denied { by: DeniedBy::Rule, .. }) => "rule",
    }
}

#[test]
fn addresses_lie_where_the_registries_say() {
    let name: Host<String> = Host::Domain("api.example.com".into());
    let closed = policy(&[], &[], &Allow::default());
    let open = policy(&[], &[], &allow(&["api.example.com"], &[]));
    // Address; whether a name may lead there; whether it may when the operator allowed that name.
    #[rustfmt::skip]
    let table: &[(&str, bool, bool)] = &[
        // Public, and the neighbours of ranges that are not.
        ("1.1.1.1", true, true), ("8.8.8.8", true, true), ("93.184.216.34", true, true), ("1.0.0.0", true, true),
        ("9.255.255.255", true, true), ("11.0.0.0", true, true), ("100.63.255.255", true, true),
        ("100.128.0.0", true, true), ("126.255.255.255", true, true), ("128.0.0.0", true, true),
        ("168.63.129.15", true, true), ("168.63.129.17", true, true),
        ("169.253.255.255", true, true), ("169.255.0.0", true, true), ("172.15.255.255", true, true),
        ("172.32.0.0", true, true), ("191.255.255.255", true, true), ("192.0.1.0", true, true),
        ("192.0.3.0", true, true), ("192.167.255.255", true, true), ("192.169.0.0", true, true),
        ("198.17.255.255", true, true), ("198.20.0.0", true, true), ("203.0.112.255", true, true),
        ("203.0.114.0", true, true), ("223.255.255.255", true, true),
        ("2606:4700:4700::1111", true, true), ("2001:4860:4860::8888", true, true), ("2a00::1", true, true),
        ("2400::1", true, true), ("2001:200::1", true, true), ("2003::1", true, true), ("2001:db9::1", true, true),
        // Loopback.
        ("127.0.0.1", false, true), ("127.0.0.0", false, true), ("127.1.2.3", false, true),
        ("127.255.255.255", false, true), ("::1", false, true),
        // Private, unique local, shared.
        ("10.0.0.0", false, true), ("10.1.2.3", false, true), ("10.255.255.255", false, true),
        ("172.16.0.0", false, true), ("172.31.255.255", false, true), ("192.168.0.0", false, true),
        ("192.168.255.255", false, true), ("100.64.0.0", false, true), ("100.127.255.255", false, true),
        ("fc00::1", false, true), ("fd12:3456::1", false, true), ("fdff:ffff::1", false, true),
        // Documentation and benchmarking.
        ("192.0.2.1", false, true), ("198.51.100.7", false, true), ("203.0.113.255", false, true),
        ("198.18.0.0", false, true), ("198.19.255.255", false, true), ("2001:db8::1", false, true),
        ("3fff::1", false, true), ("3fff:fff:ffff::1", false, true), ("2001:2::1", false, true),
        // Unspecified.
        ("0.0.0.0", false, false), ("0.0.0.1", false, false), ("0.255.255.255", false, false), ("::", false, false),
        // Link-local and metadata.
        ("169.254.0.1", false, false), ("169.254.169.254", false, false), ("169.254.170.2", false, false),
        ("169.254.169.123", false, false), ("169.254.255.255", false, false),
        ("100.100.100.200", false, false), ("168.63.129.16", false, false),
        ("192.0.0.192", false, false), ("fd00:ec2::254", false, false), ("fd20:ce::254", false, false),
        ("fd00:42::42", false, false), ("fd00:c1::a9fe:a9fe", false, false),
        ("fe80::1", false, false), ("febf::1", false, false), ("fec0::1", false, false), ("feff::1", false, false),
        // Multicast, broadcast, reserved.
        ("224.0.0.1", false, false), ("239.255.255.255", false, false), ("240.0.0.1", false, false),
        ("254.1.1.1", false, false), ("255.255.255.255", false, false), ("ff02::1", false, false),
        ("ff0e::1", false, false), ("192.0.0.1", false, false), ("192.0.0.170", false, false),
        ("192.31.196.1", false, false), ("192.52.193.1", false, false), ("192.175.48.1", false, false),
        // IPv4 inside IPv6: mapped, compatible, translated, NAT64, 6to4, Teredo, ISATAP.
        ("::ffff:127.0.0.1", false, false), ("::ffff:1.1.1.1", false, false), ("::ffff:a9fe:a9fe", false, false),
        ("::127.0.0.1", false, false), ("::2", false, false), ("::8.8.8.8", false, false),
        ("::ffff:0:127.0.0.1", false, false), ("::ffff:0:8.8.8.8", false, false),
        ("64:ff9b::127.0.0.1", false, false), ("64:ff9b::a9fe:a9fe", false, false),
        ("64:ff9b::8.8.8.8", false, false), ("64:ff9b:1::1", false, false), ("64:ff9b:1:ffff::a00:1", false, false),
        ("2002:7f00:1::", false, false), ("2002:a9fe:a9fe::1", false, false), ("2002:808:808::1", false, false),
        ("2001::1", false, false), ("2001:0:4136:e378:8000:63bf:3fff:fdd2", false, false),
        ("2606:4700::5efe:127.0.0.1", false, false), ("2606:4700::200:5efe:10.0.0.1", false, false),
        ("192.88.99.1", false, false),
        // ORCHID, other assignments of 2001::/23, discard, segment routing, AS112.
        ("2001:10::1", false, false), ("2001:1f::1", false, false), ("2001:20::1", false, false),
        ("2001:2f::1", false, false), ("2001:3::1", false, false), ("2001:4:112::1", false, false),
        ("2001:1ff::1", false, false), ("100::1", false, false), ("100:0:0:1::1", false, false),
        ("5f00::1", false, false), ("2620:4f:8000::1", false, false),
        // Never given out.
        ("1::1", false, false), ("200::1", false, false), ("1fff::1", false, false), ("4000::1", false, false),
        ("8000::1", false, false), ("fb00::1", false, false), ("fe00::1", false, false),
    ];
    // With the URLs below more than 250 spellings.
    assert!(table.len() >= 130, "{} rows", table.len());
    for (text, public, named) in table {
        let ip: IpAddr = text.parse().unwrap();
        assert_eq!(closed.check_address(ip, &name, 443).is_ok(), *public, "{text}: {:?}", address::place(ip));
        assert_eq!(open.check_address(ip, &name, 443).is_ok(), *named, "{text}, allowed: {:?}", address::place(ip));
    }
}

#[test]
fn an_address_that_the_operator_names_is_reached_as_itself_only() {
    for text in ["127.0.0.1", "169.254.169.254", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]"] {
        let entry = format!("{text}:8080");
        let url = Url::parse(&format!("http://{text}:8080/")).unwrap();
        let open = policy(&[&entry], &[], &allow(&[&entry], &[]));
        assert!(open.check_url(&url).is_ok(), "{text}");
        let other_port = policy(&[&entry], &[], &allow(&[&format!("{text}:8081")], &[]));
        assert_eq!(verdict(&other_port, url.as_str()), "options", "{text}");
        let ip = open.check_url(&url).unwrap().host;
        let ip: IpAddr = ip.to_string().trim_matches(['[', ']']).parse().unwrap();
        let name = Host::Domain("rebound.example.com".into());
        assert!(open.check_address(ip, &name, 8080).is_err(), "{text} by a name");
    }
}

#[test]
fn urls_are_held_against_the_declaration_in_every_spelling() {
    let hosts = ["api.example.com", "*.wild.example.org", "port.example.com:8443", "bücher.example", "8.8.8.8"];
    let policy = policy(&hosts, &[], &allow(&["127.0.0.1:8080", "localhost"], &["plain.example.com"]));
    #[rustfmt::skip]
    let table: &[(&str, &str)] = &[
        // As declared.
        ("https://api.example.com/", "ok"), ("https://api.example.com", "ok"), ("https://api.example.com:443/x?y", "ok"),
        ("HTTPS://API.EXAMPLE.COM/", "ok"), ("https://api.example.com./", "ok"), ("https://api.example.com\\x", "ok"),
        ("https:api.example.com/", "ok"), ("https:/api.example.com/", "ok"), ("https:\\\\api.example.com/", "ok"),
        ("https://ap%69.example.com/", "ok"), ("https://ａｐｉ.example.com/", "ok"), ("https://api。example。com/", "ok"),
        ("  https://api.example.com/\n", "ok"), ("https://api.exa\nmple.com/", "ok"),
        ("https://bücher.example/", "ok"), ("https://xn--bcher-kva.example/", "ok"), ("https://BÜCHER.example/", "ok"),
        ("https://a.wild.example.org/", "ok"), ("https://a.b.wild.example.org/", "ok"),
        ("https://A.WILD.example.org./", "ok"), ("https://port.example.com:8443/", "ok"),
        ("https://8.8.8.8/", "ok"), ("https://134744072/", "ok"), ("https://0x08080808/", "ok"),
        ("https://010.8.8.8/", "ok"), ("https://8.8.2056/", "ok"), ("https://8.526344/", "ok"),
        // Not as declared.
        ("https://example.com/", "declaration"), ("https://xapi.example.com/", "declaration"),
        ("https://api.example.com.evil.com/", "declaration"), ("https://evil-api.example.com/", "declaration"),
        ("https://a.api.example.com/", "declaration"), ("https://wild.example.org/", "declaration"),
        ("https://.wild.example.org/", "declaration"), ("https://xwild.example.org/", "declaration"),
        ("https://evilwild.example.org/", "declaration"), ("https://a.wild.example.org.evil.com/", "declaration"),
        ("https://api.example.com:8443/", "declaration"), ("https://api.example.com:80/", "declaration"),
        ("https://port.example.com/", "declaration"), ("https://port.example.com:443/", "declaration"),
        ("https://buecher.example/", "declaration"), ("https://bücher.example.com/", "declaration"),
        ("https://api.example.com../", "declaration"), ("https://аpi.example.com/", "declaration"),
        ("https://api.example.com:8443./", "invalid"), ("https://api-example.com/", "declaration"),
        // The host is what stands behind the last @ and before the first slash of either kind.
        ("https://api.example.com@evil.com/", "rule"), ("https://api.example.com:443@evil.com/", "rule"),
        ("https://user@api.example.com/", "rule"), ("https://user:pw@api.example.com/", "rule"),
        ("https://:pw@api.example.com/", "rule"), ("https://@api.example.com/", "ok"),
        ("https://evil.com\\@api.example.com/", "declaration"), ("https://evil.com/@api.example.com/", "declaration"),
        ("https://evil.com#@api.example.com/", "declaration"), ("https://evil.com?@api.example.com/", "declaration"),
        ("https://evil.com%2F@api.example.com/", "rule"), ("https://api.example.com%2F.evil.com/", "invalid"),
        ("https://api.example.com%00.evil.com/", "invalid"), ("https://api.example.com%40evil.com/", "invalid"),
        ("https://api.example.com#.evil.com/", "ok"), ("https://api.example.com?.evil.com/", "ok"),
        ("https://evil.com\t@api.example.com/", "rule"), ("https://[api.example.com]/", "invalid"),
        ("https://[::1%25eth0]/", "invalid"), ("https://[::1", "invalid"), ("https:///", "invalid"),
        ("https://api.example.com:99999/", "invalid"), ("https://a b.example.com/", "invalid"),
        // Schemes.
        ("http://api.example.com/", "options"), ("http://api.example.com:443/", "declaration"),
        ("http://api.example.com:80/", "options"), ("ftp://api.example.com/", "rule"), ("file:///etc/passwd", "rule"),
        ("ws://api.example.com/", "rule"), ("gopher://api.example.com/", "rule"), ("data:text/plain,x", "rule"),
        ("unix:/var/run/docker.sock", "rule"), ("javascript:alert(1)", "rule"), ("blob:https://api.example.com/", "rule"),
        ("view-source:https://api.example.com/", "rule"), ("//api.example.com/", "invalid"), ("/x", "invalid"), ("", "invalid"),
        // Allowed by the operator, not declared by the connector.
        ("http://127.0.0.1:8080/", "declaration"), ("http://localhost/", "declaration"),
        ("http://plain.example.com/", "declaration"),
    ];
    assert!(table.len() >= 88, "{} rows", table.len());
    for (text, wanted) in table {
        assert_eq!(verdict(&policy, text), *wanted, "{text:?}");
    }
}

#[test]
fn literal_addresses_are_seen_through_in_every_spelling() {
    // The connector declares them, the operator does not allow them.
    let hosts = ["127.0.0.1", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1", "0.0.0.0", "localhost"];
    let policy = policy(&hosts, &[], &Allow::default());
    #[rustfmt::skip]
    let table = [
        "https://127.0.0.1/", "https://127.1/", "https://127.0.1/", "https://2130706433/", "https://0x7f000001/",
        "https://0x7f.1/", "https://0x7f.0x0.0x0.0x1/", "https://0177.0.0.1/", "https://0177.1/",
        "https://017700000001/", "https://127.0.0.1./", "https://0X7F.0.0.1/", "https://127.0x000001/",
        "https://１２７.0.0.1/", "https://127。0。0。1/", "https://%31%32%37.0.0.1/", "https://127.0.0.0x1/",
        "https://169.254.169.254/latest/meta-data", "https://0xa9fea9fe/", "https://2852039166/",
        "https://0251.0376.0251.0376/", "https://169.254.43518/", "https://169.16689662/",
        "https://[::1]/", "https://[0:0:0:0:0:0:0:1]/", "https://[0000:0000::0001]/", "https://[::0.0.0.1]/",
        "https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/", "https://[0:0:0:0:0:FFFF:7F00:0001]/",
        "https://10.0.0.1/", "https://10.1/", "https://167772161/", "https://012.0.0.1/", "https://0.0.0.0/",
        "https://0/", "https://0x0/", "https://00/",
    ];
    assert!(table.len() >= 36, "{} rows", table.len());
    for text in table {
        assert_eq!(verdict(&policy, text), "options", "{text}");
    }
    // A name is judged when its addresses are known.
    assert_eq!(verdict(&policy, "https://localhost/"), "ok");
    for text in [
        "https://4294967296/",
        "https://256.1.1.1/",
        "https://1.2.3.4.5/",
        "https://0x100000000/",
        "https://127.0.0.08/",
    ] {
        assert_eq!(verdict(&policy, text), "invalid", "{text}");
    }
}

#[test]
fn plain_http_goes_where_the_operator_says() {
    let hosts = ["a.example.com", "a.example.com:8080", "127.0.0.1:9000", "localhost:9000"];
    let policy = policy(&hosts, &[], &allow(&["127.0.0.1:9000", "LOCALHOST.:9000"], &["a.example.com:8080"]));
    assert_eq!(verdict(&policy, "http://a.example.com:8080/"), "ok");
    assert_eq!(verdict(&policy, "http://a.example.com/"), "options");
    assert_eq!(verdict(&policy, "http://127.0.0.1:9000/"), "ok");
    assert_eq!(verdict(&policy, "http://localhost:9000/"), "ok");
    // --allow-http says nothing about private addresses.
    let name = Host::Domain("a.example.com".into());
    assert!(policy.check_address([10, 0, 0, 1].into(), &name, 8080).is_err());
    // --allow-private of an address says nothing about a name that leads there.
    assert!(policy.check_address([127, 0, 0, 1].into(), &name, 9000).is_err());
}

#[test]
fn references_take_their_values_from_the_configuration() {
    let entries = [("base_url", "HTTPS://Api.Example.com:8443/v2?x=1"), ("shop", "Acme-1"), ("region", "")];
    let hosts = ["{base_url}", "{shop}.example.com", "*.{shop}.example.net:444", "{region}.example.com"];
    let policy = policy(&hosts, &entries, &Allow::default());
    for (text, wanted) in [
        ("https://api.example.com:8443/other", "ok"),
        ("https://api.example.com/", "declaration"),
        ("http://api.example.com:8443/", "declaration"),
        ("https://acme-1.example.com/", "ok"),
        ("https://x.acme-1.example.net:444/", "ok"),
        ("https://acme-2.example.com/", "declaration"),
        ("https://.example.com/", "declaration"),
    ] {
        assert_eq!(verdict(&policy, text), wanted, "{text}");
    }
    let shown = policy.declared.to_string();
    assert_eq!(shown, "https://api.example.com:8443, acme-1.example.com, *.acme-1.example.net:444");
}

#[test]
fn wrong_values_are_the_users_fault_and_wrong_patterns_the_connectors() {
    let code = |pattern: &str, entries: &[(&str, &str)]| {
        Policy::new(&description(&[pattern]), &configuration(entries), &Allow::default())
            .map_or_else(|e| Some(e.code()), |_| None)
    };
    for value in ["api.example.com", "ftp://x.example", "https://", "https://u:p@x.example", "http://[::1", "x"] {
        assert_eq!(code("{base_url}", &[("base_url", value)]), Some(Code::ConfigurationInvalid), "{value}");
    }
    let long = "a".repeat(64);
    for value in ["a.b", "evil.com/", "-a", "a-", "a:1", "a@b", "a_b", "ä", "*", "{region}", long.as_str()] {
        assert_eq!(code("{shop}.example.com", &[("shop", value)]), Some(Code::ConfigurationInvalid), "{value}");
    }
    for pattern in [
        "",
        "*",
        "*.",
        "*.com",
        "a.*.com",
        "*a.example.com",
        "https://api.example.com",
        "api.example.com/v1",
        "u@h.com",
        "h:0",
        "h:",
        "h:99999",
        "h:x",
        "h:+1",
        "::1",
        "[::1",
        "{missing}",
        "{api_key}",
        "{signing_key}.example.com",
        "x{shop}.example.com",
        "{shop}x.example.com",
        "{shop",
        "a b",
        "a%2eb",
        "*.127.0.0.1",
        "{base_url",
        "256.256.256.256",
    ] {
        let entries = [("shop", "acme"), ("api_key", "k"), ("signing_key", "k")];
        assert_eq!(code(pattern, &entries), Some(Code::SchemaInvalid), "{pattern:?}");
    }
    // An optional field without a value grants nothing and harms nothing.
    assert_eq!(code("{base_url}", &[]), None);
    assert_eq!(code("{shop}.example.com", &[("shop", " ")]), None);
}

#[test]
fn the_operators_options_are_read_in_every_spelling() {
    for (text, shown) in [
        ("localhost", "localhost"),
        ("LocalHost:80", "localhost:80"),
        ("127.0.0.1:8080", "127.0.0.1:8080"),
        ("127.1", "127.0.0.1"),
        ("::1", "[::1]"),
        ("[::1]:80", "[::1]:80"),
        ("[::1]", "[::1]"),
        ("bücher.example:1", "xn--bcher-kva.example:1"),
        ("a.example.", "a.example"),
    ] {
        assert_eq!(text.parse::<HostPort>().unwrap().to_string(), shown, "{text}");
    }
    for text in ["", ":80", "http://localhost", "a/b", "a:b", "a:0", "*.example.com", "{base_url}", "u@a", "[::1"] {
        assert_eq!(text.parse::<HostPort>().unwrap_err().code(), Code::Usage, "{text:?}");
    }
}

#[test]
fn a_refusal_says_who_refused_and_what_to_do() {
    let policy = policy(&["api.example.com", "10.0.0.5"], &[], &Allow::default());
    let said = |text: &str| policy.check_url(&Url::parse(text).unwrap()).unwrap_err().to_string();
    assert_eq!(
        said("https://other.example.com/secret?k=v"),
        "the connector does not declare other.example.com:443 among its hosts (api.example.com, 10.0.0.5); if it \
         should reach it, the connector's author adds it to `hosts` in its description"
    );
    assert_eq!(
        said("http://api.example.com/"),
        "plain http to api.example.com:80 is not allowed by the operator's options; use https, or run with \
         --allow-http api.example.com:80"
    );
    assert_eq!(
        said("https://10.0.0.5/"),
        "10.0.0.5:443 is a private address, which the operator's options do not allow; if the connector should reach \
         it, run with --allow-private 10.0.0.5:443"
    );
    let name = Host::Domain("api.example.com".into());
    let text = policy.check_address([169, 254, 169, 254].into(), &name, 443).unwrap_err().to_string();
    assert!(text.ends_with("--allow-private 169.254.169.254:443"), "{text}");
}
