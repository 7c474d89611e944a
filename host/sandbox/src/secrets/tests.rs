//! What goes in, what comes out, and what is told of it.

use proptest::prelude::*;

use super::*;
use crate::egress::{Scheme, Target};
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
    let exposed = exposed.iter().map(|name| (*name).to_owned()).collect();
    let grants = SecretGrants { exposed, key, tokens: None };
    Secrets::new(&description(), &configuration, &grants, ("shop", &Limits::default()))
}

fn grants() -> SecretGrants {
    SecretGrants { key: KeySource::Key(SecretKey::parse(&"ab".repeat(32)).unwrap()), ..SecretGrants::default() }
}

fn secrets(entries: &[(&str, &str)]) -> Secrets {
    try_secrets(entries, &[]).unwrap()
}

fn place(host: &str) -> Target {
    Target { scheme: Scheme::Https, host: Host::Domain(host.to_owned()), port: 443 }
}

fn mask(secrets: &Secrets, text: &str) -> String {
    mask_of(secrets, text, "api.example.com")
}

fn mask_of(secrets: &Secrets, text: &str, host: &str) -> String {
    String::from_utf8(secrets.mask(text.as_bytes(), &place(host)).into_owned()).unwrap()
}

fn masker(secrets: &Secrets) -> Option<Masker> {
    secrets.masker(&place("api.example.com"), Escape::Json)
}

fn fill(secrets: &Secrets, text: &str, escape: Escape) -> Result<Option<String>, Refusal> {
    let filled = secrets.fill(text.as_bytes(), escape, &place("api.example.com"), 10_000)?;
    Ok(filled.map(|bytes| String::from_utf8(bytes).unwrap()))
}

