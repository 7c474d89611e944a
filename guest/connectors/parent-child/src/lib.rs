//! Copies customers and each one's invoices, several customers at a time, following the URLs from page to page.

use elt_sdk::http::encode;
use elt_sdk::prelude::*;

/// So many customers' invoices are asked for at once.
const IN_FLIGHT: usize = 8;

struct Billing;

impl Connector for Billing {
    const FIELDS: &[Field] = &[
        Field::required("api_key", "The key the API asks for.").secret(),
        Field::required("base_url", "Where the API lives, https://api.example.com for instance."),
        Field::optional("page_size", "Customers in one answer.").default("100"),
    ];
    const HOSTS: &[&str] = &["{base_url}"];

    fn schema(_: &Configuration) -> Result<Vec<Table>> {
        Ok(vec![Table::new("customers", ["id"]), Table::new("invoices", ["id"])])
    }

    fn update(configuration: &Configuration, mut state: State, operations: &mut Operations) -> Result<()> {
        let http =
            Client::new(configuration.required("base_url")?).header("api_key", configuration.required("api_key")?);
        let request = http.get("customers").query("limit", configuration.parse::<u32>("page_size")?);

        for page in request.pages("data", NextUrl::new("next").start(state.get("next"))) {
            let page = page?;
            operations.upsert_page("customers", &page)?;
            if operations.selects("invoices") {
                invoices(&http, &page, operations)?;
            }
            // An interrupted sync resumes at the next page; after the last one, everything is read again.
            state.set("next", page.cursor())?;
            operations.checkpoint(&state)?;
        }
        Ok(())
    }
}

/// Writes the invoices of a page's customers, each with its customer's id.
fn invoices(http: &Client, customers: &Page, operations: &mut Operations) -> Result<()> {
    let lists = customers.records().map(|customer| {
        let path = format!("customers/{}/invoices", encode(&customer.required("id")?));
        Ok::<_, Error>((customer, http.get(path).pages("data", NextUrl::new("next"))))
    });
    for list in ahead(IN_FLIGHT, lists) {
        let (customer, pages) = list?;
        let id = customer.value("id");
        for page in pages {
            for invoice in page?.records() {
                operations.upsert("invoices", invoice.with("customer_id", id)?)?;
            }
        }
    }
    Ok(())
}

elt_sdk::export!(Billing);

#[cfg(test)]
mod tests;
