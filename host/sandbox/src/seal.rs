//! Encryption at rest: what must not be read from a file is sealed with a key that is kept elsewhere.
//!
//! Whatever is sealed is a head, a nonce (12 bytes; random, but for placeholders, where it is made of the text), then the cipher's output. It can be opened only in the context
//! it was sealed in (a table and a row, say), so that nobody can put one row's secret into another.
//!
//! With the keys of a file the head is `1` and the key's number (4 bytes), and the cipher is AES-256-GCM. A key file has a line for each key: `elt-key-1 NUMBER BASE64`. The first one seals, all of them open.

use std::fmt;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use rustix::fs::OFlags;

use model::error::{Code, Error, Result};

/// The version of the format of sealed texts.
const VERSION: u8 = 1;
/// What a line of a key file begins with.
const LINE: &str = "elt-key-1";
/// The version and the key's number stand before the nonce.
const HEAD_BYTES: usize = 1 + 4;
/// The size of every key.
pub(crate) const KEY_BYTES: usize = 32;

/// One key, and how it is used.
pub(crate) struct Cipher(LessSafeKey);

impl Cipher {
    /// AES-256-GCM, for what a file with many keys seals. None: the key has another size.
    fn aes(key: &[u8]) -> Option<Self> {
        Self::new(&AES_256_GCM, key)
    }

    /// ChaCha20-Poly1305, for tokens.
    pub(crate) fn chacha(key: &[u8; KEY_BYTES]) -> Result<Self> {
        Self::new(&CHACHA20_POLY1305, key).ok_or_else(bug)
    }

    fn new(algorithm: &'static Algorithm, key: &[u8]) -> Option<Self> {
        Some(Self(LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?)))
    }

    /// Seals a text so that it can be opened in the same context only; the head stands before it, readable.
    pub(crate) fn seal(&self, context: &str, head: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
        self.seal_by(random()?, context, head, plain)
    }

    /// The same with a nonce that is never used for another text.
    pub(crate) fn seal_by(&self, nonce: [u8; NONCE_LEN], context: &str, head: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
        let (mut body, used) = (plain.to_vec(), Nonce::assume_unique_for_key(nonce));
        let done = self.0.seal_in_place_append_tag(used, Aad::from(context.as_bytes()), &mut body);
        done.map_err(|_unspecified| bug())?;
        Ok([head, &nonce, &body].concat())
    }

    /// Opens what stands behind the head. None: it was sealed with another key or in another context, or was changed.
    pub(crate) fn open(&self, context: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut body = body.to_vec();
        let plain = self.0.open_in_place(nonce, Aad::from(context.as_bytes()), &mut body).ok()?.len();
        body.truncate(plain);
        Some(body)
    }
}

fn bug() -> Error {
    Error::new(Code::HostBug, "seal a secret")
}

/// The keys of a file. What it shows of itself is no secret.
pub struct Keys {
    keys: Vec<Key>,
}

struct Key {
    number: u32,
    cipher: Cipher,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| key.number)).finish()
    }
}

/// Random bytes, from the operating system.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| Error::new(Code::HostBug, "draw random bytes from the operating system"))?;
    Ok(bytes)
}

/// A line of a key file with a new key.
pub fn new_key() -> Result<String> {
    let number = u32::from_be_bytes(random()?);
    Ok(format!("{LINE} {number:08x} {}\n", STANDARD.encode(random::<KEY_BYTES>()?)))
}

/// Writes a key file that only its owner can read, in one step: whoever reads it sees the old one or the new one.
pub fn write_keys(path: &Path, lines: &str) -> Result<()> {
    let failed = |error| Error::new(Code::KeyInvalid, format!("write the key file {}", path.display())).because(error);
    let partial = path.with_extension("new");
    let written = fs::remove_file(&partial).or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    });
    written.map_err(failed)?;
    let mut file = fs::File::options().write(true).create_new(true).mode(0o600).open(&partial).map_err(failed)?;
    file.write_all(lines.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&partial, path).map_err(failed)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

