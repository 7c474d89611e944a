//! Copies projects behind OAuth2: access tokens run out during a sync, and each refresh token is good for one use.

use elt_sdk::prelude::*;

struct Projects;

impl Connector for Projects {
    const FIELDS: &[Field] = &[
        Field::required("base_url", "Where the API lives, https://api.example.com for instance."),
        Field::required("client_id", "The id of your application."),
        Field::required("client_secret", "The secret of your application.").secret(),
        Field::required("refresh_token", "The refresh token that came when a person agreed.").secret(),
    ];
    const HOSTS: &[&str] = &["{base_url}"];

    fn schema(_: &Configuration) -> Result<Vec<Table>> {
        Ok(vec![Table::new("projects", ["id"])])
    }

    fn update(configuration: &Configuration, mut state: State, operations: &mut Operations) -> Result<()> {
        let [base, id, secret, token] =
            ["base_url", "client_id", "client_secret", "refresh_token"].map(|field| configuration.required(field));
        let http = Client::new(base?);
        let login = Login::refresh_token(http.url("oauth/token"), id?, secret?, token?).basic();
        let login = login.resume(&state, "login")?;

        // The refresh token that was used is gone: its successor must be safe before anything else can fail.
        login.renew()?;
        login.save(&mut state, "login")?;
        operations.checkpoint(&state)?;

        let cursor = Cursor::new("cursor", "next_cursor").start(state.get("cursor"));
        for page in http.login(&login).get("oauth/projects").pages("projects", cursor) {
            let page = page?;
            operations.upsert_page("projects", &page)?;
            state.set("cursor", page.cursor())?;
            login.save(&mut state, "login")?;
            operations.checkpoint(&state)?;
        }
        Ok(())
    }

    /// A dry run would use the refresh token up and forget its successor; the fields are checked already.
    fn check(_: &Configuration) -> Result<()> {
        Ok(())
    }
}

elt_sdk::export!(Projects);

#[cfg(test)]
mod tests;
