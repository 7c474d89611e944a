//! Copies tickets and, as a table of their own, the comments that are nested in them; what is deleted at the source is
//! marked as deleted here.

use elt_sdk::RawValue;
use elt_sdk::prelude::*;
use elt_sdk::serde_json;
use std::collections::BTreeMap;

struct Helpdesk;

/// A ticket's fields as they stand.
type Fields<'a> = BTreeMap<&'a str, &'a RawValue>;

impl Connector for Helpdesk {
    const FIELDS: &[Field] =
        &[Field::required("base_url", "Where the API lives, https://api.example.com for instance.")];
    const HOSTS: &[&str] = &["{base_url}"];

    fn schema(_: &Configuration) -> Result<Vec<Table>> {
        Ok(vec![Table::new("tickets", ["id"]), Table::new("comments", ["ticket_id", "id"])])
    }

    fn update(configuration: &Configuration, mut state: State, operations: &mut Operations) -> Result<()> {
        let http = Client::new(configuration.required("base_url")?);
        let changes = Cursor::new("since", "next").start(state.get("since"));

        for page in http.get("tickets/changes").pages("changes", changes) {
            let page = page?;
            for change in page.records() {
                change_ticket(&change, operations)?;
            }
            // The source gives a place for the next sync too: with no changes there it ends the pages itself.
            state.set("since", page.place())?;
            operations.checkpoint(&state)?;
        }
        Ok(())
    }
}

/// A change is a whole ticket as it is now, or as it was when it was deleted.
fn change_ticket(change: &Record, operations: &mut Operations) -> Result<()> {
    let mut ticket: Fields = change.parse()?;
    let id = *ticket.get("id").ok_or_else(|| Error::source("a ticket has no `id`"))?;
    let comments = ticket.remove("comments").map_or("[]", RawValue::get);
    let deleted = ticket.remove("deleted").is_some_and(|deleted| deleted.get() == "true");

    for comment in serde_json::from_str::<Vec<&RawValue>>(comments)? {
        let comment = Record::from(comment).with("ticket_id", id)?;
        let gone = deleted || comment.get("deleted").as_deref() == Some("true");
        if gone { operations.delete("comments", comment)? } else { operations.upsert("comments", comment)? }
    }
    if deleted { operations.delete("tickets", ticket) } else { operations.upsert("tickets", ticket) }
}

elt_sdk::export!(Helpdesk);

#[cfg(test)]
mod tests;
