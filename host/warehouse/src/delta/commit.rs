//! How several tables change together, although a Delta log knows one table a commit.
//!
//! A commit is announced in the connection's journal with the versions that the tables have; then each table gets its next
//! version; then an entry without the announcement completes it, with state and fence. Until that entry is there nothing
//! counts: whoever opens the connection next takes the journal over, so that the announced commit can no longer be
//! completed, and puts every announced table back to the version it had. Its own commit of the tables makes sure that a host
//! which still sleeps between two of them finds its version taken.

use super::errors::Failure;
use super::journal::{Entry, Pending, Stored};
use super::lake::{Touched, application};
use super::log::{self, Action, Add, Remove, Snapshot, Transaction, now_ms};
use super::scratch::Written;
use super::{DeltaLake, TableName, is_syncs, schema, table_folder};
use crate::SYNCS;
use crate::sql::ddl::quoted;
use crate::sql::{Engine, Portrait, Scalar};
use model::error::{Code, Error, Result};
use model::schema::{SYNCED_AT, TableSchema};

/// A table that a commit writes: its files are there already, its log does not know them yet.
struct Change {
    table: String,
    actions: Vec<Action>,
    stored: Stored,
}

impl DeltaLake {
    /// Makes everything in the scratch durable that differs from what the journals say.
    pub(super) fn commit_all(&mut self) -> Result<(), Failure> {
        for connection in self.journals.keys().cloned().collect::<Vec<_>>() {
            self.commit_connection(&connection)?;
        }
        self.follow();
        self.tidy();
        Ok(())
    }

    /// Has the engine follow what the lake has now, which stands whatever becomes of this. The rows go before the engine
    /// commits: it need not keep what it will never be asked for, and with thousands of columns it could not.
    fn follow(&mut self) {
        let followed = self.empty_tables().and_then(|()| Ok(self.scratch.engine.commit()?));
        if let Err(failure) = followed {
            self.is_behind = true;
            // The first error tells what happened.
            let _ = self.scratch.engine.rollback();
            tracing::warn!("the engine could not follow a commit, which stands: {failure}");
        }
    }

    fn commit_connection(&mut self, connection: &str) -> Result<(), Failure> {
        let portrait = Portrait::of(&mut self.scratch.engine, connection)?;
        let base = self.journal(connection)?.entry.clone();
        if self.dropped.iter().any(|(schema, _)| schema == connection) {
            return self.drop_dropped(connection, Entry::with(&base, &portrait));
        }
        let names = self.changed_tables(connection)?;
        if names.is_empty() && Entry::with(&base, &portrait).equals(&base) {
            return Ok(());
        }
        let base = self.take_over(connection, base)?;
        let mut changes = Vec::new();
        for name in names {
            let of = portrait.tables.iter().find(|table| table.name == name);
            changes.extend(self.change(connection, &name, of)?);
        }
        let mut next = Entry::with(&base, &portrait);
        if !changes.is_empty() {
            self.write_tables(connection, base, &mut next, changes)?;
        }
        self.append(connection, next)
    }

    /// Makes an entry of the journal.
    fn append(&mut self, connection: &str, mut entry: Entry) -> Result<(), Failure> {
        self.entries += 1;
        entry.writer = format!("{}-{}", self.session, self.entries);
        let journal = self.journals.get_mut(connection);
        let journal = journal.ok_or_else(|| Error::new(Code::HostBug, "find the journal of a connection"))?;
        journal.append(&*self.store, entry)
    }

    /// A reset: first nothing of it counts any more, then it is removed.
    fn drop_dropped(&mut self, connection: &str, mut next: Entry) -> Result<(), Failure> {
        for (_, table) in self.dropped.iter().filter(|(schema, _)| schema == connection) {
            next.dropping.extend(next.stored.remove(table).map(|stored| stored.folder));
        }
        next.dropping.extend(next.pending.drain(..).map(|pending| pending.folder));
        let folders = next.dropping.clone();
        self.append(connection, next)?;
        Ok(folders.iter().try_for_each(|folder| self.store.delete_folder(folder))?)
    }

