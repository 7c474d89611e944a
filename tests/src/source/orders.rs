//! The offset API: `GET /offset/orders?limit=&offset=&updated_since=&updated_after=`, sorted by `updated_at` and `id`.

use bytes::Bytes;

use super::answer::{Answer, Query};
use super::draw::Draw;
use super::options::Options;
use super::records::{date, digits, number, text, timestamp};

const LIMIT_DEFAULT: u64 = 100;
const LIMIT_MAX: u64 = 500;
/// 2024-01-01T00:00:00Z; every three orders share an instant, one minute after the three before.
const FIRST_UPDATE: u64 = 1_704_067_200;
const STATUSES: [&str; 4] = ["open", "paid", "shipped", "cancelled"];

/// Answers pages of orders.
#[derive(Debug)]
pub(super) struct Orders {
    /// In the order they are served.
    sorted: Vec<Order>,
}

#[derive(Debug)]
struct Order {
    updated_at: u64,
    id: u64,
    json: Bytes,
}

impl Orders {
    pub(super) fn new(options: &Options) -> Self {
        let mut sorted: Vec<_> = (0..options.orders).map(|index| Order::new(index, options)).collect();
        sorted.sort_unstable_by_key(|order| (order.updated_at, order.id));
        Self { sorted }
    }

    pub(super) fn answer(&self, query: &Query) -> Answer {
        self.page(query).unwrap_or_else(|refusal| refusal)
    }

