//! Replaces a table by an XML feed, if it is another one than last time: the state keeps the feed's `ETag`.

use elt_sdk::prelude::*;

struct Feed;

impl Connector for Feed {
    const FIELDS: &[Field] = &[
        Field::required("base_url", "Where the feed lives, https://feeds.example.com for instance."),
        Field::required("user", "The name to ask with."),
        Field::required("password", "The password that goes with it.").secret(),
    ];
    const HOSTS: &[&str] = &["{base_url}"];

    fn schema(_: &Configuration) -> Result<Vec<Table>> {
        Ok(vec![Table::new("offers", ["@id"]).column("price", DataType::Decimal((12, 2)))])
    }

    fn update(configuration: &Configuration, mut state: State, operations: &mut Operations) -> Result<()> {
        let [base, user, password] = ["base_url", "user", "password"].map(|field| configuration.required(field));
        let http = Client::new(base?).basic_auth(user?, password?);
        let Some(feed) = http.get("feed/offers.xml").send_if_changed(&mut state, "version")? else {
            info!("the feed has not changed");
            return Ok(());
        };
        operations.truncate("offers")?;
        for offer in feed.rows(Xml::new("offer").root("offers").lists(["tag"]))? {
            operations.upsert("offers", offer?)?;
        }
        operations.checkpoint(&state)
    }
}

elt_sdk::export!(Feed);

#[cfg(test)]
mod tests;
