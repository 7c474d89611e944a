//! What every warehouse must do: one list of checks, run against each of them.
//!
//! A warehouse takes part by one line at the end of this file, with a type that implements [`Home`]; an engine of
//! `sql` needs only [`EngineHome`]. Every check is a test `conformance::<warehouse>::<check>`.

#![allow(clippy::pedantic, reason = "tests are written to be read, not to be called")]

pub(super) mod build;
pub(super) mod crash;
mod fence;
pub(super) mod files;
mod history;
pub(super) mod load;
pub(super) mod names;
mod refresh;
mod rows;
mod state;
mod types;

use self::build::request;
use super::sql::ddl::quoted;
use super::sql::{Engine, Scalar, SqlDestination};
use super::{Access, Destination, OpenRequest, Opened, SYNCS, Warehouse};
use model::error::Result;
use model::schema::{ColumnType, DELETED, TableSchema};

/// A warehouse of a test's own: empty at first, gone afterwards.
pub(super) trait Home {
    fn new() -> Self;

    /// Begins a sync.
    fn begin(&self, request: OpenRequest) -> Result<(Box<dyn Destination>, Opened)>;

    /// The same with another bound for what waits in memory.
    fn begin_staging_at_most(&self, request: OpenRequest, bytes_max: usize) -> Box<dyn Destination>;

    /// Opens the warehouse without a sync.
    fn warehouse(&self, access: Access) -> Result<Box<dyn Warehouse>>;

    /// The rows of a table, sorted: its columns as exact texts (docs/TYPES.md) and `_deleted`, separated by `|`, NULL as
    /// `-`. `_syncs` has no `_deleted`.
    fn dump(&self, connection: &str, table: &TableSchema) -> Vec<String>;

    /// Begins a sync as most do.
    fn open(&self, connection: &str) -> (Box<dyn Destination>, Opened) {
        self.begin(request(connection)).unwrap()
    }

    /// The warehouse without a sync, however many syncs have it open.
    fn look(&self) -> Box<dyn Warehouse> {
        self.warehouse(Access::Write).unwrap()
    }
}

/// A warehouse whose engine speaks SQL.
pub(super) trait EngineHome {
    type Engine: Engine + 'static;

    fn new() -> Self;

    /// Opens a session.
    fn engine(&self, access: Access) -> Result<Self::Engine>;

    /// Opens a session that sees every row, however many syncs are open.
    fn reader(&self) -> Self::Engine {
        self.engine(Access::Write).unwrap()
    }
}

impl<T: EngineHome> Home for T {
    fn new() -> Self {
        EngineHome::new()
    }

    fn begin(&self, request: OpenRequest) -> Result<(Box<dyn Destination>, Opened)> {
        super::begin(self.engine(Access::Write)?, request)
    }

    fn begin_staging_at_most(&self, request: OpenRequest, bytes_max: usize) -> Box<dyn Destination> {
        let (to, _) = SqlDestination::begin(self.engine(Access::Write).unwrap(), request).unwrap();
        Box::new(to.staging_at_most(bytes_max))
    }

    fn warehouse(&self, access: Access) -> Result<Box<dyn Warehouse>> {
        Ok(Box::new(self.engine(access)?))
    }

    fn dump(&self, connection: &str, table: &TableSchema) -> Vec<String> {
        let mut engine = self.reader();
        let text = |name: &str, kind| engine.expression(&quoted(name), kind, ColumnType::String).unwrap();
        let columns = table.columns.iter().map(|column| text(&column.name, column.column_type));
        let deleted = (table.name != SYNCS).then(|| text(DELETED, ColumnType::Boolean));
        let cells: Vec<String> = columns.chain(deleted).collect();
        let sql = format!("SELECT {} FROM {}", cells.join(", "), engine.table(connection, &table.name));
        let mut rows: Vec<Vec<String>> =
            engine.query(&sql, &[]).unwrap().iter().map(|row| row.iter().map(shown).collect()).collect();
        // Numbers by value, so that the rows of a test stand in the order of their keys.
        rows.sort_by_cached_key(|row| (row[0].parse::<i64>().ok(), row.clone()));
        rows.iter().map(|row| row.join("|")).collect()
    }
}

fn shown(cell: &Scalar) -> String {
    match cell {
        Scalar::Null => "-".to_owned(),
        Scalar::Text(text) => text.clone(),
        Scalar::Boolean(_) | Scalar::Integer(_) => panic!("{cell:?} where a text was asked for"),
    }
}

/// Makes a test of every check for a warehouse.
macro_rules! checks {
    ($home:ty: $($file:ident { $($check:ident,)* })*) => {
        $($(
            #[test]
            fn $check() {
                crate::conformance::$file::$check::<$home>();
            }
        )*)*
    };
}