    fn page(&self, query: &Query) -> Result<Answer, Answer> {
        let limit = query.number("limit", LIMIT_DEFAULT, 1, LIMIT_MAX)?;
        let offset = query.number("offset", 0, 0, u64::MAX)?;
        let from = query.get("updated_since").map_or(Ok(0), |text| instant("updated_since", text))?;
        let after = query.get("updated_after").map_or(Ok(0), |text| instant("updated_after", text).map(|at| at + 1))?;
        let since = from.max(after);
        let matching = &self.sorted[self.sorted.partition_point(|order| order.updated_at < since)..];
        let offset = usize::try_from(offset).unwrap_or(usize::MAX).min(matching.len());
        let end = offset.saturating_add(usize::try_from(limit).unwrap_or(usize::MAX)).min(matching.len());
        let page: Vec<_> = matching[offset..end].iter().map(|order| order.json.as_ref()).collect();
        let mut out = br#"{"orders":["#.to_vec();
        out.extend_from_slice(&page.join(&b','));
        text(&mut out, r#"],"total":"#);
        number(&mut out, matching.len() as u64);
        out.push(b'}');
        Ok(Answer::ok(vec![out.into()], page.len() as u64))
    }
}

impl Order {
    fn new(index: u64, options: &Options) -> Self {
        let mut draw = Draw::new(options.seed ^ 0x0f75, index);
        // Ids run against time within blocks of eight, so that sorting by one is not sorting by the other.
        let id = index / 8 * 8 + (7 - index % 8) + 1;
        let changed = index < options.orders_changed;
        let created_at = FIRST_UPDATE + index / 3 * 60 - 3600;
        let updated_at = if changed { FIRST_UPDATE + (1_000_000 + index) * 60 } else { created_at + 3600 };
        let mut out = br#"{"id":"#.to_vec();
        number(&mut out, id);
        text(&mut out, r#","customer_id":"#);
        number(&mut out, 1 + draw.below(options.customers.max(1)));
        text(&mut out, r#","status":""#);
        text(&mut out, if changed { "refunded" } else { draw.pick(&STATUSES) });
        text(&mut out, r#"","total":"#);
        number(&mut out, draw.below(5000));
        out.push(b'.');
        digits(&mut out, draw.below(100), 2);
        text(&mut out, r#","currency":"#);
        text(&mut out, draw.pick(&["\"EUR\"", "\"USD\"", "\"JPY\""]));
        write_items(&mut draw, &mut out);
        text(&mut out, r#","ship_on":""#);
        date(&mut out, 719_468 + created_at / 86_400 + 1 + draw.below(10));
        text(&mut out, r#"","created_at":""#);
        timestamp(&mut out, created_at);
        text(&mut out, r#"Z","updated_at":""#);
        timestamp(&mut out, updated_at);
        text(&mut out, "Z\"}");
        Self { updated_at, id, json: out.into() }
    }
}

fn write_items(draw: &mut Draw, out: &mut Vec<u8>) {
    text(out, r#","items":["#);
    for place in 0..=draw.below(3) {
        text(out, if place == 0 { r#"{"sku":"SKU-"# } else { r#",{"sku":"SKU-"# });
        digits(out, draw.below(10_000), 4);
        text(out, r#"","quantity":"#);
        number(out, 1 + draw.below(9));
        out.push(b'}');
    }
    out.push(b']');
}

/// Reads an RFC 3339 timestamp as seconds since 1970, rounded up: an order of the second before is older.
fn instant(name: &str, text: &str) -> Result<u64, Answer> {
    let refusal = || Answer::bad_request(&format!("{name} must be an RFC 3339 timestamp, not {text:?}"));
    let instant: jiff::Timestamp = text.parse().map_err(|_| refusal())?;
    let seconds = instant.as_second() + i64::from(instant.subsec_nanosecond() > 0);
    Ok(u64::try_from(seconds).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(orders: &Orders, query: &[(&str, &str)]) -> serde_json::Value {
        let query = query.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        serde_json::from_slice(&orders.answer(&Query::new(query)).whole()).unwrap()
    }

    fn orders(orders: u64, orders_changed: u64) -> Orders {
        Orders::new(&Options { orders, orders_changed, ..Options::default() })
    }

    #[test]
    fn pages_are_sorted_and_complete() {
        let orders = orders(250, 0);
        let pages = ["0", "100", "200"].map(|offset| get(&orders, &[("offset", offset)]));
        let all: Vec<_> = pages.iter().flat_map(|page| page["orders"].as_array().unwrap()).collect();
        let keys: Vec<_> = all.iter().map(|o| (o["updated_at"].as_str(), o["id"].as_u64())).collect();
        assert!(keys.is_sorted() && pages.iter().all(|page| page["total"] == 250));
        let ids: std::collections::HashSet<_> = all.iter().map(|o| o["id"].as_u64()).collect();
        assert_eq!((all.len(), ids.len()), (250, 250));
        assert_eq!(get(&orders, &[("offset", "250")])["orders"], serde_json::json!([]));
    }

    #[test]
    fn updated_since_includes_its_own_instant() {
        let orders = orders(250, 0);
        let since = get(&orders, &[("offset", "100"), ("limit", "1")])["orders"][0]["updated_at"].clone();
        let page = get(&orders, &[("updated_since", since.as_str().unwrap())]);
        assert_eq!((page["orders"][0]["updated_at"].clone(), page["total"].clone()), (since, 151.into()));
        assert!(get(&orders, &[("updated_since", "yesterday")])["error"].is_object());
    }

    #[test]
    fn updated_after_leaves_its_own_instant_out() {
        let orders = orders(250, 0);
        let after = get(&orders, &[("offset", "100"), ("limit", "1")])["orders"][0]["updated_at"].clone();
        // Three orders share an instant.
        assert_eq!(get(&orders, &[("updated_after", after.as_str().unwrap())])["total"], 148);
    }

    #[test]
    fn changed_orders_come_last() {
        let page = get(&orders(250, 2), &[("offset", "248")]);
        let ids: Vec<_> =
            page["orders"].as_array().unwrap().iter().map(|order| order["id"].as_u64().unwrap()).collect();
        assert_eq!((ids, page["orders"][0]["status"].as_str()), (vec![8, 7], Some("refunded")));
    }
}
