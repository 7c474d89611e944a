//! Copies the discussions of a GitHub repository through its GraphQL API: newest changes first, down to the last change
//! that an earlier sync saw.

use elt_sdk::prelude::*;

/// Discussions sort by their changes, but cannot be asked for since one.
const DISCUSSIONS: &str = "query($owner: String!, $name: String!, $after: String) {
  repository(owner: $owner, name: $name) {
    discussions(first: 100, after: $after, orderBy: {field: UPDATED_AT, direction: DESC}) {
      nodes { id number title body url locked createdAt updatedAt upvoteCount
              author { login } category { name slug } comments { totalCount } answer { id createdAt } }
      pageInfo { hasNextPage endCursor }
    }
  }
}";

struct Discussions;

impl Connector for Discussions {
    const FIELDS: &[Field] = &[
        Field::required("owner", "The user or organisation that owns the repository."),
        Field::required("repository", "The repository's name."),
        Field::required("token", "A personal access token that may read its discussions.").secret(),
        Field::optional("base_url", "Where the API lives, for GitHub Enterprise.").default("https://api.github.com"),
    ];
    const HOSTS: &[&str] = &["{base_url}"];

    fn schema(_: &Configuration) -> Result<Vec<Table>> {
        Ok(vec![Table::new("discussions", ["id"])])
    }

    fn update(configuration: &Configuration, mut state: State, operations: &mut Operations) -> Result<()> {
        let [owner, name] = ["owner", "repository"].map(|field| configuration.required(field));
        let http = Client::new(configuration.required("base_url")?).bearer_auth(configuration.required("token")?);
        let request = http.post("graphql").graphql(DISCUSSIONS, &json!({"owner": owner?, "name": name?}));

        let mut window = Window::new("updatedAt").key("updated_at").resume(&state)?;
        let place = "/data/repository/discussions";
        let pages = PageInfo::new("after", &format!("{place}/pageInfo")).start(window.cursor());
        for page in request.pages(&format!("{place}/nodes"), pages) {
            let page = page?;
            operations.upsert_page("discussions", &page)?;
            // The newest come first: the window moves on when all of them have arrived.
            window.advance(&page, &mut state)?;
            let known = window.is_passed(&page);
            if known {
                window.finish(&mut state)?;
            }
            operations.checkpoint(&state)?;
            if known {
                break;
            }
        }
        Ok(())
    }
}

elt_sdk::export!(Discussions);

#[cfg(test)]
mod tests;
