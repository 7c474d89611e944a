//! The connectors of `guest/connectors` that show a pattern or a public API, each from its source into DuckDB.

use anyhow::Result;
use serde_json::{Value, json};
use tests::host::{Host, Output};
use tests::source::{Options, Source};

/// A source, and a host that is configured for it.
struct Pair {
    connector: &'static str,
    source: Source,
    host: Host,
    fields: Value,
}

impl Pair {
    fn new(connector: &'static str, fields: Value) -> Result<Self> {
        Self::with(connector, fields, Options::default())
    }

    fn with(connector: &'static str, fields: Value, options: Options) -> Result<Self> {
        Ok(Self { connector, source: Source::start(options)?, host: Host::new()?, fields })
    }

    /// The same connection, but the source has gone on.
    fn at(self, options: Options) -> Result<Self> {
        Ok(Self { source: Source::start(options)?, ..self })
    }

    fn sync(&self, more: &[&str]) -> Result<Output> {
        self.configure()?;
        self.host.sync(self.connector, &self.source, more)
    }

    /// Tries the rules of `host verify`: none is broken.
    fn verify(&self) -> Result<()> {
        self.configure()?;
        super::verify::breaks_no_rule(&self.host, self.connector, &self.source.address(), "configuration.json")
    }

    fn configure(&self) -> Result<()> {
        let mut fields = self.fields.clone();
        fields["base_url"] = self.source.url().into();
        self.host.write("configuration.json", fields.to_string()).map(drop)
    }

    /// The answer to `select` from a table of the connection.
    fn query(&self, select: &str, table: &str) -> Result<String> {
        self.host.query(&format!("SELECT {select} FROM \"{}\".\"{table}\"", self.connector))
    }

    fn state(&self) -> Result<String> {
        let output = self.host.run(&["state", "show", "--connection", self.connector])?.succeeded()?;
        Ok(output.stdout)
    }
}

fn version(version: u64) -> Options {
    Options { version, ..Options::default() }
}

#[test]
fn oauth2_refresh_renews_tokens_in_the_middle_and_from_sync_to_sync() -> Result<()> {
    let fields = json!({"client_id": "app", "client_secret": "s3cret", "refresh_token": "consent"});
    let pair = Pair::new("oauth2-refresh", fields)?;
    pair.sync(&[])?.succeeded()?;
    assert_eq!(pair.query("count(*), count(DISTINCT id)", "projects")?, "60,60");
    // Six pages, three for each access token, and the token that was asked for at the start.
    assert!(pair.source.stats().paths["/oauth/token"] >= 2, "{:?}", pair.source.stats());

    // The refresh token of the configuration has long been used up.
    pair.sync(&[])?.succeeded()?;
    let refused =
        Pair::new("oauth2-refresh", json!({"client_id": "app", "client_secret": "wrong", "refresh_token": "consent"}))?;
    refused.sync(&[])?.failed(2, "authentication-failed")?;
    Ok(())
}

#[test]
fn parallel_leaves_broken_stations_for_later_and_stops_at_many() -> Result<()> {
    let fields = json!({"api_key": "123"});
    let broken = |broken_stations| Options { broken_stations, ..Options::default() };
    let pair = Pair::with("parallel", fields, broken(2))?;
    let output = pair.sync(&[])?.succeeded()?;
    assert!(output.stderr.contains("station st 1 is left for the next sync"), "{}", output.stderr);
    // Station n has 10 n readings, n from 2 to 11.
    assert_eq!(pair.query("count(*), count(DISTINCT station)", "readings")?, "650,10");

    let pair = pair.at(broken(0))?;
    pair.sync(&[])?.succeeded()?;
    assert_eq!(pair.query("count(*), count(DISTINCT station)", "readings")?, "660,11");
    // A page of stations, and one page for each: what was there was not read again.
    assert_eq!(pair.source.stats().requests, 13);

    let pair = pair.at(broken(12))?;
    let output = pair.sync(&[])?.failed(3, "source-error")?;
    assert!(output.stderr.contains("stations failed in a row"), "{}", output.stderr);
    Ok(())
}

#[test]
fn backoff_waits_where_a_200_says_throttled() -> Result<()> {
    let pair = Pair::new("backoff", json!({"page_size": "100"}))?;
    pair.sync(&[])?.succeeded()?;
    assert_eq!(pair.query("count(*), max(id)", "events")?, "500,500");
    // Six pages, the last one empty, and two that were refused.
    assert_eq!(pair.source.stats().requests, 8);
    Ok(())
}

