//! What one can choose when a connector is made.

use clap::ValueEnum;

/// How a new connector is to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Choice {
    /// How it asks for page after page; an export has no pages.
    pub pagination: Pagination,
    /// How it says who it is.
    pub authentication: Authentication,
    /// How a sync goes on where the last one ended.
    pub sync: SyncStyle,
}

/// How a source pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Pagination {
    /// An answer holds a cursor, to be sent back
    #[default]
    Cursor,
    /// It takes an offset
    Offset,
    /// It counts pages
    Page,
    /// An answer holds the next page's URL
    NextUrl,
    /// A header `Link` holds it
    LinkHeader,
}

/// How a source is told who asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Authentication {
    /// A key in a header
    #[default]
    Header,
    /// A key in the query
    Query,
    /// User and password
    Basic,
    /// A token
    Bearer,
    /// OAuth2 with the connector's own credentials
    Oauth2Client,
    /// OAuth2 with the refresh token that a person's consent left
    Oauth2Refresh,
    /// User and password open a session; its token goes with every request
    Session,
    /// Nothing is asked
    None,
}

/// How a sync goes on where the last one ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum SyncStyle {
    /// From the place of the last page: for lists that only grow at their end
    #[default]
    Position,
    /// What changed since the newest change seen, and a little before it
    Window,
    /// Everything each time; an interrupted sync is resumed
    Full,
    /// The same, and for each record a list of what belongs to it
    ParentChild,
    /// One export in CSV that replaces the table
    Csv,
    /// The same as lines of JSON
    Ndjson,
    /// The same in XML
    Xml,
}

impl SyncStyle {
    /// Whether it reads an export, which has no pages.
    pub(crate) fn is_export(self) -> bool {
        matches!(self, Self::Csv | Self::Ndjson | Self::Xml)
    }
}
