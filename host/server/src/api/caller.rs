//! Whom a request speaks for, and how far that reaches. What a token does not reach is not there: 404, whoever's it is.

use std::collections::HashMap;

use axum::extract::{FromRequestParts, Path};
use axum::http::header;
use axum::http::request::Parts;

use super::Shared;
use super::problem::Problem;
use crate::store::tenants;
use crate::store::tokens::{self, Owner};
use crate::types::TenantSettings;
use model::error::{Code, Error};

/// Characters of a token that are looked at.
const TOKEN_LENGTH_MAX: usize = 200;

/// Whom a valid token speaks for.
pub(super) struct Caller {
    /// The tenant; none: an operator.
    pub(super) tenant: Option<String>,
}

impl FromRequestParts<Shared> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, server: &Shared) -> Result<Self, Problem> {
        let refused = || {
            Problem(
                Error::new(Code::TokenInvalid, "know who asks: the token is missing or not valid")
                    .hint("Send `Authorization: Bearer TOKEN`."),
            )
        };
        let header = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let (scheme, token) = header.and_then(|value| value.split_once(' ')).ok_or_else(refused)?;
        if !scheme.eq_ignore_ascii_case("bearer") || token.len() > TOKEN_LENGTH_MAX {
            return Err(refused());
        }
        let token = token.trim().to_owned();
        let owner = server.store.note(move |session| tokens::owner(session, &token)).await?;
        match owner {
            Some(Owner::Operator) => Ok(Self { tenant: None }),
            Some(Owner::Tenant(tenant)) => Ok(Self { tenant: Some(tenant) }),
            None => Err(refused()),
        }
    }
}

/// An operator.
pub(super) struct Operator;

impl FromRequestParts<Shared> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, server: &Shared) -> Result<Self, Problem> {
        match Caller::from_request_parts(parts, server).await?.tenant {
            None => Ok(Self),
            Some(_) => Err(Problem(not_there("this").hint("It may need an operator's token."))),
        }
    }
}

/// The tenant of the address, which the token reaches.
pub(super) struct Scope {
    pub(super) tenant: String,
    pub(super) settings: TenantSettings,
}

impl FromRequestParts<Shared> for Scope {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, server: &Shared) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, server).await?;
        let Path(names) = Path::<HashMap<String, String>>::from_request_parts(parts, server)
            .await
            .map_err(|_| Problem(Error::new(Code::RequestInvalid, "understand the names in the address")))?;
        let missing = || Problem(not_there("the tenant"));
        let tenant = names.get("tenant").cloned().ok_or_else(missing)?;
        if caller.tenant.is_some_and(|own| own != tenant) {
            return Err(missing());
        }
        let name = tenant.clone();
        let settings = server.store.note(move |session| tenants::settings(session, &name)).await?;
        settings.map(|settings| Self { tenant, settings }).ok_or_else(missing)
    }
}

/// There is none of that name, as far as the token reaches.
pub(super) fn not_there(what: &str) -> Error {
    Error::new(Code::NotFound, format!("find {what}: there is none of that name"))
}