    /// Ends what a host left unfinished. Returns the entry to go on from.
    fn take_over(&mut self, connection: &str, mut base: Entry) -> Result<Entry, Failure> {
        if base.pending.is_empty() && base.dropping.is_empty() {
            return Ok(base);
        }
        self.append(connection, base.clone())?;
        for pending in std::mem::take(&mut base.pending) {
            self.put_back(connection, &pending)?;
        }
        for folder in std::mem::take(&mut base.dropping) {
            self.store.delete_folder(&folder)?;
        }
        Ok(base)
    }

    /// Puts a table back to the version that counts, as its next version.
    fn put_back(&mut self, connection: &str, pending: &Pending) -> Result<(), Failure> {
        let (store, scratch) = (&*self.store, &mut self.scratch);
        let Some(latest) = Snapshot::read(store, scratch, &pending.folder, None)? else { return Ok(()) };
        let counted = match pending.before {
            Some(version) if version == latest.version => Some(latest.clone()),
            Some(version) => Snapshot::read(store, scratch, &pending.folder, Some(version))?,
            None => None,
        };
        let app = application(connection);
        let last = |snapshot: &Snapshot| snapshot.transactions.get(&app).cloned();
        let is_torn = counted.as_ref().is_none_or(|counted| last(counted) != last(&latest));
        let mut actions = if is_torn { restored(&latest, counted.as_ref()) } else { Vec::new() };
        actions.push(self.transaction(connection, 0)?);
        let committed = Snapshot::commit(&*self.store, &pending.folder, Some(&latest), ("RESTORE", actions))?;
        let committed = committed.ok_or(Failure::Overtaken)?;
        self.snapshots.insert((connection.to_owned(), pending.table.clone()), committed);
        Ok(())
    }

    /// The mark of a commit: the number of the entry that completes it, so many entries from now.
    fn transaction(&self, connection: &str, ahead: u64) -> Result<Action> {
        let version = i64::try_from(self.journal(connection)?.number + ahead).unwrap_or(i64::MAX);
        Ok(Action::Txn(Transaction { app_id: application(connection), version, last_updated: Some(now_ms()) }))
    }

    /// The tables that may differ from their files.
    fn changed_tables(&mut self, connection: &str) -> Result<Vec<String>, Failure> {
        let touched = self.touched.keys().filter(|(schema, _)| schema == connection);
        let mut names: Vec<String> = touched.map(|(_, table)| table.clone()).collect();
        if self.connection.as_deref() == Some(connection) && self.fingerprint()? != self.syncs {
            names.push(SYNCS.to_owned());
        }
        let mut changed = Vec::new();
        for name in names {
            let touched = self.touched.get(&(connection.to_owned(), name.clone()));
            let is_changed = is_syncs(&name)
                || touched.is_some_and(|touched| !touched.brought.is_empty())
                || self.has_rows(connection, &name)?
                || self.has_another_schema(connection, &name)?;
            if is_changed {
                changed.push(name);
            }
        }
        Ok(changed)
    }

    fn has_rows(&mut self, connection: &str, table: &str) -> Result<bool, Failure> {
        let sql = format!("SELECT 1 FROM {} LIMIT 1", self.table(connection, table));
        Ok(!self.scratch.engine.query(&sql, &[])?.is_empty())
    }

    fn has_another_schema(&mut self, connection: &str, table: &str) -> Result<bool, Failure> {
        let columns = self.scratch.columns(connection, table)?;
        let snapshot = self.snapshot(connection, table)?;
        Ok(snapshot.is_none_or(|snapshot| snapshot.metadata.schema_string != schema::text(&columns)))
    }

