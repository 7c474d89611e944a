//! `host new`: the files of a new connector.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use super::screen::Screen;
use crate::options::shell_word;
use crate::scaffold::{self, Authentication, Choice, Pagination, SyncStyle};
use model::error::{Code, Error, Result};

/// What can be typed after `host new`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The connector's name: [a-z][a-z0-9_-]*
    #[arg(required_unless_present = "prompt")]
    name: Option<String>,
    /// How the source pages (default: cursor); an export has no pages
    #[arg(long, value_enum, value_name = "HOW")]
    pagination: Option<Pagination>,
    /// How the source is told who asks
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    auth: Authentication,
    /// How a sync goes on where the last one ended
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    sync: SyncStyle,
    /// The folder to make (default: the name)
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Prints instead all that a person or a language model needs to know to write a connector
    #[arg(long)]
    prompt: bool,
}

/// Writes the files.
pub(super) fn run(arguments: &Arguments, screen: &Screen) -> Result<()> {
    let Some(name) = arguments.name.as_deref().filter(|_| !arguments.prompt) else {
        return screen.data(scaffold::PROMPT).map(|_closed| ());
    };
    let choice = choice(arguments)?;
    let files = scaffold::files(name, choice)?;
    let folder = arguments.dir.clone().unwrap_or_else(|| PathBuf::from(name));
    write(&folder, &files)?;
    let shown = shell_word(&folder.to_string_lossy());
    let own = files.iter().map(|(path, _)| path.as_str()).filter(|path| !path.starts_with("vendor/"));
    screen.people(&format!(
        "{shown} has {} and, in vendor, the SDK.\n\nNext: write src/lib.rs for your source, its fields into \
         configuration.json; then\n  cd {shown}\n  host dev\nEverything there is to know, on one page: host new --prompt",
        own.collect::<Vec<_>>().join(", ")
    ));
    Ok(())
}

fn choice(arguments: &Arguments) -> Result<Choice> {
    if arguments.pagination.is_some() && arguments.sync.is_export() {
        return Err(Error::new(Code::Usage, "make a connector that reads an export page by page")
            .hint("An export comes in one answer: leave --pagination out, or choose another --sync."));
    }
    let pagination = arguments.pagination.unwrap_or_default();
    Ok(Choice { pagination, authentication: arguments.auth, sync: arguments.sync })
}

fn write(folder: &Path, files: &[scaffold::File]) -> Result<()> {
    let subject = || format!("make a connector in {}", folder.display());
    if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Error::new(Code::ScaffoldFailed, format!("{}: there is something in it already", subject()))
            .hint("Choose another name, or another folder with --dir."));
    }
    for (name, text) in files {
        let path = folder.join(name);
        let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, text));
        written.map_err(|error| {
            Error::new(Code::ScaffoldFailed, subject()).hint("Look for room and permissions.").because(error)
        })?;
    }
    Ok(())
}
