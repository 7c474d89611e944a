//! Placeholders: the same in every sync for a field, sealed ones that hold a token until the next sync.
//!
//! ```text
//! elt_secret_0123456789abcdef0123456789abcdef   a field: 32 digits that only the key's owner can make
//! elt_token_…_                                  a token, sealed: hexadecimal digits
//! …_as_…_                                       the same, written in another spelling: sealed too
//! …_in_…_                                       the same, inside a text that encodes it: sealed too
//! ```
//!
//! What is sealed is sealed with ChaCha20-Poly1305 and a nonce made of it, so that the same token has the same placeholder, and
//! bound to its connection and connector: in another connection's state it opens no more. The key is the operator's, or is made
//! on first need in a file of the user's own.

use std::fmt::Write as _;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use base64::Engine as _;
use memchr::memmem;
use ring::hmac;
use serde::Deserialize;

use crate::seal::{Cipher, KEY_BYTES, random};
use model::error::{Code, Error, Result};

const FIELD: &str = "elt_secret_";
const TOKEN: &str = "elt_token_";
/// What placeholders begin with.
pub(super) const PREFIXES: [&str; 2] = [FIELD, TOKEN];
/// Digits of a field's placeholder.
const FIELD_DIGITS: usize = 32;
/// What stands between a placeholder and a spelling of it.
const WRITTEN: &str = "_as_";
/// The same, where it is a text that encodes the secret.
const ENCODED: &str = "_in_";
/// Ends a sealed token: whatever is written behind it does not belong to it.
const TOKEN_END: &str = "_";
/// The first byte of what is sealed.
const VERSION: u8 = 1;

/// A key of 256 bits.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey([u8; KEY_BYTES]);

impl SecretKey {
    /// Reads 64 hexadecimal digits, or base64 of 32 bytes.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let base64 = || base64::engine::general_purpose::STANDARD.decode(text).ok();
        let bytes = from_hex(text).filter(|bytes| bytes.len() == KEY_BYTES).or_else(base64)?;
        bytes.try_into().ok().map(Self)
    }

    fn random() -> Result<Self> {
        random().map(Self)
    }
}

/// Never the key itself.
impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey")
    }
}

/// Where the key comes from that seals tokens.
#[derive(Clone, Debug, Default)]
pub enum KeySource {
    /// From nowhere: what is sealed opens in the same sync only, and no state is saved with it.
    #[default]
    None,
    /// It is given.
    Key(SecretKey),
    /// From a file, which is made when there first is a secret.
    File(PathBuf),
}

/// A placeholder in a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Placed<'t> {
    /// The secret's placeholder.
    pub(super) base: &'t str,
    /// Where that stands.
    pub(super) range: Range<usize>,
    /// The spelling behind it, sealed.
    pub(super) spelled: Option<&'t str>,
    /// That is a text which encodes the secret.
    pub(super) is_encoded: bool,
    /// Where all of it ends.
    pub(super) end: usize,
}

/// What may be placeholders, from the first to the last.
pub(super) fn placed_in(text: &[u8]) -> impl Iterator<Item = Placed<'_>> {
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let begin = from + memmem::find(text.get(from..)?, b"elt_")?;
            if let Some(placed) = placed_at(text, begin) {
                from = placed.end;
                return Some(placed);
            }
            from = begin + 1;
        }
    })
}

fn placed_at(text: &[u8], begin: usize) -> Option<Placed<'_>> {
    let is_at = |at: usize, wanted: &str| text[at..].starts_with(wanted.as_bytes());
    let digits = |at: usize| text[at..].iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let base_end = if is_at(begin, FIELD) {
        let at = begin + FIELD.len();
        (digits(at) >= FIELD_DIGITS).then_some(at + FIELD_DIGITS)?
    } else if is_at(begin, TOKEN) {
        let end = begin + TOKEN.len() + digits(begin + TOKEN.len());
        is_at(end, TOKEN_END).then_some(end + TOKEN_END.len())?
    } else {
        return None;
    };
    let mark = [WRITTEN, ENCODED].into_iter().find(|mark| is_at(base_end, mark));
    let sealed = mark.and_then(|mark| {
        let at = base_end + mark.len();
        let end = at + digits(at);
        (end > at && is_at(end, TOKEN_END)).then_some((at..end, end + TOKEN_END.len()))
    });
    let text = |range: Range<usize>| std::str::from_utf8(&text[range]).ok();
    let (spelled, end) = sealed.map_or((None, base_end), |(range, end)| (text(range), end));
    let is_encoded = spelled.is_some() && mark == Some(ENCODED);
    Some(Placed { base: text(begin..base_end)?, range: begin..base_end, spelled, is_encoded, end })
}