    /// Writes a table's rows into new files and says what its log has to say of them.
    fn change(&mut self, connection: &str, table: &str, of: Option<&TableSchema>) -> Result<Option<Change>, Failure> {
        let name: TableName = (connection.to_owned(), table.to_owned());
        let (folder, columns) = (table_folder(connection, table), self.scratch.columns(connection, table)?);
        let is_known = self.journal(connection)?.entry.stored.contains_key(table);
        let before = self.table_before(&name, &folder)?;
        let mut actions = schema::actions(before.as_ref(), table, &columns);
        actions.push(self.transaction(connection, 2)?);
        let touched = self.touched.remove(&name).unwrap_or_default();
        let gone = |add: &&Add| !is_known || is_syncs(table) || touched.brought.contains(&add.path);
        let files = before.iter().flat_map(|before| before.files.values());
        actions.extend(files.filter(gone).map(|add| Action::Remove(removed(add))));
        let keyed: Vec<String> = of
            .into_iter()
            .flat_map(|table| table.key.iter().filter_map(|index| Some(table.columns.get(*index)?.name.clone())))
            .chain([SYNCED_AT.to_owned()])
            .collect();
        let has_rows = self.has_rows(connection, table)?;
        let target = self.table(connection, table);
        let written = if has_rows { self.scratch.export(&target, &columns, &keyed)? } else { Vec::new() };
        for file in &written {
            self.store.upload(&format!("{folder}/{}", file.name), &file.file)?;
            actions.push(Action::Add(Box::new(added(file))));
        }
        let stored = self.stored(&name, folder, &touched, &written)?;
        // Kept until the scratch is emptied.
        self.touched.insert(name, touched);
        Ok(Some(Change { table: table.to_owned(), actions, stored }))
    }

    /// The newest version of a table, whether it counts or was left by a host that never completed it.
    fn table_before(&mut self, name: &TableName, folder: &str) -> Result<Option<Snapshot>, Failure> {
        if self.snapshot(&name.0, &name.1)?.is_none() && !self.snapshots.contains_key(name) {
            let left = Snapshot::read(&*self.store, &mut self.scratch, folder, None)?;
            if let Some(left) = left {
                self.snapshots.insert(name.clone(), left);
            }
        }
        Ok(self.snapshots.get(name).cloned())
    }

    /// What the journal will say of a table.
    fn stored(
        &mut self,
        (connection, table): &TableName,
        folder: String,
        touched: &Touched,
        written: &[Written],
    ) -> Result<Stored, Failure> {
        let old = match self.journal(connection)?.entry.stored.get(table) {
            // Its rows are all in the scratch.
            Some(_) if is_syncs(table) => Stored::default(),
            old => old.cloned().unwrap_or_default(),
        };
        let rows = old.rows.saturating_sub(touched.rows) + written.iter().map(|file| file.rows).sum::<u64>();
        let live = old.live.saturating_sub(touched.live) + written.iter().map(|file| file.live).sum::<u64>();
        let mut synced_at_us = old.synced_at_us;
        if !is_syncs(table) && !written.is_empty() {
            let sql = format!("SELECT epoch_us(max({})) FROM {}", quoted(SYNCED_AT), self.table(connection, table));
            let row = self.scratch.engine.query(&sql, &[])?.into_iter().next().unwrap_or_default();
            if let Some(Scalar::Integer(us)) = row.first() {
                synced_at_us = synced_at_us.max(Some(*us));
            }
        }
        Ok(Stored { folder, version: 0, rows, live, synced_at_us: synced_at_us.filter(|_| rows > 0) })
    }