macro_rules! conformance {
    ($($warehouse:ident: $home:ty;)*) => {
        $(
            mod $warehouse {
                checks! { $home:
                    rows {
                        upserts_replace_whole_rows_and_patches_overlay,
                        a_truncate_marks_what_came_before_it_and_an_upsert_revives,
                        rows_can_arrive_deleted,
                        columns_that_a_segment_does_not_have_become_null_in_rows_and_stay_in_patches,
                        a_key_is_all_of_its_columns,
                        keys_are_told_apart_by_every_byte,
                        hard_deletes_remove_rows,
                        hard_deletes_remove_what_was_marked_before,
                        synced_at_never_stands_still,
                        fifty_thousand_rows_at_once,
                        the_batch_of_a_segment_may_be_empty,
                        staging_in_temporary_tables_and_in_memory_is_the_same,
                        a_staged_segment_is_converted_when_its_column_has_widened,
                    }
                    fence {
                        a_sync_opens_where_the_last_commit_ended,
                        invariant_7_a_sync_that_was_overtaken_commits_nothing,
                        connections_do_not_fence_each_other_off,
                        invariant_8_what_was_not_committed_is_gone,
                        a_failed_commit_leaves_everything_as_it_was,
                    }
                    crash {
                        invariant_8_every_call_of_a_sync_may_be_its_last,
                    }
                    state {
                        the_history_tells_how_each_sync_went,
                        states_are_kept_newest_first,
                        a_state_that_was_set_is_where_the_next_sync_starts,
                        reset_forgets_one_connection,
                        a_sync_cannot_commit_after_a_reset,
                        tables_are_listed_with_their_rows,
                    }
                    refresh {
                        rows_that_did_not_come_back_are_swept_at_the_last_commit,
                        swept_rows_are_removed_by_hard_deletes,
                        a_refresh_goes_on_in_a_later_sync,
                        a_refresh_that_begins_anew_sweeps_what_the_one_before_it_brought,
                        a_refresh_that_died_before_its_first_commit_sweeps_nothing,
                        a_refresh_sweeps_selected_tables_only,
                        a_given_state_gives_the_refresh_up,
                        a_state_that_was_set_gives_the_refresh_up,
                    }
                    names {
                        any_name_will_do,
                        names_that_cannot_be_a_schema_are_refused,
                        a_thousand_columns,
                    }
                    types {
                        tables_columns_and_types_change_in_the_transaction_of_their_rows,
                        every_type_keeps_its_values_in_every_wider_type,
                        timestamps_come_back_as_they_were_written,
                        decimals_of_every_width_keep_their_digits,
                        any_float_keeps_its_bits,
                        any_instant_comes_back,
                        texts_of_any_length_and_script_are_kept,
                        a_nul_is_kept_or_refused_without_loss,
                    }
                }
            }
        )*
    };
}

/// The same for warehouses whose tables may keep their history.
macro_rules! history_conformance {
    ($($warehouse:ident: $home:ty;)*) => {
        $(
            mod $warehouse {
                checks! { $home:
                    crash {
                        invariant_8_every_call_may_be_the_last_where_tables_keep_their_history,
                    }
                    history {
                        every_change_ends_a_version_and_begins_one,
                        a_key_gets_one_version_at_most_in_a_transaction,
                        rows_that_arrive_deleted_leave_no_version,
                        nothing_has_changed_only_if_every_bit_is_the_same,
                        rows_that_were_there_become_first_versions,
                        versions_widen_with_their_table,
                        versions_that_did_not_come_back_end_with_the_refresh,
                        a_key_of_two_columns_and_many_others,
                        a_table_without_a_key_tells_when_its_rows_were_there,
                        a_reset_forgets_that_there_was_a_history,
                        older_programs_are_kept_out_once_there_is_a_history,
                        any_stream_leaves_the_states_at_its_commits,
                    }
                }
            }
        )*
    };
}

conformance! {
    duckdb: crate::duckdb::tests::Home;
    sqlite: crate::sqlite::tests::Home;
    postgres: crate::postgres::tests::Home;
    delta: crate::delta::tests::Home;
}

/// Where a lake is makes no difference to its rows: what remains to be checked is what a store may do to commits.
mod delta_in_s3 {
    checks! { crate::delta::tests::InS3:
        rows {
            upserts_replace_whole_rows_and_patches_overlay,
            a_truncate_marks_what_came_before_it_and_an_upsert_revives,
            hard_deletes_remove_rows,
            synced_at_never_stands_still,
            fifty_thousand_rows_at_once,
            staging_in_temporary_tables_and_in_memory_is_the_same,
        }
        fence {
            a_sync_opens_where_the_last_commit_ended,
            invariant_7_a_sync_that_was_overtaken_commits_nothing,
            connections_do_not_fence_each_other_off,
            invariant_8_what_was_not_committed_is_gone,
            a_failed_commit_leaves_everything_as_it_was,
        }
        state {
            the_history_tells_how_each_sync_went,
            states_are_kept_newest_first,
            a_state_that_was_set_is_where_the_next_sync_starts,
            reset_forgets_one_connection,
            a_sync_cannot_commit_after_a_reset,
            tables_are_listed_with_their_rows,
        }
        refresh {
            rows_that_did_not_come_back_are_swept_at_the_last_commit,
            swept_rows_are_removed_by_hard_deletes,
            a_refresh_goes_on_in_a_later_sync,
            a_refresh_that_begins_anew_sweeps_what_the_one_before_it_brought,
            a_refresh_that_died_before_its_first_commit_sweeps_nothing,
        }
        names {
            any_name_will_do,
            a_thousand_columns,
        }
        types {
            tables_columns_and_types_change_in_the_transaction_of_their_rows,
            any_float_keeps_its_bits,
            texts_of_any_length_and_script_are_kept,
        }
    }
}

mod keeping_history {
    history_conformance! {
        duckdb: crate::duckdb::tests::Home;
        sqlite: crate::sqlite::tests::Home;
        postgres: crate::postgres::tests::Home;
    }
}