/// The text of a key file, if nobody but its owner can read it, and that is whoever runs this process, or root.
pub fn read_keys(path: &Path) -> Result<String> {
    let subject = || format!("read the key file {}", path.display());
    let failed = |error| Error::new(Code::KeyInvalid, subject()).because(error);
    // A pipe without a writer would hold up the open.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let mut file = fs::File::options().read(true).custom_flags(flags).open(path).map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    let owners = [rustix::process::geteuid().as_raw(), 0];
    if let Some((problem, hint)) = unsafe_file(path, &found, owners) {
        return Err(Error::new(Code::KeyInvalid, format!("{}: {problem}", subject())).hint(hint));
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

/// Why a file must not hold keys, and what to do about it. `owners`: the users it may belong to.
fn unsafe_file(path: &Path, found: &fs::Metadata, owners: [u32; 2]) -> Option<(&'static str, String)> {
    let path = path.display();
    if !found.is_file() {
        return Some(("it is no regular file", "Name the file that `host serve --init` has made.".to_owned()));
    }
    if !owners.contains(&found.uid()) {
        return Some(("it belongs to another user", format!("Take it over: chown \"$(id -u)\" {path}")));
    }
    (found.mode() & 0o077 != 0).then(|| ("others than its owner can read it", format!("Close it: chmod 600 {path}")))
}

impl Keys {
    /// Reads the text of a key file.
    pub fn parse(text: &str) -> Result<Self> {
        let keys: Option<Vec<Key>> = text.lines().filter(|line| !line.trim().is_empty()).map(key).collect();
        match keys {
            Some(keys) if !keys.is_empty() => Ok(Self { keys }),
            _ => Err(Error::new(Code::KeyInvalid, "read the keys: a line is no key, or there is none")
                .hint(format!("A line is `{LINE} NUMBER BASE64`; the first one seals, all of them open."))),
        }
    }

    /// Seals a text so that it can be opened in the same context only.
    pub fn seal(&self, context: &str, plain: &[u8]) -> Result<Vec<u8>> {
        let first = self.keys.first().ok_or_else(bug)?;
        let number = first.number.to_be_bytes();
        first.cipher.seal(context, &[&[VERSION], &number[..]].concat(), plain)
    }

    /// Opens what was sealed in this context.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>> {
        self.opened(context, sealed).ok_or_else(|| {
            Error::new(Code::KeyInvalid, format!("open what is sealed in {context}")).hint(
                "The key is another than the one it was sealed with, or the text was changed. Use the right key file.",
            )
        })
    }

    fn opened(&self, context: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (head, rest) = sealed.split_at_checked(HEAD_BYTES)?;
        let (version, number) = head.split_first()?;
        let number = u32::from_be_bytes(number.try_into().ok()?);
        let key = self.keys.iter().find(|key| key.number == number).filter(|_| *version == VERSION)?;
        key.cipher.open(context, rest)
    }
}

fn key(line: &str) -> Option<Key> {
    let mut words = line.split_whitespace();
    let (name, number, key) = (words.next()?, words.next()?, words.next()?);
    if name != LINE || words.next().is_some() {
        return None;
    }
    let cipher = Cipher::aes(&STANDARD.decode(key).ok()?)?;
    Some(Key { number: u32::from_str_radix(number, 16).ok()?, cipher })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn keys() -> Keys {
        Keys::parse(&new_key().unwrap()).unwrap()
    }

    #[test]
    fn what_was_sealed_is_opened_in_its_context_only() {
        let keys = keys();
        let sealed = keys.seal("connections/a", b"s3cret").unwrap();
        assert_eq!(keys.open("connections/a", &sealed).unwrap(), b"s3cret");
        assert_eq!(keys.open("connections/b", &sealed).unwrap_err().code(), Code::KeyInvalid);
        assert!(!sealed.windows(6).any(|window| window == b"s3cret"));
        assert_ne!(keys.seal("connections/a", b"s3cret").unwrap(), sealed);
    }

    /// Sealed by another program, as the head of this file says.
    #[test]
    fn the_format_is_the_described_one() {
        const SEALED: &str = "0100000007000102030405060708090a0b3431b569a091f510c2e6ed6a92d0b5ae208900a4618f";
        let keys = Keys::parse("elt-key-1 00000007 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
        let bytes = SEALED.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16));
        let sealed: Vec<u8> = bytes.map(|byte| byte.unwrap()).collect();
        assert_eq!(keys.open("connections/a", &sealed).unwrap(), b"s3cret");
        let again = keys.seal("connections/a", b"s3cret").unwrap();
        assert_eq!((again.len(), &again[..HEAD_BYTES]), (sealed.len(), &sealed[..HEAD_BYTES]));
    }

    #[test]
    fn any_changed_bit_and_any_cut_is_noticed() {
        let keys = keys();
        let sealed = keys.seal("x", b"secret").unwrap();
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(keys.open("x", &changed).is_err(), "byte {index}");
            assert!(keys.open("x", &sealed[..index]).is_err(), "cut at {index}");
        }
    }

    #[test]
    fn the_first_key_seals_and_all_open() {
        let (old, new) = (new_key().unwrap(), new_key().unwrap());
        let before = Keys::parse(&old).unwrap();
        let both = Keys::parse(&format!("{new}{old}")).unwrap();
        let after = Keys::parse(&new).unwrap();
        let sealed = before.seal("x", b"secret").unwrap();
        assert_eq!(both.open("x", &sealed).unwrap(), b"secret");
        assert!(after.open("x", &sealed).is_err());
        let again = both.seal("x", b"secret").unwrap();
        assert_eq!(after.open("x", &again).unwrap(), b"secret");
        assert!(before.open("x", &again).is_err());
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_shown() {
        let line = new_key().unwrap();
        for text in ["", "\n", "elt-key-1 1 AAAA", "other 00000001 AAAA", &line.replace("elt-key-1", "elt-key-2")] {
            assert_eq!(Keys::parse(text).unwrap_err().code(), Code::KeyInvalid, "{text}");
        }
        let secret = line.split_whitespace().nth(2).unwrap();
        assert!(!format!("{:?}", Keys::parse(&line).unwrap()).contains(secret));
    }

    #[test]
    fn a_key_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        write_keys(&path, &new_key().unwrap()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(Keys::parse(&read_keys(&path).unwrap()).is_ok());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(read_keys(&path).unwrap_err().code(), Code::KeyInvalid);
    }

    #[test]
    fn a_key_file_of_another_user_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        write_keys(&path, &new_key().unwrap()).unwrap();
        let (found, me) = (fs::metadata(&path).unwrap(), rustix::process::geteuid().as_raw());
        assert_eq!(unsafe_file(&path, &found, [me, 0]), None);
        let other = me + 1;
        assert_eq!(unsafe_file(&path, &found, [other, other]).unwrap().0, "it belongs to another user");
        // Only root can give a file away.
        if me == 0 {
            std::os::unix::fs::chown(&path, Some(other), None).unwrap();
            assert_eq!(read_keys(&path).unwrap_err().code(), Code::KeyInvalid);
        }
    }

    #[test]
    fn what_is_no_file_holds_no_keys() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        for path in [folder.path(), &pipe] {
            let error = read_keys(path).unwrap_err();
            assert_eq!(error.code(), Code::KeyInvalid);
            assert!(error.to_string().contains("no regular file"), "{error}");
        }
    }
}
