//! Copies companies and their departments: one cursor for the companies, and one for each company's departments.

use elt_sdk::http::encode;
use elt_sdk::prelude::*;

struct Staff;

impl Connector for Staff {
    const FIELDS: &[Field] =
        &[Field::required("base_url", "Where the API lives, https://api.example.com for instance.")];
    const HOSTS: &[&str] = &["{base_url}"];

    fn schema(_: &Configuration) -> Result<Vec<Table>> {
        Ok(vec![Table::new("companies", ["company_id"]), Table::new("departments", ["company_id", "department_id"])])
    }

    /// The state is `{"companies": {"updated_at": …}, "departments": {"1": {"updated_at": …}, …}}`.
    fn update(configuration: &Configuration, mut state: State, operations: &mut Operations) -> Result<()> {
        let http = Client::new(configuration.required("base_url")?);
        let (mut companies, mut departments) = (state.slice("companies")?, state.slice("departments")?);

        let changed = read(http.get("cursors/companies"), "companies", &mut companies, operations)?;
        for company in changed.records() {
            let id = company.required("company_id")?;
            departments.set(&id, departments.slice(&id)?)?;
        }
        state.set("companies", companies)?;
        state.set("departments", &departments)?;
        operations.checkpoint(&state)?;

        let ids: Vec<String> = departments.keys().map(str::to_owned).collect();
        for id in ids {
            let mut slice = departments.slice(&id)?;
            let request = http.get(format!("cursors/{}/departments", encode(&id)));
            read(request, "departments", &mut slice, operations)?;
            departments.set(&id, slice)?;
            state.set("departments", &departments)?;
            operations.checkpoint(&state)?;
        }
        Ok(())
    }
}

/// Writes what has changed since the slice's cursor, and moves that on to the newest change.
fn read(request: Request, table: &str, slice: &mut State, operations: &mut Operations) -> Result<Page> {
    let mut window = Window::new("updatedAt").key("updated_at").overlap(Duration::ZERO).resume(slice)?;
    let page = request.query_if("updated_since", window.since()?).page("data")?;
    operations.upsert_page(table, &page)?;
    window.advance(&page, slice)?;
    Ok(page)
}

elt_sdk::export!(Staff);

#[cfg(test)]
mod tests;