#[test]
fn the_guest_gets_the_same_placeholders_in_every_sync() {
    let both = [secrets(&[("api_key", KEY), ("page_size", "10")]), secrets(&[("api_key", "another value")])];
    let [one, other] = both.map(|secrets| secrets.shown().get("api_key").unwrap().to_owned());
    assert_eq!(one, other);
    assert!(one.len() > 40 && one.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{one}");
    // But nobody can make them who has not the key.
    let limits = Limits::default();
    let configuration = Configuration([("api_key".to_owned(), KEY.to_owned())].into());
    let keyless = || Secrets::new(&description(), &configuration, &SecretGrants::default(), ("shop", &limits)).unwrap();
    assert_ne!(keyless().shown().get("api_key"), keyless().shown().get("api_key"));
}

/// The key in `next`, kept in a state: the next sync, with another key by then, sends that one.
#[test]
fn a_secret_that_an_answer_repeats_outlives_the_sync() {
    let first = secrets(&[("api_key", KEY)]);
    for next in [
        format!("https://api.example.com/?cursor=2&key={}", escape::url(KEY)),
        format!("https://api.example.com/?key={}&cursor=2", escape::form(KEY)),
    ] {
        let shown = mask(&first, &next);
        assert!(shown.contains("elt_secret_") && !shown.contains("k3y"), "{shown}");
        let later = secrets(&[("api_key", "rotated/key")]);
        assert_eq!(later.adopt(&format!("{{\"next\":\"{shown}\"}}")).unwrap(), 0);
        let sent = fill(&later, &shown, Escape::Url).unwrap().unwrap();
        assert!(sent.contains("key=rotated%2Fkey"), "{sent}");
        // A row with it arrives as the source sent it.
        let row = first.put_back(format!("{{\"next\":\"{shown}\"}}\n").into_bytes(), 10_000).unwrap();
        assert_eq!(String::from_utf8(row).unwrap(), format!("{{\"next\":\"{next}\"}}\n"));
    }
    // What stands for nothing any more is told.
    assert_eq!(secrets(&[]).adopt(&mask(&first, KEY)).unwrap(), 1);
    assert_eq!(secrets(&[("api_key", KEY)]).adopt("elt_secret_00112233445566778899aabbccddeeff").unwrap(), 1);
}

/// However the source has written it: what the destination gets is what the source sent.
#[test]
fn rows_arrive_as_the_source_sent_them() {
    let text = |row: &str| serde_json::from_str::<serde_json::Value>(row).unwrap();
    let base64 = base64(&format!("user:{KEY}"));
    let rows = [
        serde_json::json!({"key": KEY, "other": "x"}).to_string(),
        serde_json::json!({"key": KEY}).to_string().replace("é", "\\u00E9").replace('/', "\\/"),
        serde_json::json!({"url": format!("https://h/?k={}&l={}", escape::url(KEY), escape::form(KEY))}).to_string(),
        serde_json::json!({"html": format!("<b>{}</b>", escape::xml(KEY)), "basic": base64}).to_string(),
        serde_json::json!({"nested": serde_json::json!({"url": escape::url(KEY)}).to_string()}).to_string(),
        serde_json::json!({KEY: 1}).to_string(),
    ];
    let secrets = secrets(&[("api_key", KEY)]);
    for row in rows {
        let shown = mask(&secrets, &row);
        assert!(shown.contains("elt_secret_") && !shown.contains("k3y"), "{shown}");
        assert!(serde_json::from_str::<serde_json::Value>(&shown).is_ok(), "{shown}");
        let back = secrets.put_back(shown.into_bytes(), 10_000).unwrap();
        assert_eq!(text(std::str::from_utf8(&back).unwrap()), text(&row));
    }
    let many = secrets.shown().get("api_key").unwrap().repeat(10);
    assert!(secrets.put_back(many.into_bytes(), KEY.len() * 10).is_none());
}

/// A placeholder that no answer brought is the connector's own doing.
#[test]
fn a_connector_cannot_write_a_value_that_no_answer_held() {
    let secrets = secrets(&[("api_key", KEY)]);
    let row = format!("{{\"mine\":\"{}\"}}", secrets.shown().get("api_key").unwrap());
    assert_eq!(secrets.put_back(row.clone().into_bytes(), 1_000).unwrap(), row.into_bytes());
}

/// A host that guesses learns nothing: neither whole values nor what they begin with.
#[test]
fn answers_are_searched_only_for_secrets_that_may_go_there() {
    let secrets = secrets(&[("api_key", "s3cret-value"), ("narrow", "only-for-login")]);
    let token = secrets.protect("t0ken-of-the-source", &["login.example.com".into()]).unwrap();
    let guesses = format!("only-for-login {} t0ken-of-the-source", base64("only-for-login"));
    for host in ["api.example.com", "other.test"] {
        assert_eq!(mask_of(&secrets, &guesses, host), guesses);
    }
    let shown = mask_of(&secrets, &guesses, "login.example.com");
    assert!(!shown.contains("only-for-login") && shown.ends_with(&token), "{shown}");
    // Whatever stands in a body, as much of it is held back.
    let lengths = ["only-for-logi", "xxxxxxxxxxxxx", "s3cret-valuex"].map(|end| {
        let mut masker = secrets.masker(&place("other.test"), Escape::Json).unwrap();
        masker.raw().extend_from_slice(format!("{}{end}", "x".repeat(10_000)).as_bytes());
        masker.mask(false);
        masker.take(&mut Vec::new(), usize::MAX)
    });
    assert!(lengths.iter().all(|length| *length == lengths[0]), "{lengths:?}");
}

/// Where tokens are kept, for a test.
#[derive(Debug, Default)]
struct Kept(std::sync::Mutex<Vec<(String, String)>>, std::sync::atomic::AtomicBool);

impl TokenStore for Kept {
    fn latest(&self, _owner: &str) -> Result<Vec<(String, String)>> {
        Ok(self.0.lock().unwrap().clone())
    }

    fn replace(&self, _owner: &str, line: &str, sealed: &str) -> Result<()> {
        if self.1.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(Error::new(Code::TokensUnkept, "keep it"));
        }
        let mut kept = self.0.lock().unwrap();
        kept.retain(|(known, _)| known != line);
        kept.push((line.to_owned(), sealed.to_owned()));
        Ok(())
    }
}

