//! Which request fails, and how: decided from the seed and the request's number alone, so a run can be repeated.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Error, Result, bail, ensure};

use super::draw::Draw;

/// A way to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `429`: too many requests, come back in a second.
    TooManyRequests,
    /// `429-SECONDS`: the same with another wait (`429-0`, `429-31536000`).
    RetryAfter(u32),
    /// `429-past`: the same, as a date that is over.
    RetryAfterPast,
    /// `429-none`: too many requests, without saying for how long.
    RetryAfterNone,
    /// `401`, `403`, `404`, `500`, `503` or any other status from 400 on.
    Status(u16),
    /// `cut`: the connection closes half way through the announced body.
    Cut,
    /// `reset`: the connection closes before anything of the answer.
    Reset,
    /// `wrong-length`: the announced length is half of the body's, so the JSON ends in the middle.
    WrongLength,
    /// `html`: status 200 with an HTML page.
    Html,
    /// `invalid-json`: status 200 with text that is almost JSON.
    InvalidJson,
    /// `slow`: the body arrives one byte at a time.
    Slow,
    /// `pieces`: the body arrives in pieces, with pauses between them.
    Pieces,
    /// `hang`: no answer, for ever.
    Hang,
    /// `endless`: a body without an end.
    Endless,
    /// `gzip-bomb`: a small compressed body that becomes 16 GiB.
    GzipBomb,
    /// `bad-gzip`: an answer that says gzip and is not.
    BadGzip,
    /// `huge-headers`: thousands of header fields.
    HugeHeaders,
    /// `redirect`: a redirect to the same page by another URL.
    Redirect,
    /// `redirect-private`: a redirect to a cloud's metadata address.
    RedirectPrivate,
    /// `redirect-origin`: a redirect to another name of this server.
    RedirectOrigin,
    /// `redirect-loop`: a redirect in a circle.
    RedirectLoop,
    /// `same-cursor`: the page names its own cursor as the next one.
    SameCursor,
    /// `overlap`: the page begins with the last ten records of the page before it.
    Overlap,
    /// `missing-key`: a record in the middle of the page lacks its key.
    MissingKey,
    /// `null-key`: a record in the middle of the page has null for its key.
    NullKey,
    /// `changed-type`: in one record a number has become a text.
    ChangedType,
    /// `not-an-object`: one of the records is a number.
    NotAnObject,
}

/// Every kind without a number in its name.
const NAMED: [(&str, Kind); 25] = [
    ("429", Kind::TooManyRequests),
    ("429-past", Kind::RetryAfterPast),
    ("429-none", Kind::RetryAfterNone),
    ("cut", Kind::Cut),
    ("reset", Kind::Reset),
    ("wrong-length", Kind::WrongLength),
    ("html", Kind::Html),
    ("invalid-json", Kind::InvalidJson),
    ("slow", Kind::Slow),
    ("pieces", Kind::Pieces),
    ("hang", Kind::Hang),
    ("endless", Kind::Endless),
    ("gzip-bomb", Kind::GzipBomb),
    ("bad-gzip", Kind::BadGzip),
    ("huge-headers", Kind::HugeHeaders),
    ("redirect", Kind::Redirect),
    ("redirect-private", Kind::RedirectPrivate),
    ("redirect-origin", Kind::RedirectOrigin),
    ("redirect-loop", Kind::RedirectLoop),
    ("same-cursor", Kind::SameCursor),
    ("overlap", Kind::Overlap),
    ("missing-key", Kind::MissingKey),
    ("null-key", Kind::NullKey),
    ("changed-type", Kind::ChangedType),
    ("not-an-object", Kind::NotAnObject),
];

impl FromStr for Kind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Some((_, kind)) = NAMED.iter().find(|(name, _)| *name == text) {
            return Ok(*kind);
        }
        if let Some(seconds) = text.strip_prefix("429-").and_then(|seconds| seconds.parse().ok()) {
            return Ok(Self::RetryAfter(seconds));
        }
        if let Ok(status @ 400..=599) = text.parse() {
            return Ok(Self::Status(status));
        }
        let names = NAMED.map(|(name, _)| name).join(", ");
        bail!("unknown fault {text:?}: use a status from 400 to 599, 429-SECONDS or one of {names}")
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RetryAfter(seconds) => write!(f, "429-{seconds}"),
            Self::Status(status) => write!(f, "{status}"),
            named => NAMED.iter().find(|(_, kind)| kind == named).map_or(Ok(()), |(name, _)| f.write_str(name)),
        }
    }
}

