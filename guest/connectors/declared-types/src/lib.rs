//! Copies products: the types that the records do not show are declared, all others are inferred.

use elt_sdk::prelude::*;

struct Products;

impl Connector for Products {
    const FIELDS: &[Field] =
        &[Field::required("base_url", "Where the API lives, https://api.example.com for instance.")];
    const HOSTS: &[&str] = &["{base_url}"];

    /// A price in text that must be exact, a time without a date, bytes, XML, and a code that only looks like a number.
    fn schema(_: &Configuration) -> Result<Vec<Table>> {
        let products = Table::new("products", ["sku"])
            .column("price", DataType::Decimal((12, 2)))
            .column("weight_kg", DataType::Float)
            .column("in_stock", DataType::Int)
            .column("sold_from", DataType::NaiveTime)
            .column("released", DataType::UtcDatetime)
            .column("image", DataType::Binary)
            .column("label", DataType::Xml)
            .column("origin", DataType::String);
        Ok(vec![products])
    }

    fn update(configuration: &Configuration, state: State, operations: &mut Operations) -> Result<()> {
        let http = Client::new(configuration.required("base_url")?);
        for page in http.get("products").pages("products", PageNumber::new("page").first(0).total_pages("pages")) {
            operations.upsert_page("products", &page?)?;
            operations.checkpoint(&state)?;
        }
        Ok(())
    }
}

elt_sdk::export!(Products);

#[cfg(test)]
mod tests;
