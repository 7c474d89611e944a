//! Addresses of `--allow-private` and `--allow-http`: `HOST` or `HOST:PORT`, nothing else.

use model::error::Result;
use model::error::usage;

/// The addresses, if each is a host with or without a port.
pub fn checked(typed: &[String]) -> Result<Vec<String>> {
    typed.iter().map(|text| check(text).map(|()| text.clone())).collect()
}

fn check(text: &str) -> Result<()> {
    if is_address(text) {
        return Ok(());
    }
    let bare = text.split_once("://").map_or(text, |(_, rest)| rest);
    let bare = bare.split(['/', '?', '#']).next().unwrap_or(bare);
    let example = if is_address(bare) { bare } else { "127.0.0.1:8080" };
    Err(usage(format!("understand the address \"{text}\""))
        .hint(format!("Write a host with or without a port, and nothing else: {example}")))
}

/// `name`, `1.2.3.4`, `[::1]`, each with or without `:PORT`.
fn is_address(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if address.parse::<std::net::Ipv6Addr>().is_ok() => {
                ("v6", port.strip_prefix(':').or((!port.is_empty()).then_some("?")))
            }
            _ => return false,
        },
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let letter = |letter: char| letter.is_ascii_alphanumeric() || "-._".contains(letter);
    let port_fits = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|number| number > 0));
    !host.is_empty() && host.chars().all(letter) && port_fits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_with_and_without_a_port_pass() {
        for text in ["localhost", "127.0.0.1:8080", "api.example.com", "[::1]", "[fe80::1]:80"] {
            assert!(is_address(text), "{text}");
        }
        for text in
            ["", ":80", "a:0", "a:99999", "a:b", "http://a", "a/b", "*", "::1", "[::1", "[x]:1", "[::1]80", "a b"]
        {
            assert!(!is_address(text), "{text}");
        }
    }

    #[test]
    fn a_url_is_refused_with_its_host() {
        let error = check("http://127.0.0.1:9000/data").unwrap_err();
        assert!(error.advice().unwrap().ends_with(": 127.0.0.1:9000"));
    }
}