    /// Announces the commit, then gives every table its next version.
    fn write_tables(
        &mut self,
        connection: &str,
        mut base: Entry,
        next: &mut Entry,
        changes: Vec<Change>,
    ) -> Result<(), Failure> {
        let before = |table: &str| self.snapshots.get(&(connection.to_owned(), table.to_owned()));
        let pending = |change: &Change| Pending {
            table: change.table.clone(),
            folder: change.stored.folder.clone(),
            before: before(&change.table).map(|snapshot| snapshot.version),
        };
        base.pending = changes.iter().map(pending).collect();
        self.append(connection, base)?;
        for Change { table, actions, stored } in changes {
            let name = (connection.to_owned(), table.clone());
            let before = self.snapshots.get(&name);
            let after = Snapshot::commit(&*self.store, &stored.folder, before, ("MERGE", actions))?;
            let after = after.ok_or_else(|| self.written_by_another(&stored.folder, connection))?;
            next.stored.insert(table, Stored { version: after.version, ..stored });
            self.snapshots.insert(name.clone(), after);
            self.written.push(name);
        }
        Ok(())
    }

    /// The version was taken: by another sync of the connection, or by a program that looks after the table.
    fn written_by_another(&self, folder: &str, connection: &str) -> Failure {
        match self.journal(connection).and_then(|journal| journal.is_outdated(&*self.store)) {
            Ok(true) => Failure::Overtaken,
            Err(error) => Failure::Lake(error),
            Ok(false) => Failure::Lake(
                Error::new(Code::DestinationFailed, format!("write the Delta table in {folder}: another program changed it"))
                    .hint("Run again: what was committed stands. Let other programs optimize or vacuum a table between syncs."),
            ),
        }
    }

    /// After a commit the scratch holds no rows, and its tables begin anew: deleted rows would keep their memory.
    fn empty_tables(&mut self) -> Result<(), Failure> {
        for (connection, table) in std::mem::take(&mut self.touched).into_keys() {
            let name = self.table(&connection, &table);
            if !is_syncs(&table) && self.has_rows(&connection, &table)? {
                let sql = format!("CREATE OR REPLACE TABLE {name} AS SELECT * FROM {name} LIMIT 0");
                self.scratch.engine.run(&sql)?;
            }
        }
        Ok(())
    }

    /// Sums up logs that have become long and removes old entries. The commit stands, whether this works or not: what is not
    /// done now is done after a later commit.
    fn tidy(&mut self) {
        for name in std::mem::take(&mut self.written) {
            let Some(snapshot) = self.snapshots.get(&name) else { continue };
            let folder = table_folder(&name.0, &name.1);
            let _ = log::write_checkpoint(&*self.store, &mut self.scratch, &folder, snapshot);
        }
        for journal in self.journals.values_mut() {
            let _ = journal.trim(&*self.store);
        }
        self.scratch.tidy();
    }
}

/// What leads from a table's newest version back to one before it, or to a table without rows.
fn restored(latest: &Snapshot, counted: Option<&Snapshot>) -> Vec<Action> {
    let is_in = |of: Option<&Snapshot>, path: &str| of.is_some_and(|of| of.files.contains_key(path));
    let gone = latest.files.values().filter(|add| !is_in(counted, &add.path));
    let back = counted.iter().flat_map(|counted| counted.files.values());
    let back = back.filter(|add| !is_in(Some(latest), &add.path));
    let mut actions: Vec<Action> = gone.map(|add| Action::Remove(removed(add))).collect();
    actions.extend(back.map(|add| Action::Add(Box::new(add.clone()))));
    if let Some(counted) = counted.filter(|counted| counted.metadata != latest.metadata) {
        actions.push(Action::MetaData(Box::new(counted.metadata.clone())));
    }
    actions
}

fn removed(add: &Add) -> Remove {
    Remove {
        path: add.path.clone(),
        deletion_timestamp: Some(now_ms()),
        data_change: true,
        extended_file_metadata: Some(true),
        partition_values: Some(std::collections::BTreeMap::new()),
        size: Some(add.size),
    }
}

fn added(file: &Written) -> Add {
    Add {
        path: file.name.clone(),
        partition_values: Some(std::collections::BTreeMap::new()),
        size: i64::try_from(file.bytes).unwrap_or(i64::MAX),
        modification_time: now_ms(),
        data_change: true,
        stats: Some(file.statistics.clone()),
        ..Add::default()
    }
}