/// A refresh token of the configuration, replaced again and again: every sync sends the latest, whichever one it knows of.
#[test]
fn what_has_replaced_a_token_is_sent_for_it_in_every_later_sync() {
    let store = Arc::new(Kept::default());
    let begin = |api_key: &str| {
        let configuration = Configuration([("api_key".to_owned(), api_key.to_owned())].into());
        let grants = SecretGrants { tokens: Some(Arc::<Kept>::clone(&store)), ..grants() };
        Secrets::new(&description(), &configuration, &grants, ("shop", &Limits::default())).unwrap()
    };
    let sent = |secrets: &Secrets, placeholder: &str| fill(secrets, placeholder, Escape::Raw).unwrap().unwrap();
    let first = begin("refresh-0");
    let field = first.shown().get("api_key").unwrap().to_owned();
    let mut known = vec![field.clone()];
    for number in 1..5 {
        // The sync ends here: nothing but the store knows of it.
        let sync = begin("refresh-0");
        for placeholder in &known {
            assert_eq!(sync.adopt(placeholder).unwrap(), 0);
            assert_eq!(sent(&sync, placeholder), format!("refresh-{}", number - 1));
        }
        let latest = known[number / 2].clone();
        let replaced = sync.replace(&latest, &format!("refresh-{number}"), &[]).unwrap();
        assert!(replaced.not_kept.is_none());
        known.push(replaced.placeholder);
        assert!(known.iter().all(|placeholder| sent(&sync, placeholder) == format!("refresh-{number}")));
    }
    assert_eq!(store.0.lock().unwrap().len(), 1);
    // The same one again replaces nothing; somebody who agreed again has begun another line.
    let sync = begin("refresh-0");
    assert_eq!(sync.replace(&known[4], &known[4], &[]).unwrap().placeholder, known[4]);
    assert_eq!(sent(&begin("agreed-again"), &field), "agreed-again");
    // What cannot be kept is told, and sent all the same.
    store.1.store(true, std::sync::atomic::Ordering::Relaxed);
    let replaced = sync.replace(&field, "refresh-5", &[]).unwrap();
    assert!(replaced.not_kept.is_some());
    assert_eq!(sent(&sync, &field), "refresh-5");
}

/// A key that does not last would leave placeholders that nobody can resolve.
#[test]
fn no_state_is_saved_that_the_next_sync_cannot_read() {
    let configuration = Configuration([("api_key".to_owned(), KEY.to_owned())].into());
    let keyless = Secrets::new(&description(), &configuration, &SecretGrants::default(), ("shop", &Limits::default()));
    let keyless = keyless.unwrap();
    let state = format!("{{\"next\":\"{}\"}}", keyless.shown().get("api_key").unwrap());
    assert_eq!(keyless.check_state(&state).unwrap_err().code(), Code::SecretKeyInvalid);
    assert!(keyless.check_state("{\"next\":\"elt_token_01_\"}").is_ok());
    assert!(secrets(&[("api_key", KEY)]).check_state(&state).is_ok());
}

#[test]
fn what_is_missing_or_empty_stays_so() {
    let secrets = secrets(&[("api_key", ""), ("narrow", " "), ("page_size", "10")]);
    let shown = ["api_key", "narrow", "signing_key", "page_size"].map(|name| secrets.shown().get(name));
    assert_eq!(shown, [Some(""), Some(" "), None, Some("10")]);
    assert_eq!(fill(&secrets, "nothing", Escape::Raw), Ok(None));
    assert!(masker(&secrets).is_none());
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
    assert!(masker(&secrets).is_none());
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
    assert_eq!(mask_of(&next, "it is t0ken-of-the-source", "login.example.com"), format!("it is {token}"));
    assert_eq!(mask(&next, "it is t0ken-of-the-source"), "it is t0ken-of-the-source");
    assert_eq!(next.redact(&state), "{\"token\":\"[secret:token]\"}");
    assert_eq!(next.redact_state(&state), state);
    // Another connection's state does not open.
    let configuration = Configuration::default();
    let grants = grants();
    let other = Secrets::new(&description(), &configuration, &grants, ("other", &Limits::default())).unwrap();
    assert_eq!(other.adopt(&state).unwrap(), 1);
    assert_eq!(fill(&other, &token, Escape::Raw), Ok(None));
}