/// A fault that happens with a probability: `KIND:PROBABILITY`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chance {
    /// The fault.
    pub kind: Kind,
    /// Between 0 and 1.
    pub probability: f64,
}

impl FromStr for Chance {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (kind, probability) = text.split_once(':').context("write KIND:PROBABILITY, as in 429:0.1")?;
        let probability: f64 = probability.parse().with_context(|| format!("{probability:?} is no number"))?;
        ensure!((0.0..=1.0).contains(&probability), "a probability lies between 0 and 1");
        Ok(Self { kind: kind.parse()?, probability })
    }
}

/// A fault at a request's number: `N:KIND`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheduled {
    /// The request's number, counted from 1.
    pub number: u64,
    /// The fault.
    pub kind: Kind,
}

impl FromStr for Scheduled {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (number, kind) = text.split_once(':').context("write N:KIND, as in 3:500")?;
        let number = number.parse().with_context(|| format!("{number:?} is no request number"))?;
        ensure!(number > 0, "requests are counted from 1");
        Ok(Self { number, kind: kind.parse()? })
    }
}

/// All that is to go wrong.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Makes the chances repeatable.
    pub seed: u64,
    /// Faults by probability; of several at most one happens.
    pub chances: Vec<Chance>,
    /// Faults of single requests; they come before the others.
    pub at: Vec<Scheduled>,
    /// Faults that never end.
    pub from: Vec<Scheduled>,
}

impl Plan {
    /// What happens to request number `number`, counted from 1.
    pub fn decide(&self, number: u64) -> Option<Kind> {
        let at = self.at.iter().find(|fault| fault.number == number);
        let from = || self.from.iter().rev().find(|fault| fault.number <= number);
        at.or_else(from).map(|fault| fault.kind).or_else(|| self.by_chance(number))
    }

    fn by_chance(&self, number: u64) -> Option<Kind> {
        let mut left = Draw::new(self.seed, number).unit();
        self.chances.iter().find_map(|chance| {
            left -= chance.probability;
            (left < 0.0).then_some(chance.kind)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for text in NAMED.map(|(name, _)| name).into_iter().chain(["429-7", "401", "503"]) {
            assert_eq!(text.parse::<Kind>().unwrap().to_string(), text);
        }
        for text in ["", "200", "600", "429-soon", "Cut"] {
            assert!(text.parse::<Kind>().is_err(), "{text}");
        }
    }

    #[test]
    fn bad_chances_and_schedules_are_refused() {
        for text in ["429", "429:", "429:1.1", "429:-0.1", "nonsense:0.1", "cut:NaN"] {
            assert!(text.parse::<Chance>().is_err(), "{text}");
        }
        for text in ["3", "0:500", "x:500", "3:nonsense"] {
            assert!(text.parse::<Scheduled>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_plan_without_faults_never_fails() {
        assert!((1..1000).all(|number| Plan::default().decide(number).is_none()));
    }

    #[test]
    fn schedules_come_before_chances() {
        let plan = Plan {
            seed: 1,
            chances: vec!["cut:1".parse().unwrap()],
            at: vec!["2:500".parse().unwrap(), "7:404".parse().unwrap()],
            from: vec!["5:401".parse().unwrap()],
        };
        let kinds: Vec<_> = (1..=8).filter_map(|number| plan.decide(number)).map(|kind| kind.to_string()).collect();
        assert_eq!(kinds, ["cut", "500", "cut", "cut", "401", "401", "404", "401"]);
    }

    #[test]
    fn chances_are_kept_to_and_repeatable() {
        let chances: Vec<Chance> = ["429:0.1", "500:0.05"].map(|text| text.parse().unwrap()).into();
        let plan = Plan { seed: 7, chances, ..Plan::default() };
        let count = |kind| (1..=10_000).filter(|number| plan.decide(*number) == Some(kind)).count();
        assert!((900..1100).contains(&count(Kind::TooManyRequests)));
        assert!((400..600).contains(&count(Kind::Status(500))));
        assert_eq!(plan.decide(42), plan.clone().decide(42));
    }
}
