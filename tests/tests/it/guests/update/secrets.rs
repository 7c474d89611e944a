//! The hunt for secrets: a connector that sends its secret everywhere, to a source that repeats all it is sent, and then
//! shows its memory and tells everybody what it saw.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::super::{Misbehaving, fails, limited, mode};
use tests::host::Output;

const KEY: &str = "Zq7/k3y \"with\" \\all+kinds& of=letters~é";
const SIGNING_KEY: &str = "the-signing-key-that-was-exposed";
const TOKEN: &str = "the.token-that_the~source-handed-out";

/// Answers every request with all that was in it, in the body and in a header, and with a token.
fn start_echo() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    // It ends with the test's process.
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || drop(echo(stream)));
        }
    });
    Ok(address)
}

fn echo(mut stream: TcpStream) -> Result<()> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut piece)?;
        bytes.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            ensure!(read > 0, "half a request");
            continue;
        };
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0").parse::<usize>()?;
        if body.len() < length {
            continue;
        }
        let first = head.lines().next().unwrap_or_default();
        let answer = format!("{text} token={TOKEN} {}", serde_json::json!({"request": text}));
        let head = format!(
            "HTTP/1.1 200 OK\r\nx-first: {first}\r\nx-token: {TOKEN}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        stream.write_all(head.as_bytes())?;
        return stream.write_all(answer.as_bytes()).map_err(Into::into);
    }
}

/// What must be found nowhere: the value, and parts of it as others would write it.
fn traces(value: &str) -> Vec<Vec<u8>> {
    let encode = |text: &str| {
        let percent = |byte: u8| {
            if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
        };
        text.bytes().map(percent).collect::<String>()
    };
    let json = serde_json::Value::from(value).to_string();
    let mut all: Vec<Vec<u8>> = vec![value.into(), json[1..json.len() - 1].into(), encode(value).into()];
    // Base64 turns three bytes into four letters, wherever they stand: whole groups in the middle of the value.
    for skipped in 0..3 {
        let middle = &value.as_bytes()[skipped..skipped + 15];
        all.push(base64(middle).into_bytes());
    }
    all
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let groups = bytes.chunks_exact(3).flat_map(|group| {
        let bits = u32::from(group[0]) << 16 | u32::from(group[1]) << 8 | u32::from(group[2]);
        [18, 12, 6, 0].map(|shift| char::from(LETTERS[(bits >> shift & 63) as usize]))
    });
    groups.collect()
}

fn ensure_absent(what: &str, bytes: &[u8], values: &[&str]) -> Result<()> {
    for value in values {
        for trace in traces(value) {
            let found = bytes.windows(trace.len()).position(|window| window == trace);
            if let Some(at) = found {
                let around =
                    String::from_utf8_lossy(&bytes[at.saturating_sub(100)..bytes.len().min(at + 100)]).into_owned();
                anyhow::bail!("{what} shows {:?}: {around}", String::from_utf8_lossy(&trace));
            }
        }
    }
    Ok(())
}

/// Every file in the folder, but the configuration and the warehouse: rows arrive as the source sent them.
fn files(folder: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.display().to_string();
        if path.is_dir() {
            all.extend(files(&path)?);
        } else if !["configuration.json", "connector.wasm"].iter().any(|end| name.ends_with(end))
            && !name.contains("warehouse.db")
        {
            all.push((name, fs::read(&path)?));
        }
    }
    Ok(all)
}

fn hunting(mode: &str, address: &str) -> Result<Misbehaving> {
    let misbehaving = Misbehaving::new(mode)?;
    let configuration = serde_json::json!({
        "mode": mode, "base_url": format!("http://{address}"), "api_key": KEY, "signing_key": SIGNING_KEY,
    });
    misbehaving.host.write("configuration.json", configuration.to_string())?;
    Ok(misbehaving)
}

fn sync(misbehaving: &Misbehaving, address: &str, more: &[&str]) -> Result<Output> {
    let options = ["--allow-private", address, "--expose", "signing_key", "--destination", "sqlite:warehouse.db"];
    misbehaving.sync(&[&options[..], more].concat())
}

fn ask(misbehaving: &Misbehaving, sql: &str) -> Result<String> {
    let arguments = ["query", sql, "--format", "csv", "--destination", "sqlite:warehouse.db"];
    Ok(misbehaving.host.run(&arguments)?.succeeded()?.stdout)
}