#[test]
fn declared_types_are_kept_and_the_others_inferred() -> Result<()> {
    let pair = Pair::new("declared-types", json!({}))?;
    pair.sync(&[])?.succeeded()?;
    let types = "string_agg(column_name || ' ' || data_type, ', ' ORDER BY column_name)";
    let columns = format!(
        "SELECT {types} FROM information_schema.columns WHERE table_schema = 'declared-types' AND table_name = 'products' AND column_name NOT LIKE '\\_%' ESCAPE '\\'"
    );
    let expect = "available BOOLEAN, image BLOB, in_stock INTEGER, label VARCHAR, origin VARCHAR, price DECIMAL(12,2), \
        rating DOUBLE, released TIMESTAMP WITH TIME ZONE, size JSON, sku VARCHAR, sold_from TIME, weight_kg FLOAT";
    assert_eq!(pair.host.query(&columns)?, format!("\"{expect}\""));
    assert_eq!(pair.query("count(*), sum(price), sum(in_stock), max(origin)", "products")?, "120,4296.00,7140,99");
    Ok(())
}

#[test]
fn nested_tables_follow_changes_and_deletions() -> Result<()> {
    let pair = Pair::new("nested-tables", json!({}))?;
    pair.sync(&[])?.succeeded()?;
    let live = "string_agg(concat(ticket_id, '.', id), ' ' ORDER BY ticket_id, id) FILTER (NOT _deleted)";
    assert_eq!(pair.query(live, "comments")?, "1.1 1.2 2.1");

    let pair = pair.at(version(2))?;
    pair.sync(&[])?.succeeded()?;
    assert_eq!(pair.query(live, "comments")?, "1.2 1.3");
    let tickets = "string_agg(concat(id, ' ', subject), '; ' ORDER BY id) FILTER (NOT _deleted)";
    assert_eq!(pair.query(tickets, "tickets")?, "\"1 one, again; 3 three\"");
    Ok(())
}