#[test]
fn a_token_without_hosts_keeps_to_those_of_its_day() {
    let first = secrets(&[]);
    let token = first.protect("t0ken-of-the-source", &[]).unwrap();
    let grants = grants();
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
    let shown = mask(&secrets, &session);
    assert!(shown.starts_with("dXNlcjp") && shown.contains("elt_secret_"), "{shown}");
    for escape in [Escape::Raw, Escape::Header, Escape::Json, Escape::Xml] {
        assert_eq!(fill(&secrets, &shown, escape), Ok(Some(session.clone())));
    }
    assert!(secrets.redact(&shown).starts_with("dXNlcjp[secret:api_key]"));
    // Kept for the next sync, in which the placeholders of the fields are others.
    let token = secrets.protect(&shown, &[]).unwrap();
    assert_eq!(fill(&secrets, &token, Escape::Header), Ok(Some(session.clone())));
    assert_eq!(secrets.protect(&shown, &[]).unwrap(), token);
    assert_eq!(secrets.protect(&session, &[]).unwrap(), token);
    assert_eq!(mask(&secrets, &format!("again {session}")), format!("again {token}"));
    let next = try_secrets(&[("api_key", "another key")], &[]).unwrap();
    assert_eq!(next.adopt(&token).unwrap(), 0);
    assert_eq!(fill(&next, &token, Escape::Header), Ok(Some(session.clone())));
    // A token inside base64 in a state.
    let pair = base64(&format!("session={session};"));
    let shown = mask(&next, &pair);
    assert!(shown.contains("_in_"), "{shown}");
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
        let shown = mask_of(&first, &session, "login.example.com");
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
    let hosts: Vec<String> = (0..3).map(|number| format!("host-{number}.example.com")).collect();
    assert_eq!(new().protect("token", &hosts).unwrap_err().code(), Code::LimitSecrets);
    let error = new().protect(&"x".repeat(101), &[]).unwrap_err();
    assert!(error.to_string().contains("limit token-bytes: 100"), "{error}");
}

#[test]
fn short_values_are_put_in_but_not_looked_for() {
    let secrets = secrets(&[("api_key", "123")]);
    assert_eq!(fill(&secrets, secrets.shown().get("api_key").unwrap(), Escape::Raw), Ok(Some("123".into())));
    assert_eq!((mask(&secrets, "123 rows"), secrets.redact("123 rows")), ("123 rows".to_owned(), "123 rows".into()));
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
        let mut shown = mask_of(&secrets, &text, "login.example.com");
        let is_held = parts.iter().any(|part| part == "s3cret-value" || part == "???>>>~~~");
        prop_assert_eq!(shown != text, is_held);
        if is_protected && !shown.is_empty() {
            shown = secrets.protect(&shown, &[]).unwrap();
        }
        let filled = secrets.fill(shown.as_bytes(), Escape::Raw, &place("login.example.com"), 10_000).unwrap();
        prop_assert_eq!(filled.unwrap_or_else(|| shown.into_bytes()), text.into_bytes());
    }

    /// However a value is written, no answer, message or recording shows it, and rows arrive as they were.
    #[test]
    fn no_way_of_writing_gets_through(value in "[ -~éß]{8,30}", ways in proptest::collection::vec(0_usize..6, 1..3), around in "[a-z ]{0,9}") {
        let value = value.trim().to_owned();
        prop_assume!(value.len() >= 8 && value.chars().filter(char::is_ascii_alphanumeric).count() > 3);
        let secrets = secrets(&[("api_key", &value)]);
        let mut text = value.clone();
        for way in ways {
            text = match way {
                0 => escape::json(&text),
                1 => escape::url(&text),
                2 => escape::form(&text),
                3 => escape::xml(&text),
                4 => escape::json(&text).chars().map(|letter| match letter {
                    'é' => "\\u00E9".to_owned(),
                    'ß' => "\\u00DF".to_owned(),
                    '/' => "\\/".to_owned(),
                    letter => letter.to_string(),
                }).collect(),
                _ => percent_encoding::utf8_percent_encode(&text, percent_encoding::CONTROLS).to_string(),
            };
        }
        let row = serde_json::json!({"text": format!("{around}{text}{around}")});
        let shown = mask(&secrets, &row.to_string());
        prop_assert!(shown.contains("elt_secret_"), "{row}");
        let back = secrets.put_back(shown.clone().into_bytes(), 100_000).unwrap();
        prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&back).unwrap(), row);
        prop_assert!(secrets.redact(&text).contains("[secret:api_key]"));
        prop_assert_eq!(secrets.redact(&shown).matches("[secret:api_key]").count(), shown.matches("elt_secret_").count());
        prop_assert!(String::from_utf8_lossy(&secrets.scrub(text.as_bytes())).contains("elt_secret_"));
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
        let (mut masker, mut got, mut rest) = (masker(&secrets).unwrap(), Vec::new(), body.as_bytes());
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
        prop_assert_eq!(&got, &mask(&secrets, &body));
        for form in ["s3cret-value", "czNjcmV0LXZhbHVl"] {
            prop_assert!(!got.contains(form), "{}", got);
        }
    }
}
