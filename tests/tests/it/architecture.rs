//! The rules of docs/ARCHITECTURE.md that a compiler does not know: who may use what, and where.

use std::fs;
use std::path::{Path, PathBuf};

/// Files under a folder (or a single file) that must not contain any of the words outside of comments.
struct Rule {
    place: &'static str,
    except: &'static [&'static str],
    words: &'static [&'static str],
    why: &'static str,
}

const INPUT_OUTPUT: &[&str] = &["std::fs", "std::net", "std::process", "std::env", "tokio::", "duckdb::", "reqwest::"];

const RULES: &[Rule] = &[
    Rule {
        place: "host/src",
        except: &["guest", "guest.rs"],
        words: &["wasmtime::", "use wasmtime", "wasmtime_wasi"],
        why: "the sandbox alone knows its engine: no wasmtime type outside `guest`",
    },
    Rule {
        place: "host/src/guest",
        except: &[],
        words: &["crate::destination", "crate::sync", "crate::cli"],
        why: "arrows run from sync to guest; the sandbox knows no destination",
    },
    Rule {
        place: "host/src/destination",
        except: &[],
        words: &["crate::guest", "crate::sync", "crate::cli"],
        why: "a destination knows rows and states, not where they come from",
    },
    Rule {
        place: "host/src/model",
        except: &[],
        words: &["arrow::", "wasmtime", "duckdb::", "reqwest", "tokio", "std::fs", "std::net", "std::env"],
        why: "the model is plain data: no I/O, no types of engines and clients",
    },
    Rule { place: "host/src/schema", except: &[], words: INPUT_OUTPUT, why: "inference is pure" },
    Rule {
        place: "host/src/guest/egress",
        except: &[],
        words: &["std::fs", "TcpStream", "UdpSocket", "ToSocketAddrs", "tokio::", "reqwest::"],
        why: "the egress policy is pure: it knows addresses, not sockets",
    },
    Rule { place: "host/src/sync/tables.rs", except: &[], words: INPUT_OUTPUT, why: "decoding is pure" },
    Rule { place: "host/src/sync/fold.rs", except: &[], words: INPUT_OUTPUT, why: "folding is pure" },
    Rule { place: "host/src/sync/record.rs", except: &[], words: INPUT_OUTPUT, why: "scanning is pure" },
    Rule { place: "host/src/sync/policy.rs", except: &[], words: INPUT_OUTPUT, why: "when to commit is data" },
    Rule {
        place: "host/src",
        except: &["cli", "options.rs", "options"],
        words: &["println!", "eprintln!", "print!(", "eprint!(", "std::env::var", "env::args"],
        why: "only the command line prints, and only the options read the environment",
    },
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources(place: &Path, found: &mut Vec<PathBuf>) {
    if place.is_file() {
        return found.push(place.to_path_buf());
    }
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The lines of a file that are code of the product: no comments, nothing after its tests begin.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let product = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]"));
    product.enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
}

#[test]
fn modules_use_only_what_the_architecture_allows() {
    let mut broken = Vec::new();
    for rule in RULES {
        let place = root().join(rule.place);
        let mut files = Vec::new();
        sources(&place, &mut files);
        assert!(!files.is_empty(), "{} is gone: correct the rule", rule.place);
        for file in files {
            let inside = file.strip_prefix(&place).unwrap().to_string_lossy().into_owned();
            let is_test =
                file.file_stem().is_some_and(|stem| stem.to_string_lossy().contains("tests") || stem == "bench")
                    || inside.split('/').any(|part| part == "tests" || part == "conformance");
            if is_test || rule.except.iter().any(|name| inside == *name || inside.starts_with(&format!("{name}/"))) {
                continue;
            }
            let text = fs::read_to_string(&file).unwrap();
            for (number, line) in code(&text) {
                if let Some(word) = rule.words.iter().find(|word| line.contains(**word)) {
                    broken.push(format!("{}/{inside}:{}: \"{word}\": {}", rule.place, number + 1, rule.why));
                }
            }
        }
    }
    assert!(broken.is_empty(), "the architecture does not allow:\n{}", broken.join("\n"));
}

#[test]
fn every_file_says_first_what_it_is() {
    let mut files = Vec::new();
    for folder in ["host", "guest", "tests", "xtask"] {
        sources(&root().join(folder), &mut files);
    }
    let silent: Vec<_> = files
        .iter()
        .filter(|file| !fs::read_to_string(file).unwrap().starts_with("//!"))
        .map(|file| file.display().to_string())
        .collect();
    assert!(
        silent.is_empty(),
        "begin these files with a sentence that a stranger understands (//! …):\n{}",
        silent.join("\n")
    );
}
