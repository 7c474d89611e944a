//! The rules of docs/ARCHITECTURE.md that a compiler does not know: who may use what, and where. That arrows between crates
//! run one way, cargo knows; the picture of them in that page is compared with the manifests.

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
    Rule { place: "host/model/src", except: &[], words: INPUT_OUTPUT, why: "the model is plain data: no I/O" },
    Rule {
        place: "host/sandbox/src/egress",
        except: &[],
        words: &["std::fs", "TcpStream", "UdpSocket", "ToSocketAddrs", "tokio::", "reqwest::"],
        why: "the egress policy is pure: it knows addresses, not sockets",
    },
    Rule { place: "host/stream/src/tables.rs", except: &[], words: INPUT_OUTPUT, why: "decoding is pure" },
    Rule { place: "host/stream/src/fold.rs", except: &[], words: INPUT_OUTPUT, why: "folding is pure" },
    Rule { place: "host/stream/src/record.rs", except: &[], words: INPUT_OUTPUT, why: "scanning is pure" },
    Rule { place: "host/stream/src/policy.rs", except: &[], words: INPUT_OUTPUT, why: "when to commit is data" },
    Rule {
        place: "host",
        except: &["src/cli", "src/options.rs", "src/options", "build.rs", "rpath.rs", "conformance/src"],
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

/// The lines of a file that are code of the product: no comments, no item that is for tests only. Such an item ends at the
/// first line that is indented as its attribute is and closes it.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut tests_end: Option<String> = None;
    text.lines().enumerate().filter(move |(_, line)| {
        let bare = line.trim_start();
        if let Some(indent) = &tests_end {
            let is_last = line.strip_prefix(indent.as_str()).is_some_and(|rest| {
                rest.starts_with('}') || (!rest.starts_with([' ', '#', '/']) && rest.ends_with(';'))
            });
            if is_last {
                tests_end = None;
            }
            return false;
        }
        if bare.starts_with("#[cfg(test)]") {
            tests_end = Some(line[..line.len() - bare.len()].to_owned());
            return false;
        }
        !bare.starts_with("//")
    })
}

#[test]
fn only_items_for_tests_are_left_out() {
    let text = "#[cfg(test)]\nmod tests;\nuse a;\n    #[cfg(test)]\n    fn f() {\n        b\n    }\nc // d\n// e\n";
    assert_eq!(code(text).map(|(_, line)| line).collect::<Vec<_>>(), ["use a;", "c // d"]);
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

/// The crates below `host` and those of them that each uses, as lines `name -> others`.
fn arrows() -> String {
    let mut lines = Vec::new();
    let below = fs::read_dir(root().join("host")).into_iter().flatten().flatten().map(|entry| entry.path());
    for folder in below.chain([root().join("host")]) {
        let Ok(manifest) = fs::read_to_string(folder.join("Cargo.toml")) else { continue };
        lines.push(arrow(&folder.file_name().unwrap_or_default().to_string_lossy(), &manifest));
    }
    lines.sort();
    lines.join("\n")
}

fn arrow(name: &str, manifest: &str) -> String {
    let product = manifest.split("[dev-dependencies]").next().unwrap_or(manifest);
    let used = product
        .lines()
        .filter_map(|line| line.split(['.', ' ']).next())
        .filter(|used| *used != name && !used.is_empty() && root().join("host").join(used).join("Cargo.toml").exists());
    let used: Vec<_> = used.collect();
    if used.is_empty() { name.to_owned() } else { format!("{name} -> {}", used.join(", ")) }
}

#[test]
fn the_picture_of_the_crates_is_true() {
    let page = fs::read_to_string(root().join("docs/ARCHITECTURE.md")).unwrap();
    assert!(page.contains(&arrows()), "docs/ARCHITECTURE.md should contain:\n{}", arrows());
}
