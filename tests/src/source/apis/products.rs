//! Products of many types, by page number from 0, and offers as an XML feed with an `ETag`.

use axum::http::StatusCode;
use serde_json::json;

use super::super::answer::{Answer, Query};
use super::Asked;

const PAGES: u64 = 3;
const PAGE: u64 = 40;

pub(super) fn page(query: &Query) -> Answer {
    let page = query.get("page").and_then(|page| page.parse().ok()).unwrap_or(0);
    let ids = if page < PAGES { page * PAGE..(page + 1) * PAGE } else { 0..0 };
    let products = ids.map(|id| {
        json!({
            "sku": format!("{id:05}"),
            // Two digits that matter, as text in one half and as a number in the other.
            "price": if id.is_multiple_of(2) { json!(format!("{id}.10")) } else { json!(12.5) },
            "weight_kg": 0.25,
            "in_stock": id.to_string(),
            "sold_from": "08:30:00",
            "released": if id.is_multiple_of(2) { "2024-02-29T12:00:00Z" } else { "2024-02-29T12:00:00.5+01:00" },
            "image": "iVBORw0KGgo=",
            "label": "<b>new</b>",
            "origin": id,
            "size": {"w": 1, "h": id},
            "rating": 4.5,
            "available": id.is_multiple_of(3),
        })
    });
    Answer::json(json!({"products": products.collect::<Vec<_>>(), "pages": PAGES}))
}

/// Ten offers in each version, one of them gone in the next.
pub(super) fn feed(asked: &Asked<'_>, version: u64) -> Answer {
    // `shop:s3cret`.
    if asked.header("authorization") != "Basic c2hvcDpzM2NyZXQ=" {
        return Answer::error(StatusCode::UNAUTHORIZED, "unauthorized", "who are you?");
    }
    let tag = format!("\"feed-{version}\"");
    if asked.header("if-none-match") == tag {
        return Answer::text("", "application/xml").with_status(StatusCode::NOT_MODIFIED);
    }
    let offers = (version..version + 10).map(|id| {
        let tags = if id.is_multiple_of(2) { "<tag>new</tag><tag>sale &amp; more</tag>" } else { "<tag>old</tag>" };
        format!("  <offer id=\"{id}\"><name>Über №{id}</name><price>{id}.90</price>{tags}</offer>\n")
    });
    let offers = offers.collect::<Vec<_>>().concat();
    let xml = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<offers xmlns=\"urn:offers\">\n{offers}</offers>\n");
    Answer::text(xml, "application/xml").with_header("etag", tag)
}