/// A token, and where it may be sent: to the hosts that were asked for, of those that each secret inside it may be sent to.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Sealed(
    pub(super) String,
    pub(super) Vec<String>,
    /// The hosts of each secret inside. Not there in a token without any.
    #[serde(default)]
    pub(super) Vec<Vec<String>>,
    /// The line of tokens that replaced one another. Not there in a token that has replaced none.
    #[serde(default)]
    pub(super) Option<String>,
);

/// Seals and opens the tokens of one connection.
#[derive(Default)]
pub(super) struct Sealer {
    source: KeySource,
    /// Whose tokens they are.
    owner: String,
    keys: OnceLock<Keys>,
}

/// What is made of the key.
struct Keys {
    cipher: Cipher,
    /// Makes names and nonces.
    mac: hmac::Key,
    /// The next sync has the same key. If not, why.
    lasts: std::result::Result<(), String>,
}

impl Keys {
    fn new(key: &SecretKey, lasts: std::result::Result<(), String>) -> Result<Self> {
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key.0), b"elt placeholders 1");
        Ok(Self { cipher: Cipher::chacha(&key.0)?, mac: hmac::Key::new(hmac::HMAC_SHA256, mac.as_ref()), lasts })
    }

    /// Bytes that nobody can make without the key: of parts, in this order.
    fn digest<const N: usize>(&self, parts: &[&[u8]]) -> [u8; N] {
        let mut context = hmac::Context::with_key(&self.mac);
        for part in parts {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part);
        }
        let digest = context.sign();
        std::array::from_fn(|index| digest.as_ref().get(index).copied().unwrap_or_default())
    }

    /// Seals a text, the same one always in the same way.
    fn seal(&self, context: &str, text: &[u8]) -> Result<String> {
        let nonce = self.digest(&[b"nonce", context.as_bytes(), text]);
        Ok(to_hex(&self.cipher.seal_by(nonce, context, &[VERSION], text)?))
    }

    fn open(&self, context: &str, digits: &str) -> Option<Vec<u8>> {
        let bytes = from_hex(digits)?;
        let [VERSION, rest @ ..] = &bytes[..] else { return None };
        self.cipher.open(context, rest)
    }
}

impl Sealer {
    pub(super) fn new(source: KeySource, owner: &str) -> Self {
        Self { source, owner: owner.to_owned(), keys: OnceLock::new() }
    }

    pub(super) fn owner(&self) -> &str {
        &self.owner
    }

    /// A placeholder for the value of a field: the same for every value, so that a state outlives a change of it.
    pub(super) fn of_field(&self, name: &str) -> Result<String> {
        let digits: [u8; FIELD_DIGITS / 2] = self.keys()?.digest(&[b"field", self.owner.as_bytes(), name.as_bytes()]);
        Ok(format!("{FIELD}{}", to_hex(&digits)))
    }

    /// The name of a line of tokens that replace one another, by what it begins with.
    pub(super) fn line_of(&self, parts: &[&str]) -> Result<String> {
        let parts = [b"line", self.owner.as_bytes()].into_iter().chain(parts.iter().map(|part| part.as_bytes()));
        let digits: [u8; 16] = self.keys()?.digest(&parts.collect::<Vec<_>>());
        Ok(to_hex(&digits))
    }

    /// A placeholder that holds a token and where it may be sent.
    pub(super) fn seal(&self, Sealed(token, hosts, inside, line): &Sealed) -> Result<String> {
        let text = if line.is_some() {
            serde_json::to_vec(&(token, hosts, inside, line))
        } else if inside.is_empty() {
            serde_json::to_vec(&(token, hosts))
        } else {
            serde_json::to_vec(&(token, hosts, inside))
        };
        let text = text.map_err(|error| Error::new(Code::HostBug, "seal a token").because(error))?;
        Ok(format!("{TOKEN}{}{TOKEN_END}", self.keys()?.seal(&self.owner, &text)?))
    }

