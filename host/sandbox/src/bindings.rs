//! The Rust side of `wit/connector.wit`, generated, and its conversion to and from the model.
//!
//! One adapter like this per supported version of the contract; the model is the one inside.

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "connector",
    imports: { default: async | trappable },
    exports: { default: async },
    with: {
        "elt:connector/http.pending-response": super::imports::PendingResponse,
        "elt:connector/http.response": super::imports::OpenResponse,
        "elt:connector/http.records": super::imports::KeptRecords,
    },
});

use elt::connector::{log, operations, types};

pub(super) use types::Error as GuestError;

impl From<types::Description> for model::Description {
    fn from(from: types::Description) -> Self {
        Self {
            name: from.name,
            version: from.version,
            fields: from.fields.into_iter().map(Into::into).collect(),
            hosts: from.hosts,
            rate_limits: from
                .rate_limits
                .into_iter()
                .map(|limit| model::RateLimit { requests: limit.requests, window_ms: limit.window_ms })
                .collect(),
        }
    }
}

impl From<types::Field> for model::Field {
    fn from(from: types::Field) -> Self {
        Self {
            name: from.name,
            help: from.help,
            required: from.required,
            secrecy: match from.secrecy {
                types::Secrecy::Plain => model::Secrecy::Plain,
                types::Secrecy::Secret => model::Secrecy::Secret,
                types::Secrecy::Exposed => model::Secrecy::Exposed,
            },
            default: from.default,
            hosts: from.hosts,
        }
    }
}

impl From<types::Table> for model::Table {
    fn from(from: types::Table) -> Self {
        let columns = from.columns.into_iter();
        let columns = columns.map(|column| model::Column { name: column.name, data_type: column.data_type.into() });
        Self { name: from.name, primary_key: from.primary_key, columns: columns.collect() }
    }
}

impl From<types::DataType> for model::DataType {
    fn from(from: types::DataType) -> Self {
        match from {
            types::DataType::Boolean => Self::Boolean,
            types::DataType::Short => Self::Short,
            types::DataType::Int => Self::Int,
            types::DataType::Long => Self::Long,
            types::DataType::Decimal((precision, scale)) => Self::Decimal(precision, scale),
            types::DataType::Float => Self::Float,
            types::DataType::Double => Self::Double,
            types::DataType::NaiveDate => Self::NaiveDate,
            types::DataType::NaiveTime => Self::NaiveTime,
            types::DataType::NaiveDatetime => Self::NaiveDatetime,
            types::DataType::UtcDatetime => Self::UtcDatetime,
            types::DataType::Binary => Self::Binary,
            types::DataType::Xml => Self::Xml,
            types::DataType::String => Self::String,
            types::DataType::Json => Self::Json,
        }
    }
}

impl From<&model::Selection> for types::Selection {
    fn from(from: &model::Selection) -> Self {
        match from {
            model::Selection::All => Self::All,
            model::Selection::Tables(tables) => Self::Tables(tables.clone()),
        }
    }
}

impl From<operations::Kind> for model::OperationKind {
    fn from(from: operations::Kind) -> Self {
        match from {
            operations::Kind::Upsert => Self::Upsert,
            operations::Kind::Update => Self::Update,
            operations::Kind::Delete => Self::Delete,
            operations::Kind::Truncate => Self::Truncate,
        }
    }
}

impl From<log::Level> for model::LogLevel {
    fn from(from: log::Level) -> Self {
        match from {
            log::Level::Fine => Self::Fine,
            log::Level::Info => Self::Info,
            log::Level::Warning => Self::Warning,
            log::Level::Severe => Self::Severe,
        }
    }
}