#[test]
fn xml_feed_replaces_its_table_when_the_feed_has_changed() -> Result<()> {
    let pair = Pair::with("xml-feed", json!({"user": "shop", "password": "s3cret"}), version(1))?;
    pair.sync(&[])?.succeeded()?;
    let live = "count(*) FILTER (NOT _deleted), count(*) FILTER (_deleted), sum(price), min(name)";
    assert_eq!(pair.query(live, "offers")?, "10,0,64.00,Über №1");
    let tags = "any_value(tag) FILTER (\"@id\" = '2')";
    assert_eq!(pair.query(tags, "offers")?, r#""[""new"",""sale & more""]""#);

    let again = pair.sync(&[])?.succeeded()?;
    assert!(again.stderr.contains("the feed has not changed"), "{}", again.stderr);

    let pair = pair.at(version(2))?;
    pair.sync(&[])?.succeeded()?;
    assert_eq!(pair.query("count(*) FILTER (NOT _deleted), count(*) FILTER (_deleted)", "offers")?, "10,1");
    Ok(())
}

#[test]
fn github_issues_are_read_along_links_and_since_the_last_change() -> Result<()> {
    let fields = |name: &str| json!({"owner": "octo", "repository": name, "token": "ghp_good"});
    let pair = Pair::new("github-issues", fields("fine"))?;
    pair.sync(&[])?.succeeded()?;
    assert_eq!(pair.query("count(*), count(pull_request)", "issues")?, "250,50");
    assert_eq!(pair.query("count(*)", "comments")?, "120");
    assert_eq!(pair.source.stats().requests, 5);

    pair.sync(&[])?.succeeded()?;
    assert_eq!(pair.source.stats().requests, 7, "the next sync needs a page of each");

    let mut gone = Pair::new("github-issues", fields("gone"))?;
    let output = gone.sync(&[])?.failed(3, "source-error")?;
    assert!(output.stderr.contains("Not Found"), "{}", output.stderr);
    gone.fields = json!({"owner": "octo", "repository": "fine", "token": "ghp_bad"});
    let output = gone.sync(&[])?.failed(2, "authentication-failed")?;
    assert!(output.stderr.contains("Bad credentials"), "{}", output.stderr);
    Ok(())
}

#[test]
fn github_issues_waits_for_the_end_of_a_rate_limit() -> Result<()> {
    let pair = Pair::new("github-issues", json!({"owner": "octo", "repository": "busy", "token": "ghp_good"}))?;
    pair.sync(&[])?.succeeded()?;
    assert_eq!(pair.query("count(*)", "issues")?, "250");
    assert_eq!(pair.source.stats().requests, 6);
    Ok(())
}

#[test]
fn stripe_reads_lists_once_and_then_events() -> Result<()> {
    let pair = Pair::with("stripe", json!({"api_key": "rk_test_good"}), version(1))?;
    pair.sync(&[])?.succeeded()?;
    assert_eq!(pair.query("count(*)", "customers")?, "230");
    assert_eq!(pair.query("count(*)", "charges")?, "120");
    assert!(pair.state()?.contains("evt_0040"), "{}", pair.state()?);

    let mut pair = pair.at(version(2))?;
    pair.sync(&[])?.succeeded()?;
    let renamed = "any_value(name) FILTER (id = 'cus_0007'), string_agg(id) FILTER (_deleted)";
    assert_eq!(pair.query(renamed, "customers")?, "\"Customer 7, renamed\",cus_0008");
    assert_eq!(pair.query("count(*), max(id)", "charges")?, "121,ch_0121");
    assert_eq!(pair.source.stats().requests, 2, "120 events in two pages, and no list");
    assert!(pair.state()?.contains("evt_0160"), "{}", pair.state()?);

    pair.fields = json!({"api_key": "rk_test_bad"});
    let output = pair.sync(&["--full-refresh"])?.failed(2, "authentication-failed")?;
    assert!(output.stderr.contains("Invalid API Key provided"), "{}", output.stderr);
    Ok(())
}

#[test]
fn hubspot_contacts_are_searched_past_ten_thousand_results() -> Result<()> {
    let mut pair = Pair::new("hubspot-contacts", json!({"token": "pat-good", "properties": "email, company"}))?;
    pair.sync(&[])?.succeeded()?;
    assert_eq!(pair.query("count(*), count(DISTINCT email)", "contacts")?, "10450,10450");
    let requests = pair.source.stats().requests;
    assert!((53..=56).contains(&requests), "{requests}");

    pair.sync(&[])?.succeeded()?;
    assert_eq!(pair.source.stats().requests, requests + 1);
    pair.fields = json!({"token": "pat-bad"});
    pair.sync(&[])?.failed(2, "authentication-failed")?;
    Ok(())
}

#[test]
fn github_discussions_are_read_by_graphql_down_to_what_is_known() -> Result<()> {
    let mut pair =
        Pair::new("github-discussions", json!({"owner": "octo", "repository": "fine", "token": "ghp_good"}))?;
    pair.sync(&[])?.succeeded()?;
    assert_eq!(pair.query("count(*), max(number)", "discussions")?, "230,230");
    assert_eq!(pair.source.stats().requests, 3);

    pair.sync(&[])?.succeeded()?;
    assert!(pair.source.stats().requests <= 5, "{:?}", pair.source.stats());
    pair.fields["repository"] = "gone".into();
    let output = pair.sync(&[])?.failed(3, "source-error")?;
    assert!(output.stderr.contains("NOT_FOUND: Could not resolve to a Repository"), "{}", output.stderr);
    Ok(())
}

/// Each of them against the rules of `host verify`. The search for contacts is tried within one search of ten thousand: rules try
/// page by page, and fifty take too long.
macro_rules! verified {
    ($($name:ident = $connector:literal, $fields:tt;)*) => {
        mod verified {
            use super::*;
            $(#[test] fn $name() -> Result<()> { Pair::with($connector, json!($fields), small())?.verify() })*
        }
    };
}

fn small() -> Options {
    Options { records: 60, orders: 60, customers: 35, contacts: 450, ..Options::default() }
}

verified! {
    backoff = "backoff", {"page_size": "100"};
    declared_types = "declared-types", {};
    github_discussions = "github-discussions", {"owner": "octo", "repository": "fine", "token": "ghp_good"};
    github_issues = "github-issues", {"owner": "octo", "repository": "fine", "token": "ghp_good"};
    hubspot_contacts = "hubspot-contacts", {"token": "pat-good", "properties": "email, company"};
    nested_tables = "nested-tables", {};
    oauth2_refresh = "oauth2-refresh", {"client_id": "app", "client_secret": "s3cret", "refresh_token": "consent"};
    parallel = "parallel", {"api_key": "123"};
    stripe = "stripe", {"api_key": "rk_test_good"};
    xml_feed = "xml-feed", {"user": "shop", "password": "s3cret"};
}