    /// The token in a placeholder. None: it was sealed with another key, for somebody else, or never.
    pub(super) fn open(&self, placeholder: &str) -> Result<Option<Sealed>> {
        // A key that would have to be made now has sealed nothing.
        if self.keys.get().is_none() && matches!(&self.source, KeySource::File(path) if !path.exists()) {
            return Ok(None);
        }
        let digits = placeholder.strip_prefix(TOKEN).and_then(|rest| rest.strip_suffix(TOKEN_END));
        let Some(digits) = digits else { return Ok(None) };
        let text = self.keys()?.open(&self.owner, digits);
        Ok(text.and_then(|text| serde_json::from_slice(&text).ok()))
    }

    /// A placeholder with a spelling of its secret.
    pub(super) fn with_spelling(&self, placeholder: &str, spelled: &str, is_encoded: bool) -> Result<String> {
        let mark = if is_encoded { ENCODED } else { WRITTEN };
        let sealed = self.keys()?.seal(&self.of_spellings(), spelled.as_bytes())?;
        Ok(format!("{placeholder}{mark}{sealed}{TOKEN_END}"))
    }

    /// The spelling behind a placeholder. None: it is none of ours.
    pub(super) fn open_spelling(&self, digits: &str) -> Option<String> {
        // Without a key there are no secrets either.
        String::from_utf8(self.keys.get()?.open(&self.of_spellings(), digits)?).ok()
    }

    fn of_spellings(&self) -> String {
        format!("{}\0spelling", self.owner)
    }

    /// Whether the next sync can open what this one seals.
    pub(super) fn check_lasts(&self) -> Result<()> {
        let Err(why) = &self.keys()?.lasts else { return Ok(()) };
        Err(invalid(&format!("save a secret's placeholder for the next sync: {why}"))
            .hint("The next sync could not tell what it stands for. Give a key in ELT_SECRET_KEY."))
    }

    fn keys(&self) -> Result<&Keys> {
        if let Some(keys) = self.keys.get() {
            return Ok(keys);
        }
        let keys = match &self.source {
            KeySource::None => Keys::new(&SecretKey::random()?, Err("there is no key that lasts".to_owned()))?,
            KeySource::Key(key) => Keys::new(key, Ok(()))?,
            KeySource::File(path) => match make_if_missing(path) {
                Ok(()) => Keys::new(&read(path)?, Ok(()))?,
                // Whoever keeps nothing needs no key that lasts.
                Err(error) => Keys::new(&SecretKey::random()?, Err(error.chain()))?,
            },
        };
        Ok(self.keys.get_or_init(|| keys))
    }
}

/// Makes the key file if there is none. Of several makers at one time the first one's stays.
fn make_if_missing(path: &Path) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    make(path).map_err(|error| invalid(&format!("make the key file {}", path.display())).because(error))
}

fn read(path: &Path) -> Result<SecretKey> {
    let subject = format!("read the key file {}", path.display());
    let found = fs::metadata(path).map_err(|error| invalid(&subject).because(error))?;
    if found.uid() != rustix::process::geteuid().as_raw() || found.mode() & 0o077 != 0 {
        let what = format!("{subject}: it must belong to you, and nobody else may read or write it");
        return Err(invalid(&what).hint(format!("chown and chmod 600 {}", path.display())));
    }
    let text = fs::read_to_string(path).map_err(|error| invalid(&subject).because(error))?;
    SecretKey::parse(&text).ok_or_else(|| {
        invalid(&format!("{subject}: it is not 64 hexadecimal digits")).hint(
            "Put the key back from a backup, or delete the file: a new one is made, and connectors sign in again.",
        )
    })
}

fn make(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let key = SecretKey::random().map_err(std::io::Error::other)?;
    let name: [u8; 8] = random().map_err(std::io::Error::other)?;
    let partial = path.with_extension(format!("{}.tmp", to_hex(&name)));
    let written = fs::File::options().write(true).create_new(true).mode(0o600).open(&partial).and_then(|mut file| {
        writeln!(file, "{}", to_hex(&key.0))?;
        file.sync_all()?;
        // Unlike a rename, a link never replaces a key that somebody else has made meanwhile.
        match fs::hard_link(&partial, path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            result => result,
        }
    });
    // It may never have been there.
    let _ = fs::remove_file(&partial);
    written
}