#[test]
pub(in super::super) fn secret_in_memory() -> Result<()> {
    let address = start_echo()?;
    let misbehaving = hunting(mode!(update, secret_in_memory), &address)?;
    sync(&misbehaving, &address, &["-v"])?.succeeded()?;
    let dump = ask(&misbehaving, "SELECT hex FROM misbehaving__memory ORDER BY page")?;
    let digits: Vec<u8> = dump.lines().skip(1).flat_map(str::bytes).filter(u8::is_ascii_hexdigit).collect();
    let memory: Vec<u8> = digits
        .chunks_exact(2)
        .map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?))
        .collect::<Result<_>>()?;
    ensure!(memory.len() > 1 << 20, "the dump has {} bytes only", memory.len());
    // The dump is of the guest, and of all of it: what it was given is there.
    for present in [&b"elt_secret_"[..], SIGNING_KEY.as_bytes(), b"update.secret_in_memory"] {
        ensure!(memory.windows(present.len()).any(|window| window == present), "{present:?} is not in the dump");
    }
    ensure_absent("the guest's memory", &memory, &[KEY])?;
    // The connector had placeholders; the table has what the source sent.
    let repeated = memory.windows(11).filter(|window| *window == b"elt_secret_").count();
    ensure!(repeated > 12, "the source did not repeat it: {repeated} placeholders");
    let echoes = ask(&misbehaving, "SELECT count(*) FROM misbehaving__facts WHERE instr(answer, 'all+kinds') > 0")?;
    ensure!(echoes.lines().nth(1) != Some("0"), "the rows hold no secret that the source repeated: {echoes}");
    for (name, bytes) in files(misbehaving.host.folder())? {
        ensure_absent(&name, &bytes, &[KEY])?;
    }
    Ok(())
}

#[test]
pub(in super::super) fn secret_in_words() -> Result<()> {
    let address = start_echo()?;
    let misbehaving = hunting(mode!(update, secret_in_words), &address)?;
    for format in ["-v", "--json"] {
        let output = sync(&misbehaving, &address, &[format, "--log-file", "log"])?.failed(3, "source-error");
        let output = match output {
            Ok(output) => output,
            Err(error) => anyhow::bail!("{format}: {error}"),
        };
        let told = [output.stdout, output.stderr, fs::read_to_string(misbehaving.host.folder().join("log"))?].concat();
        ensure!(told.contains("[secret:api_key]") && told.contains("[secret:token]"), "nothing was said: {told}");
        ensure_absent("what the host tells", told.as_bytes(), &[KEY, SIGNING_KEY, TOKEN])?;
    }
    // What the exposed field's value becomes is the connector's doing; it was not to be shown to people above.
    for (name, bytes) in files(misbehaving.host.folder())? {
        ensure_absent(&name, &bytes, &[KEY])?;
    }
    let state = ask(&misbehaving, "SELECT state_after FROM misbehaving___syncs WHERE state_after IS NOT NULL")?;
    ensure!(state.contains("elt_token_"), "the state holds no placeholder: {state}");
    ensure_absent("the state", state.as_bytes(), &[TOKEN])
}

#[test]
pub(in super::super) fn protect_without_end() -> Result<()> {
    fails(mode!(update, protect_without_end), &[], &limited("limit-secrets", &["limit tokens"]))
}

/// A connector that asks to see a secret is given it only if the operator agrees.
#[test]
fn exposure_needs_the_operator() -> Result<()> {
    let misbehaving = hunting(mode!(update, well_behaved), "127.0.0.1:9")?;
    let refused = misbehaving.sync(&["--dry-run"])?.failed(2, "secret-not-exposed")?;
    ensure!(refused.stderr.contains("--expose signing_key"), "{}", refused.stderr);
    ensure_absent("the error", refused.stderr.as_bytes(), &[KEY, SIGNING_KEY])?;
    misbehaving.sync(&["--expose", "api_key"])?.failed(2, "usage")?;
    misbehaving.sync(&["--expose", "signing_key"])?.succeeded()?;
    Ok(())
}

/// The token of one sync serves the next: it is opened from the state with the key of the user's.
#[test]
fn a_token_in_the_state_survives_the_sync_but_not_the_key() -> Result<()> {
    let address = start_echo()?;
    let mut misbehaving = hunting(mode!(update, secret_in_words), &address)?;
    let home = misbehaving.host.folder().join("home");
    misbehaving.host.set_env("XDG_CONFIG_HOME", &home);
    let warning = "cannot be opened";
    for _ in 0..2 {
        let output = sync(&misbehaving, &address, &[])?.failed(3, "source-error")?;
        ensure!(!output.stderr.contains(warning), "{}", output.stderr);
    }
    let key = home.join("elt-connectors/secret.key");
    let text = fs::read_to_string(&key).context("there is no key")?;
    fs::write(&key, text.chars().rev().collect::<String>())?;
    let output = sync(&misbehaving, &address, &[])?.failed(3, "source-error")?;
    ensure!(output.stderr.contains(warning), "{}", output.stderr);
    fs::write(&key, "nonsense")?;
    sync(&misbehaving, &address, &[])?.failed(2, "secret-key-invalid").map(drop)
}

/// The token stands in answers that came before it was protected.
#[test]
fn a_recording_shows_none_of_them() -> Result<()> {
    let address = start_echo()?;
    let misbehaving = hunting("update.secret_in_words", &address)?;
    sync(&misbehaving, &address, &["-v", "--record", "hunt.rec"])?.failed(3, "source-error")?;
    let recording = zstd::decode_all(fs::File::open(misbehaving.host.folder().join("hunt.rec"))?)?;
    for present in [&b"elt_secret_"[..], b"elt_token_", b"[secret:signing_key]"] {
        ensure!(
            recording.windows(present.len()).any(|window| window == present),
            "{present:?} is not in the recording"
        );
    }
    ensure_absent("the recording", &recording, &[KEY, SIGNING_KEY, TOKEN])
}
