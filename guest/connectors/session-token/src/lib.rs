//! Copies users behind a login: name and password open a session, whose token goes with every request.

use elt_sdk::prelude::*;

struct Users;

impl Connector for Users {
    const FIELDS: &[Field] = &[
        Field::required("base_url", "Where the API lives, https://api.example.com for instance."),
        Field::required("username", "The name to log in with."),
        Field::required("password", "The password that goes with it.").secret(),
    ];
    const HOSTS: &[&str] = &["{base_url}"];

    fn schema(_: &Configuration) -> Result<Vec<Table>> {
        Ok(vec![Table::new("users", ["id"])])
    }

    fn update(configuration: &Configuration, mut state: State, operations: &mut Operations) -> Result<()> {
        let http = Client::new(configuration.required("base_url")?);
        let credentials = json!({
            "username": configuration.required("username")?,
            "password": configuration.required("password")?,
        });
        let login = Login::session(http.post("auth/session_token/login").json(&credentials).idempotent(true), "token")
            .lifetime("expires_in")
            .header("Authorization", "Token ")
            .resume(&state, "session")?;

        let users = http.login(&login).get("auth/session_token/data").page("data")?;
        operations.upsert_page("users", &users)?;
        // The next sync goes on with this session if there is time left.
        login.save(&mut state, "session")?;
        operations.checkpoint(&state)
    }
}

elt_sdk::export!(Users);

#[cfg(test)]
mod tests;
