//! OAuth2: access tokens for three requests, refresh tokens for one use.

use std::sync::{Mutex, PoisonError};

use axum::http::StatusCode;
use serde_json::json;

use super::super::answer::{Answer, Query};
use super::Asked;

const PAGE: u64 = 10;
const PROJECTS: u64 = 60;
const USES: u32 = 3;

/// Which tokens are good.
#[derive(Debug, Default)]
pub(super) struct OAuth(Mutex<Tokens>);

#[derive(Debug, Default)]
struct Tokens {
    /// How many were granted; the last ones are the good ones.
    granted: u64,
    uses: u32,
}

impl OAuth {
    pub(super) fn token(&self, asked: &Asked<'_>) -> Answer {
        let refuse =
            |code: &str, status| Answer::json(json!({"error": code, "error_description": "no"})).with_status(status);
        // `app:s3cret`, as RFC 7617 wants it.
        if asked.header("authorization") != "Basic YXBwOnMzY3JldA==" {
            return refuse("invalid_client", StatusCode::UNAUTHORIZED);
        }
        let form = form(asked.body);
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let good = match tokens.granted {
            0 => "consent".to_owned(),
            number => format!("refresh-{number}"),
        };
        match (form.get("grant_type"), form.get("refresh_token")) {
            (Some("refresh_token"), Some(token)) if token == good => {
                *tokens = Tokens { granted: tokens.granted + 1, uses: 0 };
                let number = tokens.granted;
                Answer::json(json!({
                    "access_token": format!("access-{number}"),
                    "token_type": "bearer",
                    "expires_in": 3600,
                    "refresh_token": format!("refresh-{number}"),
                }))
            }
            (Some("refresh_token"), _) => refuse("invalid_grant", StatusCode::BAD_REQUEST),
            _ => refuse("unsupported_grant_type", StatusCode::BAD_REQUEST),
        }
    }

    pub(super) fn projects(&self, asked: &Asked<'_>) -> Answer {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.uses += 1;
        if asked.bearer() != format!("access-{}", tokens.granted) || tokens.uses > USES {
            return Answer::error(StatusCode::UNAUTHORIZED, "unauthorized", "the access token is no good");
        }
        let from = asked.query.get("cursor").and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
        let end = PROJECTS.min(from + PAGE);
        let projects: Vec<_> = (from..end).map(|id| json!({"id": id, "name": format!("Project {id}")})).collect();
        let next = (end < PROJECTS).then(|| end.to_string());
        Answer::json(json!({"projects": projects, "next_cursor": next}))
    }
}

/// The fields of a form; its values have nothing to decode.
pub(super) fn form(body: &[u8]) -> Query {
    let text = String::from_utf8_lossy(body);
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    Query::new(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}
