//! The next-page API: `GET /customers?limit=` gives the URL of the next page; each customer has invoices of its own.

use axum::http::StatusCode;

use super::answer::{Answer, Query};
use super::draw::Draw;
use super::options::Options;
use super::records::{date, digits, number, text, timestamp};

const LIMIT_DEFAULT: u64 = 50;
const LIMIT_MAX: u64 = 200;
const COMPANIES: [&str; 8] = [
    "Ærø Sejlmageri",
    "Baker & Sons",
    "Crème de la Crème",
    "Dunedin Wool",
    "Estudio Niño",
    "Fjord Line",
    "Gräf GmbH",
    "株式会社ひかり",
];

/// Answers pages of customers, and their invoices.
#[derive(Debug)]
pub(super) struct Customers {
    count: u64,
    seed: u64,
}

impl Customers {
    pub(super) fn new(options: &Options) -> Self {
        Self { count: options.customers, seed: options.seed ^ 0xc057 }
    }

    /// A page of customers. `origin` is what the client called the server, as in `http://127.0.0.1:8765`.
    pub(super) fn answer(&self, query: &Query, origin: &str) -> Answer {
        self.page(query, origin).unwrap_or_else(|refusal| refusal)
    }

    fn page(&self, query: &Query, origin: &str) -> Result<Answer, Answer> {
        let limit = query.number("limit", LIMIT_DEFAULT, 1, LIMIT_MAX)?;
        let after = query.number("after", 0, 0, self.count)?;
        let end = self.count.min(after + limit);
        let mut out = br#"{"data":["#.to_vec();
        for id in after + 1..=end {
            text(&mut out, if id == after + 1 { "" } else { "," });
            self.write(id, &mut out);
        }
        text(&mut out, r#"],"next":"#);
        if end < self.count {
            text(&mut out, &format!(r#""{origin}/customers?limit={limit}&after={end}""#));
        } else {
            text(&mut out, "null");
        }
        out.push(b'}');
        Ok(Answer::ok(vec![out.into()], end - after))
    }

    fn write(&self, id: u64, out: &mut Vec<u8>) {
        let mut draw = Draw::new(self.seed, id);
        text(out, r#"{"id":"#);
        number(out, id);
        text(out, r#","name":""#);
        text(out, draw.pick(&COMPANIES));
        text(out, r#"","email":"office"#);
        number(out, id);
        text(out, r#"@example.com","credit_limit":"#);
        match draw.below(4) {
            0 => text(out, "null"),
            _ => number(out, 100 * draw.below(500)),
        }
        text(out, r#","created_at":""#);
        timestamp(out, 1_500_000_000 + draw.below(200_000_000));
        text(out, "Z\"}");
    }

    /// The invoices of the customer with this id, as it stands in the path.
    pub(super) fn invoices(&self, id: &str) -> Answer {
        match id.parse() {
            Ok(id) if (1..=self.count).contains(&id) => self.invoices_of(id),
            _ => Answer::error(StatusCode::NOT_FOUND, "not_found", &format!("there is no customer {id:?}")),
        }
    }

    fn invoices_of(&self, customer: u64) -> Answer {
        // None to three, so that parents without children are there too.
        let count = customer % 4;
        let mut draw = Draw::new(self.seed ^ 0x1705, customer);
        let mut out = br#"{"data":["#.to_vec();
        for place in 0..count {
            text(&mut out, if place == 0 { r#"{"id":"# } else { r#",{"id":"# });
            number(&mut out, customer * 10 + place);
            text(&mut out, r#","customer_id":"#);
            number(&mut out, customer);
            text(&mut out, r#","number":"INV-"#);
            digits(&mut out, customer * 10 + place, 6);
            text(&mut out, r#"","amount":"#);
            number(&mut out, draw.below(9000));
            out.push(b'.');
            digits(&mut out, draw.below(100), 2);
            text(&mut out, r#","issued_on":""#);
            date(&mut out, 738_000 + draw.below(1500));
            text(&mut out, if draw.below(2) == 0 { r#"","paid":true}"# } else { r#"","paid":false}"# });
        }
        text(&mut out, r#"],"next":null}"#);
        Answer::ok(vec![out.into()], count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(answer: &Answer) -> serde_json::Value {
        serde_json::from_slice(&answer.whole()).unwrap()
    }

    #[test]
    fn next_is_a_whole_url_until_the_last_page() {
        let customers = Customers::new(&Options { customers: 120, ..Options::default() });
        let query = |after: &str| Query::new(vec![("after".into(), after.into())]);
        let first = json(&customers.answer(&query("0"), "http://localhost:1"));
        assert_eq!(first["next"], "http://localhost:1/customers?limit=50&after=50");
        let last = json(&customers.answer(&query("100"), "http://localhost:1"));
        assert_eq!((last["data"].as_array().unwrap().len(), last["next"].is_null()), (20, true));
    }

    #[test]
    fn invoices_belong_to_a_customer_that_is_there() {
        let customers = Customers::new(&Options::default());
        let invoices = json(&customers.invoices("7"));
        let owners: Vec<_> = invoices["data"].as_array().unwrap().iter().map(|i| i["customer_id"].clone()).collect();
        assert_eq!(owners, [7, 7, 7]);
        assert_eq!(json(&customers.invoices("8"))["data"], serde_json::json!([]));
        for id in ["0", "251", "x"] {
            assert_eq!(customers.invoices(id).status, 404);
        }
    }
}
