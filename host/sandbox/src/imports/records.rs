//! `http`'s resource `records`: what a page consists of, kept in the host.

use bytes::Bytes;
use wasmtime::component::Resource;

use super::end;
use super::http::OpenResponse;
use crate::bindings::elt::connector::http;
use crate::cpu::CpuTime;
use crate::failure;
use crate::instance::Guest;
use crate::memory::Hold;
use crate::records::{self, Missing, RECORD_BYTES, Records};
use model::error::{Code, Error};

/// A body longer than this is split on a thread where it keeps nobody waiting; below it is a matter of a millisecond.
const AT_ONCE_BYTES_MAX: usize = 1 << 20;

/// Records, and their share of the guest's memory.
#[expect(unreachable_pub, reason = "the generated bindings re-export it, which needs `pub`")]
pub struct KeptRecords {
    records: Records,
    _holds: (Option<Hold>, Hold),
}

impl KeptRecords {
    /// See [`Records::batch`].
    pub(super) fn batch(&self, first: usize, rows_max: u64) -> Option<(Vec<u8>, usize)> {
        self.records.batch(first, rows_max)
    }
}

impl Guest {
    /// Makes records of the rest of a body, or leaves it to be read.
    pub(super) async fn find_records(
        &mut self,
        response: &Resource<OpenResponse>,
        pointer: &str,
    ) -> wasmtime::Result<Result<Resource<KeptRecords>, http::NoRecords>> {
        let Some(path) = records::path(pointer) else {
            return Ok(Err(http::NoRecords::Exchange(no_pointer(pointer))));
        };
        let body = match self.peeked(response).await? {
            Ok(body) => body,
            Err(error) => return Ok(Err(http::NoRecords::Exchange(error))),
        };
        let time = self.cpu.time().clone();
        let records = match find(body, path, self.memory.left_bytes() / RECORD_BYTES, time).await? {
            Ok(records) => records,
            Err(Missing::NotJson(why)) => return Ok(Err(http::NoRecords::NotJson(why))),
            Err(Missing::NotThere) => return Ok(Err(http::NoRecords::NotThere)),
            Err(Missing::TooMany) => return Err(end(failure::too_much_memory(self))),
        };
        let Some(places) = self.memory.hold(records.places_bytes()) else {
            return Err(end(failure::too_much_memory(self)));
        };
        let response = self.resources.get_mut(response)?;
        response.open.discard();
        let holds = (response.hold.take(), places);
        Ok(Ok(self.resources.push(KeptRecords { records, _holds: holds })?))
    }
}

impl http::HostRecords for Guest {
    async fn count(&mut self, records: Resource<KeptRecords>) -> wasmtime::Result<u32> {
        let count = self.resources.get(&records)?.records.len();
        let too_many = |error| end(Error::new(Code::LimitResponse, format!("count {count} records")).because(error));
        u32::try_from(count).map_err(too_many)
    }

    async fn body_bytes(&mut self, records: Resource<KeptRecords>) -> wasmtime::Result<u64> {
        Ok(self.resources.get(&records)?.records.body_bytes() as u64)
    }

    async fn rest(&mut self, records: Resource<KeptRecords>) -> wasmtime::Result<Vec<u8>> {
        let records = &self.resources.get(&records)?.records;
        Ok(self.cpu.time().charged(|| records.rest()))
    }

    async fn read(&mut self, records: Resource<KeptRecords>, first: u32, count: u32) -> wasmtime::Result<Vec<u8>> {
        let records = &self.resources.get(&records)?.records;
        Ok(self.cpu.time().charged(|| records.read(first as usize, count as usize)))
    }

    async fn drop(&mut self, records: Resource<KeptRecords>) -> wasmtime::Result<()> {
        self.resources.delete(records)?;
        Ok(())
    }
}

/// See [`Records::find`].
async fn find(
    body: Bytes,
    path: Vec<String>,
    elements_max: usize,
    time: CpuTime,
) -> wasmtime::Result<Result<Records, Missing>> {
    let at_once = body.len() <= AT_ONCE_BYTES_MAX;
    let find = move || time.charged(|| Records::find(body, &path, elements_max));
    if at_once {
        return Ok(find());
    }
    let found = tokio::task::spawn_blocking(find).await;
    found.map_err(|error| end(Error::new(Code::HostBug, "tell the records of a body apart").because(error)))
}

fn no_pointer(pointer: &str) -> http::Error {
    let shown = &pointer[..pointer.floor_char_boundary(100)];
    let message = format!("find records at `{shown}`: a JSON pointer is empty or begins with `/`");
    http::Error { kind: http::ErrorKind::InvalidRequest, message, retry_after_ms: None }
}
