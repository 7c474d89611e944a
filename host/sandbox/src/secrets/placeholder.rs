//! Placeholders: random ones for the fields of a configuration, sealed ones that hold a token until the next sync.
//!
//! A token is sealed with ChaCha20-Poly1305 and a random nonce, bound to its connection and connector: in another
//! connection's state it opens no more. The key is the operator's, or is made on first need in a file of the user's own.

use std::fmt::Write as _;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use base64::Engine as _;
use serde::Deserialize;

use crate::seal::{Cipher, KEY_BYTES, random};
use model::error::{Code, Error, Result};

const FIELD: &str = "elt_secret_";
const TOKEN: &str = "elt_token_";
/// What placeholders begin with.
pub(super) const PREFIXES: [&str; 2] = [FIELD, TOKEN];
/// Ends a sealed token: whatever is written behind it does not belong to it.
const TOKEN_END: char = '_';
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
    /// From nowhere: what is sealed opens in the same sync only.
    #[default]
    None,
    /// It is given.
    Key(SecretKey),
    /// From a file, which is made when a token is first sealed.
    File(PathBuf),
}

/// A placeholder for the value of a field.
pub(super) fn of_field() -> Result<String> {
    Ok(format!("{FIELD}{}", to_hex(&random::<16>()?)))
}

/// What stands for one of the texts that a secret leaves inside base64: the secret's placeholder and the text's number.
pub(super) fn of_encoded(placeholder: &str, number: usize) -> String {
    format!("{placeholder}_base64_{number}_")
}

/// The placeholders in a state that may hold a sealed token.
pub(super) fn sealed_in(state: &str) -> impl Iterator<Item = &str> {
    state.match_indices(TOKEN).filter_map(move |(begin, _)| {
        let hex = &state[begin + TOKEN.len()..];
        let length = hex.find(|letter: char| !letter.is_ascii_hexdigit())?;
        hex[length..].starts_with(TOKEN_END).then(|| &state[begin..=begin + TOKEN.len() + length])
    })
}

/// A token, and where it may be sent: to the hosts that were asked for, of those that each secret inside it may be sent to.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Sealed(
    pub(super) String,
    pub(super) Vec<String>,
    /// The hosts of each secret inside. Not there in a token without any.
    #[serde(default)]
    pub(super) Vec<Vec<String>>,
);

/// Seals and opens the tokens of one connection.
#[derive(Default)]
pub(super) struct Sealer {
    source: KeySource,
    /// Whose tokens they are.
    owner: String,
    cipher: OnceLock<Cipher>,
}

impl Sealer {
    pub(super) fn new(source: KeySource, owner: &str) -> Self {
        Self { source, owner: owner.to_owned(), cipher: OnceLock::new() }
    }

    /// A placeholder that holds a token and where it may be sent.
    pub(super) fn seal(&self, Sealed(token, hosts, inside): &Sealed) -> Result<String> {
        let text = if inside.is_empty() {
            serde_json::to_vec(&(token, hosts))
        } else {
            serde_json::to_vec(&(token, hosts, inside))
        };
        let text = text.map_err(|error| Error::new(Code::HostBug, "seal a token").because(error))?;
        let bytes = self.cipher()?.seal(&self.owner, &[VERSION], &text)?;
        Ok(format!("{TOKEN}{}{TOKEN_END}", to_hex(&bytes)))
    }

    /// The token in a placeholder. None: it was sealed with another key, for somebody else, or never.
    pub(super) fn open(&self, placeholder: &str) -> Result<Option<Sealed>> {
        // A key that would have to be made now has sealed nothing.
        if self.cipher.get().is_none() && matches!(&self.source, KeySource::File(path) if !path.exists()) {
            return Ok(None);
        }
        let hex = placeholder.strip_prefix(TOKEN).and_then(|rest| rest.strip_suffix(TOKEN_END));
        let Some(bytes) = hex.and_then(from_hex) else { return Ok(None) };
        let [VERSION, rest @ ..] = &bytes[..] else { return Ok(None) };
        let text = self.cipher()?.open(&self.owner, rest);
        Ok(text.and_then(|text| serde_json::from_slice(&text).ok()))
    }

    fn cipher(&self) -> Result<&Cipher> {
        if let Some(cipher) = self.cipher.get() {
            return Ok(cipher);
        }
        let key = match &self.source {
            KeySource::None => SecretKey::random()?,
            KeySource::Key(key) => key.clone(),
            KeySource::File(path) => read_or_make(path)?,
        };
        let cipher = Cipher::chacha(&key.0)?;
        Ok(self.cipher.get_or_init(|| cipher))
    }
}

/// The key in a file, which is made if there is none. Of several makers at one time the first one's stays.
fn read_or_make(path: &Path) -> Result<SecretKey> {
    if !path.exists() {
        make(path).map_err(|error| {
            invalid(&format!("make the key file {}", path.display()))
                .hint("Tokens are sealed with it. Make the folder writable, or give a key in ELT_SECRET_KEY.")
                .because(error)
        })?;
    }
    read(path)
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

fn to_hex(bytes: &[u8]) -> String {
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
        Sealed(text.to_owned(), owned(hosts), inside.iter().map(|hosts| owned(hosts)).collect())
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
            assert_ne!(sealer(1, "shop").seal(&sealed()).unwrap(), placeholder);
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
    fn placeholders_are_found_in_a_state() {
        let found = |state| sealed_in(state).collect::<Vec<_>>();
        assert_eq!(found(r#"{"a":"elt_token_01ab_","b":"x elt_token_02_y"}"#), ["elt_token_01ab_", "elt_token_02_"]);
        assert_eq!(found("elt_token_01_elt_token_02_"), ["elt_token_01_", "elt_token_02_"]);
        let encoded = of_encoded("elt_token_01_", 3);
        assert_eq!(found(&encoded), ["elt_token_01_"]);
        assert!(found("elt_token_01 elt_token_xx_ elt_token_é_ elt_token_01").is_empty());
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
            let makers: Vec<_> = (0..8).map(|_| scope.spawn(|| read_or_make(&path).unwrap())).collect();
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
