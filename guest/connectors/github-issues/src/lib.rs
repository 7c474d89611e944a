//! Copies the issues (pull requests among them) of a GitHub repository and their comments, in the order of their changes:
//! REST API, version 2022-11-28.

use elt_sdk::http::encode;
use elt_sdk::prelude::*;

struct Issues;

impl Connector for Issues {
    const FIELDS: &[Field] = &[
        Field::required("owner", "The user or organisation that owns the repository."),
        Field::required("repository", "The repository's name."),
        Field::required("token", "A personal access token that may read its issues.").secret(),
        Field::optional("base_url", "Where the API lives, for GitHub Enterprise.").default("https://api.github.com"),
    ];
    const HOSTS: &[&str] = &["{base_url}"];
    const RATE_LIMITS: &[RateLimit] = &[RateLimit::per_hour(5000)];

    fn schema(_: &Configuration) -> Result<Vec<Table>> {
        Ok(vec![Table::new("issues", ["id"]), Table::new("comments", ["id"])])
    }

    fn update(configuration: &Configuration, mut state: State, operations: &mut Operations) -> Result<()> {
        let [owner, repository] = ["owner", "repository"].map(|field| configuration.required(field).map(encode));
        let http = Client::new(configuration.required("base_url")?)
            .bearer_auth(configuration.required("token")?)
            .header("Accept", "application/vnd.github+json")
            .header("X-GitHub-Api-Version", "2022-11-28")
            .judge(judge);
        let repository = format!("repos/{}/{}", owner?, repository?);

        for (table, path) in [("issues", "issues?state=all"), ("comments", "issues/comments")] {
            if !operations.selects(table) {
                continue;
            }
            let request = http.get(format!("{repository}/{path}")).query("sort", "updated").query("direction", "asc");
            // Both sorted by their changes: what was written so far need not be read again, but for its last instant.
            let window = Window::new("updated_at").key(table).overlap(Duration::ZERO).ordered();
            let mut window = window.resume(&state)?;
            let request = request.query("per_page", 100).query_if("since", window.since()?);
            for page in request.pages("", LinkHeader::new()) {
                let page = page?;
                operations.upsert_page(table, &page)?;
                window.advance(&page, &mut state)?;
                operations.checkpoint(&state)?;
            }
        }
        Ok(())
    }
}

/// GitHub refuses with 403 whoever asks too often, and says in its headers until when.
fn judge(answer: &Response, body: &str) -> Result<()> {
    let exhausted = answer.status() == 403 && answer.header("x-ratelimit-remaining").as_deref() == Some("0");
    let reset = answer.header("x-ratelimit-reset").filter(|_| exhausted).and_then(|reset| reset.parse().ok());
    let until = reset.map(|reset: i64| reset.saturating_sub(Timestamp::now().unix_seconds()).max(1).unsigned_abs());
    match answer.retry_after().or(until.map(Duration::from_secs)) {
        Some(wait) if answer.status() == 403 => {
            let message = Record::from(body).get("message").unwrap_or_default();
            Err(Error::rate_limited(message, Some(wait)))
        }
        _ => Ok(()),
    }
}

elt_sdk::export!(Issues);

#[cfg(test)]
mod tests;
