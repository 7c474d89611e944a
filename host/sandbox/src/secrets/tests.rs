//! What goes in, what comes out, and what is told of it.

use proptest::prelude::*;

use super::*;
use crate::egress::Scheme;
use url::Host;

const KEY: &str = "k3y/with \"odd\" & é";

fn field(name: &str, secrecy: Secrecy, hosts: &[&str]) -> Field {
    Field {
        name: name.into(),
        help: "What it is.".into(),
        required: false,
        secrecy,
        default: None,
        hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
    }
}

fn description() -> Description {
    Description {
        name: "shop".into(),
        version: "1.0.0".into(),
        fields: vec![
            field("api_key", Secrecy::Secret, &[]),
            field("narrow", Secrecy::Secret, &["login.example.com"]),
            field("signing_key", Secrecy::Exposed, &[]),
            field("page_size", Secrecy::Plain, &[]),
        ],
        hosts: vec!["*.example.com".into(), "other.test".into()],
        rate_limits: vec![],
    }
}

fn try_secrets(entries: &[(&str, &str)], exposed: &[&str]) -> Result<Secrets> {
    let configuration = Configuration(entries.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect());
    let key = KeySource::Key(SecretKey::parse(&"ab".repeat(32)).unwrap());
    let grants = SecretGrants { exposed: exposed.iter().map(|name| (*name).to_owned()).collect(), key };
    Secrets::new(&description(), &configuration, &grants, ("shop", &Limits::default()))
}

fn secrets(entries: &[(&str, &str)]) -> Secrets {
    try_secrets(entries, &[]).unwrap()
}

fn place(host: &str) -> Target {
    Target { scheme: Scheme::Https, host: Host::Domain(host.to_owned()), port: 443 }
}

fn fill(secrets: &Secrets, text: &str, escape: Escape) -> Result<Option<String>, Refusal> {
    let filled = secrets.fill(text.as_bytes(), escape, &place("api.example.com"), 10_000)?;
    Ok(filled.map(|bytes| String::from_utf8(bytes).unwrap()))
}