pub(super) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    pairs.collect()
}

fn invalid(failed_to: &str) -> Error {
    Error::new(Code::SecretKeyInvalid, failed_to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn key(byte: u8) -> KeySource {
        KeySource::Key(SecretKey([byte; KEY_BYTES]))
    }

    fn sealer(byte: u8, owner: &str) -> Sealer {
        Sealer::new(key(byte), owner)
    }

    fn token(text: &str, hosts: &[&str], inside: &[&[&str]]) -> Sealed {
        let owned = |hosts: &[&str]| hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>();
        Sealed(text.to_owned(), owned(hosts), inside.iter().map(|hosts| owned(hosts)).collect(), None)
    }

    #[test]
    fn a_token_opens_with_its_key_and_for_its_owner_only() {
        for inside in [&[][..], &[&["a.example.com"][..], &[]]] {
            let sealed = || token("t0ken é\"", &["*.example.com"], inside);
            let placeholder = sealer(1, "shop").seal(&sealed()).unwrap();
            assert!(placeholder.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{placeholder}");
            assert_eq!(sealer(1, "shop").open(&placeholder).unwrap(), Some(sealed()));
            assert_eq!(sealer(2, "shop").open(&placeholder).unwrap(), None);
            assert_eq!(sealer(1, "other").open(&placeholder).unwrap(), None);
            assert_eq!(sealer(1, "shop").seal(&sealed()).unwrap(), placeholder);
            assert_ne!(sealer(1, "other").seal(&sealed()).unwrap(), placeholder);
            let next = Sealed(String::new(), vec![], vec![], Some("line".to_owned()));
            assert_eq!(sealer(1, "shop").open(&sealer(1, "shop").seal(&next).unwrap()).unwrap(), Some(next));
        }
    }

    /// Sealed by another program.
    #[test]
    fn a_token_in_a_state_opens_whoever_sealed_it() {
        const TOKEN: &str = "elt_token_01000102030405060708090a0bd2d97c304272cb629bd81dd9b6787602a400de827f17c2d4c4ca720ec2b9b8bb2c32b7fa061de0e0d28eba_";
        let key: Vec<u8> = (0..32).collect();
        let sealer = Sealer::new(KeySource::Key(SecretKey(key.try_into().unwrap())), "shop");
        assert_eq!(sealer.open(TOKEN).unwrap(), Some(token("t0ken", &["*.example.com"], &[])));
    }

    #[test]
    fn what_was_changed_or_never_sealed_does_not_open() {
        let sealer = sealer(1, "shop");
        let placeholder = sealer.seal(&token("token", &[], &[])).unwrap();
        for at in TOKEN.len()..placeholder.len() - 1 {
            let digit = if placeholder.as_bytes()[at] == b'0' { "1" } else { "0" };
            let changed = [&placeholder[..at], digit, &placeholder[at + 1..]].concat();
            assert_eq!(sealer.open(&changed).unwrap(), None, "{at}");
        }
        for text in ["", "elt_token_", "elt_token__", "elt_token_01_", "elt_token_0_", "elt_token_01ff_", "token"] {
            assert_eq!(sealer.open(text).unwrap(), None, "{text}");
        }
    }

    #[test]
    fn placeholders_are_found_in_a_text() {
        let found = |text: &str| -> Vec<(String, Option<String>, bool)> {
            let placed = placed_in(text.as_bytes());
            placed
                .map(|placed| (placed.base.to_owned(), placed.spelled.map(str::to_owned), placed.is_encoded))
                .collect()
        };
        let field = format!("elt_secret_{}", "0a".repeat(16));
        let one = |base: &str| vec![(base.to_owned(), None, false)];
        assert_eq!(
            found(r#"{"a":"elt_token_01ab_","b":"x elt_token_02_y"}"#),
            [one("elt_token_01ab_"), one("elt_token_02_")].concat()
        );
        assert_eq!(found("elt_token_01_elt_token_02_"), [one("elt_token_01_"), one("elt_token_02_")].concat());
        assert_eq!(found(&format!("elt_elt_{field}{field}ff")), [one(&field), one(&field)].concat());
        assert_eq!(found(&format!("{field}_as_01_as_")), [(field.clone(), Some("01".to_owned()), false)]);
        assert_eq!(found("elt_token_01__in_02_"), [("elt_token_01_".to_owned(), Some("02".to_owned()), true)]);
        for rest in ["_as_", "_as_01", "_in__", "_at_01_"] {
            assert_eq!(found(&format!("{field}{rest}")), one(&field), "{rest}");
        }
        assert!(found("elt_token_01 elt_token_xx_ elt_token_é_ elt_token_01 elt_secret_0a").is_empty());
    }

    #[test]
    fn placeholders_of_fields_are_the_same_in_every_sync() {
        let of = |byte, owner, name| sealer(byte, owner).of_field(name).unwrap();
        assert_eq!(of(1, "shop", "key"), of(1, "shop", "key"));
        for other in [of(2, "shop", "key"), of(1, "other", "key"), of(1, "shop", "other")] {
            assert_ne!(of(1, "shop", "key"), other);
        }
        let none = || Sealer::new(KeySource::None, "shop");
        assert_ne!(none().of_field("key").unwrap(), none().of_field("key").unwrap());
    }

    #[test]
    fn spellings_open_where_they_were_sealed() {
        let shop = sealer(1, "shop");
        let placeholder = shop.with_spelling("elt_token_01_", "a%2Fb", true).unwrap();
        let placed: Vec<_> = placed_in(placeholder.as_bytes()).collect();
        let digits = placed[0].spelled.unwrap();
        assert_eq!((shop.open_spelling(digits), placed[0].is_encoded), (Some("a%2Fb".to_owned()), true));
        assert_eq!((placed[0].base, placed[0].end), ("elt_token_01_", placeholder.len()));
        let other = sealer(1, "other");
        other.of_field("key").unwrap();
        assert_eq!((other.open_spelling(digits), shop.open_spelling("01")), (None, None));
    }

    /// A key that cannot be made is missed only by what is to last.
    #[test]
    fn what_has_no_key_does_not_last() {
        for source in [KeySource::None, KeySource::File("/proc/nowhere/secret.key".into())] {
            let sealer = Sealer::new(source, "shop");
            assert!(sealer.of_field("key").is_ok());
            assert_eq!(sealer.check_lasts().unwrap_err().code(), Code::SecretKeyInvalid);
        }
        assert!(sealer(1, "shop").check_lasts().is_ok());
    }

    #[test]
    fn the_key_file_is_made_once_and_only_for_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/secret.key");
        let source = || Sealer::new(KeySource::File(path.clone()), "shop");
        assert_eq!(source().open("elt_token_01_").unwrap(), None);
        assert!(!path.exists(), "nothing was sealed");
        let placeholder = source().seal(&token("token", &[], &[])).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        assert_eq!(source().open(&placeholder).unwrap().unwrap().0, "token");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(source().open(&placeholder).unwrap_err().code(), Code::SecretKeyInvalid);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "short").unwrap();
        assert_eq!(source().seal(&token("token", &[], &[])).unwrap_err().code(), Code::SecretKeyInvalid);
    }

    #[test]
    fn of_many_makers_all_use_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret.key");
        let keys: Vec<SecretKey> = std::thread::scope(|scope| {
            let makers: Vec<_> =
                (0..8).map(|_| scope.spawn(|| make_if_missing(&path).and_then(|()| read(&path)).unwrap())).collect();
            makers.into_iter().map(|maker| maker.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
    }

    #[test]
    fn keys_are_read_as_hex_and_as_base64() {
        let bytes: Vec<u8> = (0..32).collect();
        let hex = to_hex(&bytes);
        let base64 = base64::engine::general_purpose::STANDARD.encode(&bytes);
        assert_eq!(SecretKey::parse(&hex).unwrap().0[..], bytes[..]);
        assert_eq!(SecretKey::parse(&format!(" {base64}\n")).unwrap().0[..], bytes[..]);
        for text in ["", "00", &hex[1..], &format!("{hex}00"), "password"] {
            assert!(SecretKey::parse(text).is_none(), "{text}");
        }
    }
}