#[test]
fn the_guest_gets_placeholders_that_cannot_be_guessed() {
    let both = [secrets(&[("api_key", KEY), ("page_size", "10")]), secrets(&[("api_key", KEY)])];
    let [one, other] = both.map(|secrets| secrets.shown().get("api_key").unwrap().to_owned());
    assert_ne!(one, other);
    assert!(one.len() > 40 && one.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{one}");
}

#[test]
fn what_is_missing_or_empty_stays_so() {
    let secrets = secrets(&[("api_key", ""), ("narrow", " "), ("page_size", "10")]);
    let shown = ["api_key", "narrow", "signing_key", "page_size"].map(|name| secrets.shown().get(name));
    assert_eq!(shown, [Some(""), Some(" "), None, Some("10")]);
    assert_eq!(fill(&secrets, "nothing", Escape::Raw), Ok(None));
    assert!(secrets.masker().is_none());
}

#[test]
fn exposure_is_the_operators_to_grant() {
    let entries = [("signing_key", KEY)];
    let error = try_secrets(&entries, &[]).unwrap_err();
    assert_eq!(error.code(), Code::SecretNotExposed);
    assert!(error.advice().unwrap().contains("--expose signing_key") && !error.chain().contains(KEY), "{error}");
    // The guest has it, so answers may show it to the guest; people are still not told.
    let secrets = try_secrets(&entries, &["signing_key"]).unwrap();
    assert_eq!(secrets.shown().get("signing_key"), Some(KEY));
    assert!(secrets.masker().is_none());
    assert_eq!(secrets.redact(&format!("signed with {KEY}")), "signed with [secret:signing_key]");
    // Without a value there is nothing to grant.
    assert!(try_secrets(&[], &[]).is_ok());
    for name in ["api_key", "page_size", "none"] {
        assert_eq!(try_secrets(&entries, &["signing_key", name]).unwrap_err().code(), Code::Usage, "{name}");
    }
}

#[test]
fn values_are_put_in_as_the_place_demands() {
    let secrets = secrets(&[("api_key", KEY)]);
    let placeholder = secrets.shown().get("api_key").unwrap();
    let text = format!("a{placeholder}b{placeholder}");
    for (escape, value) in [
        (Escape::Raw, KEY),
        (Escape::Header, KEY),
        (Escape::Json, "k3y/with \\\"odd\\\" & é"),
        (Escape::Url, "k3y%2Fwith%20%22odd%22%20%26%20%C3%A9"),
        (Escape::Form, "k3y%2Fwith+%22odd%22+%26+%C3%A9"),
        (Escape::Xml, "k3y/with &quot;odd&quot; &amp; é"),
    ] {
        assert_eq!(fill(&secrets, &text, escape), Ok(Some(format!("a{value}b{value}"))));
    }
    let most = secrets.fill(text.as_bytes(), Escape::Raw, &place("api.example.com"), 2 * KEY.len() + 2);
    assert!(most.is_ok());
    let less = secrets.fill(text.as_bytes(), Escape::Raw, &place("api.example.com"), 2 * KEY.len() + 1);
    assert_eq!(less, Err(Refusal::TooLong));
}

#[test]
fn a_value_that_cannot_stand_there_is_named() {
    let secrets = secrets(&[("api_key", "line\r\nX-Evil: 1"), ("narrow", "user:name")]);
    let placeholder = secrets.shown().get("api_key").unwrap();
    let refused = |name: &str, is_token| Err(Refusal::Characters { name: name.into(), is_token });
    assert_eq!(fill(&secrets, placeholder, Escape::Header), refused("api_key", false));
    assert_eq!(fill(&secrets, placeholder, Escape::Url), Ok(Some("line%0D%0AX-Evil%3A%201".into())));
    let token = secrets.protect("a:b c:d", &[]).unwrap();
    assert_eq!(fill(&secrets, &token, Escape::User), refused("token", true));
}

#[test]
fn a_secret_goes_to_its_own_hosts_only() {
    let secrets = secrets(&[("api_key", KEY), ("narrow", "only-for-login")]);
    let [wide, narrow] = ["api_key", "narrow"].map(|name| secrets.shown().get(name).unwrap().to_owned());
    let fill = |text: &str, host: &str| secrets.fill(text.as_bytes(), Escape::Raw, &place(host), 1_000);
    assert!(fill(&wide, "other.test").is_ok());
    assert_eq!(fill(&narrow, "login.example.com"), Ok(Some(b"only-for-login".to_vec())));
    let refusal = Refusal::Place { name: "narrow".into(), allowed: "login.example.com".into() };
    for host in ["api.example.com", "other.test", "x.login.example.com"] {
        assert_eq!(
            fill(&narrow, host),
            Err(Refusal::Place { name: "narrow".into(), allowed: "login.example.com".into() })
        );
        assert_eq!(fill(&format!("{wide}{narrow}"), host).unwrap_err(), refusal);
    }
}

#[test]
fn tokens_are_kept_and_opened_again_from_a_state() {
    let first = secrets(&[]);
    let token = first.protect("t0ken-of-the-source", &["login.example.com".into()]).unwrap();
    assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') && !token.contains("t0ken"));
    assert_eq!(first.protect("t0ken-of-the-source", &["login.example.com".into()]).unwrap(), token);
    assert_eq!(first.protect(&token, &[]).unwrap(), token);
    assert_ne!(first.protect("t0ken-of-the-source", &[]).unwrap(), token);
    assert_eq!(first.protect("", &[]).unwrap(), "");

    let state = format!("{{\"token\":\"{token}\"}}");
    let next = secrets(&[]);
    assert_eq!(fill(&next, &token, Escape::Raw), Ok(None));
    assert_eq!(next.adopt(&state).unwrap(), 0);
    let login = next.fill(token.as_bytes(), Escape::Raw, &place("login.example.com"), 100);
    assert_eq!(login, Ok(Some(b"t0ken-of-the-source".to_vec())));
    assert!(matches!(fill(&next, &token, Escape::Raw), Err(Refusal::Place { .. })));
    assert_eq!(next.mask("it is t0ken-of-the-source"), format!("it is {token}"));
    assert_eq!(next.redact(&state), "{\"token\":\"[secret:token]\"}");
    assert_eq!(next.redact_state(&state), state);
    // Another connection's state does not open.
    let configuration = Configuration::default();
    let grants = SecretGrants { exposed: vec![], key: KeySource::Key(SecretKey::parse(&"ab".repeat(32)).unwrap()) };
    let other = Secrets::new(&description(), &configuration, &grants, ("other", &Limits::default())).unwrap();
    assert_eq!(other.adopt(&state).unwrap(), 1);
    assert_eq!(fill(&other, &token, Escape::Raw), Ok(None));
}

#[test]
fn a_token_without_hosts_keeps_to_those_of_its_day() {
    let first = secrets(&[]);
    let token = first.protect("t0ken-of-the-source", &[]).unwrap();
    let grants = SecretGrants { exposed: vec![], key: KeySource::Key(SecretKey::parse(&"ab".repeat(32)).unwrap()) };
    // A later version of the connector reaches for more.
    let wider = Description { hosts: vec!["*.example.com".into(), "evil.test".into()], ..description() };
    let next = Secrets::new(&wider, &Configuration::default(), &grants, ("shop", &Limits::default())).unwrap();
    assert_eq!(next.adopt(&token).unwrap(), 0);
    assert!(next.fill(token.as_bytes(), Escape::Raw, &place("api.example.com"), 100).is_ok());
    let evil = next.fill(token.as_bytes(), Escape::Raw, &place("evil.test"), 100);
    assert!(matches!(evil, Err(Refusal::Place { .. })), "{evil:?}");
}

fn base64(text: &str) -> String {
    use ::base64::Engine as _;
    ::base64::engine::general_purpose::STANDARD.encode(text)
}

/// A source that makes sessions of name and password: the guest never has the password, the source its token back.
#[test]
fn a_session_made_of_secrets_comes_back_as_it_was() {
    let secrets = secrets(&[("api_key", KEY), ("narrow", "only-for-login")]);
    let session = base64(&format!("user:{KEY}"));
    let shown = secrets.mask(&session).into_owned();
    assert!(shown.starts_with("dXNlcjp") && shown.contains("elt_secret_"), "{shown}");
    for escape in [Escape::Raw, Escape::Header, Escape::Json, Escape::Xml] {
        assert_eq!(fill(&secrets, &shown, escape), Ok(Some(session.clone())));
    }
    assert_eq!(secrets.redact(&shown), secrets.redact(&session));
    // Kept for the next sync, in which the placeholders of the fields are others.
    let token = secrets.protect(&shown, &[]).unwrap();
    assert_eq!(fill(&secrets, &token, Escape::Header), Ok(Some(session.clone())));
    assert_eq!(secrets.protect(&shown, &[]).unwrap(), token);
    assert_eq!(secrets.protect(&session, &[]).unwrap(), token);
    assert_eq!(secrets.mask(&format!("again {session}")), format!("again {token}"));
    let next = try_secrets(&[("api_key", "another key")], &[]).unwrap();
    assert_eq!(next.adopt(&token).unwrap(), 0);
    assert_eq!(fill(&next, &token, Escape::Header), Ok(Some(session.clone())));
    // A token inside base64 in a state.
    let pair = base64(&format!("session={session};"));
    let shown = next.mask(&pair).into_owned();
    assert!(shown.contains("_base64_"), "{shown}");
    let later = try_secrets(&[], &[]).unwrap();
    assert_eq!(later.adopt(&shown).unwrap(), 0);
    assert_eq!(fill(&later, &shown, Escape::Raw), Ok(Some(pair)));
}

#[test]
fn a_token_goes_only_where_each_secret_in_it_may_go() {
    let first = secrets(&[("api_key", KEY), ("narrow", "only-for-login")]);
    let sessions =
        [base64("u:only-for-login"), format!("{KEY} only-for-login"), base64(&format!("{KEY}:only-for-login"))];
    for session in sessions {
        let shown = first.mask(&session).into_owned();
        for asked in [&[][..], &["*.example.com".into()], &["login.example.com".into()], &["other.test".into()]] {
            let token = first.protect(&shown, asked).unwrap();
            let next = secrets(&[]);
            assert_eq!(next.adopt(&token).unwrap(), 0);
            for secrets in [&first, &next] {
                let fill = |host| secrets.fill(token.as_bytes(), Escape::Raw, &place(host), 1_000);
                for host in ["api.example.com", "other.test"] {
                    assert!(matches!(fill(host), Err(Refusal::Place { .. })), "{asked:?} {host}");
                }
                let is_for_login = asked != ["other.test".to_owned()];
                let login = fill("login.example.com");
                assert_eq!(login.is_ok(), is_for_login, "{asked:?}");
                assert!(!is_for_login || login == Ok(Some(session.clone().into_bytes())));
            }
        }
        // The same text from a guest that had the password in it from elsewhere is another token.
        let wide = first.protect(&session, &[]).unwrap();
        assert_ne!(first.protect(&shown, &[]).unwrap(), wide);
    }
}

#[test]
fn tokens_are_bounded() {
    let limits = Limits { tokens_max: 3, token_bytes_max: 100, ..Limits::default() };
    let grants = SecretGrants::default();
    let new = || Secrets::new(&description(), &Configuration::default(), &grants, ("shop", &limits)).unwrap();
    let many = new();
    (0..3).for_each(|number| drop(many.protect(&format!("token {number}"), &[]).unwrap()));
    let error = many.protect("token 4", &[]).unwrap_err();
    assert_eq!(error.code(), Code::LimitSecrets);
    assert!(error.to_string().contains("limit tokens: 3"), "{error}");
    let error = new().protect(&"x".repeat(101), &[]).unwrap_err();
    assert!(error.to_string().contains("limit token-bytes: 100"), "{error}");
}

#[test]
fn short_values_are_put_in_but_not_looked_for() {
    let secrets = secrets(&[("api_key", "123")]);
    assert_eq!(fill(&secrets, secrets.shown().get("api_key").unwrap(), Escape::Raw), Ok(Some("123".into())));
    assert_eq!((secrets.mask("123 rows"), secrets.redact("123 rows")), ("123 rows".into(), "123 rows".into()));
}

#[test]
fn people_see_neither_values_nor_placeholders() {
    let secrets = secrets(&[("api_key", "s3cret-value"), ("narrow", "s3cret-value-2")]);
    let placeholder = secrets.shown().get("api_key").unwrap();
    let text = format!("{placeholder}, s3cret-value, s3cret-value-2, Basic dTpzM2NyZXQtdmFsdWU=");
    let told = secrets.redact(&text).into_owned();
    assert_eq!(told, "[secret:api_key], [secret:api_key], [secret:narrow], Basic dTp[secret:api_key]U=");
    assert_eq!(format!("{secrets:?} {:?}", secrets.configuration()), r#"Secrets {"api_key", "narrow"}"#);
}

proptest! {
    /// Whatever holds a secret in base64, of either alphabet, is handed on without it and comes back as it was.
    #[test]
    fn base64_comes_back(
        parts in proptest::collection::vec(prop_oneof![
            Just("s3cret-value".to_owned()), Just("???>>>~~~".to_owned()), "[ -~]{0,6}",
        ], 0..8),
        is_url_safe in any::<bool>(), is_protected in any::<bool>(),
    ) {
        use ::base64::Engine as _;
        use ::base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

        let secrets = secrets(&[("api_key", "s3cret-value"), ("narrow", "???>>>~~~")]);
        let bytes = parts.concat();
        let text = if is_url_safe { URL_SAFE_NO_PAD.encode(bytes) } else { STANDARD.encode(bytes) };
        let mut shown = secrets.mask(&text).into_owned();
        let is_held = parts.iter().any(|part| part == "s3cret-value" || part == "???>>>~~~");
        prop_assert_eq!(shown != text, is_held);
        if is_protected && !shown.is_empty() {
            shown = secrets.protect(&shown, &[]).unwrap();
        }
        let filled = secrets.fill(shown.as_bytes(), Escape::Raw, &place("login.example.com"), 10_000).unwrap();
        prop_assert_eq!(filled.unwrap_or_else(|| shown.into_bytes()), text.into_bytes());
    }

    /// However a body is cut into pieces, it is masked as in one piece, and never handed over past the most asked for.
    #[test]
    fn pieces_make_no_difference(
        parts in proptest::collection::vec(prop_oneof![
            Just("s3cret-value".to_owned()), Just("s3cret-value-2".to_owned()), Just("s3cret-s3cret-".to_owned()),
            Just("czNjcmV0LXZhbHVl".to_owned()), "[ -~]{0,6}",
        ], 0..12),
        cuts in proptest::collection::vec(1_usize..9, 1..20),
        max in 1_usize..50,
    ) {
        let secrets = secrets(&[("api_key", "s3cret-value"), ("narrow", "s3cret-value-2")]);
        let body = parts.concat();
        let (mut masker, mut got, mut rest) = (secrets.masker().unwrap(), Vec::new(), body.as_bytes());
        let mut cuts = cuts.iter().cycle();
        loop {
            let (piece, more) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
            masker.raw().extend_from_slice(piece);
            masker.mask(piece.is_empty());
            loop {
                let bytes = masker.take(&mut got, max);
                prop_assert!(bytes <= max);
                if bytes == 0 { break }
            }
            if piece.is_empty() { break }
            rest = more;
        }
        let got = String::from_utf8(got).unwrap();
        prop_assert_eq!(&got, &secrets.mask(&body));
        for form in ["s3cret-value", "czNjcmV0LXZhbHVl"] {
            prop_assert!(!got.contains(form), "{}", got);
        }
    }
}
