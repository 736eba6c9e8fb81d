//! Reads the rows of a query over streams that may end early. Copy this file: it holds what is easy to get wrong.

use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_ipc::reader::StreamReader;
use tonic::transport::Channel;
use tonic::{Status, Streaming};
use tonic_types::{ErrorInfo, StatusExt};

use crate::api::query_service_client::QueryServiceClient;
use crate::api::stream_results_response::Event;
use crate::api::{Page, ResultEnd, StreamResultsRequest, StreamResultsResponse, page};

const TRIES_WITHOUT_PROGRESS: u32 = 8;

/// These tell of the call and not of the query, as does every status without an ErrorInfo: it comes from the transport.
const PASSING: [&str; 6] = [
    "READER_STALLED",
    "SANDBOX_UNAVAILABLE",
    "SERVER_DRAINING",
    "STORE_UNAVAILABLE",
    "TENANT_BUSY",
    "TENANT_STREAM_LIMIT",
];

/// Reason and metadata of a failed call; None when the transport failed.
pub fn error_info(status: &Status) -> Option<ErrorInfo> {
    status.get_details_error_info()
}

#[derive(Debug)]
pub enum ReadError {
    /// The query failed, or its rows cannot be read: see `error_info`.
    Refused(Box<Status>),
    /// Nothing came after this row, however often a stream was opened.
    Lost(i64, Option<Box<Status>>),
    /// What arrived contradicts itself: trust none of the rows read so far.
    Corrupt(String),
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ReadError::Refused(status) => write!(formatter, "{status}"),
            ReadError::Lost(row, cause) => write!(formatter, "nothing came after row {row}: {cause:?}"),
            ReadError::Corrupt(message) => formatter.write_str(message),
        }
    }
}

impl std::error::Error for ReadError {}

/// Call `next` for record batches: every row once, in order, of one attempt, or an error.
///
/// `next_row` and `attempt` are the position. Keep both, and another process can go on there.
pub struct Results {
    pub query_id: String,
    pub next_row: i64,
    pub attempt: i32,
    pub pages: u32,
    pub streams: u32,
    client: QueryServiceClient<Channel>,
    stream: Option<Streaming<StreamResultsResponse>>,
    chunks: Vec<Vec<u8>>,
    failures: u32,
    is_done: bool,
}

impl Results {
    pub fn new(client: QueryServiceClient<Channel>, query_id: &str, next_row: i64, attempt: i32) -> Self {
        Self {
            query_id: query_id.to_owned(),
            next_row,
            attempt,
            pages: 0,
            streams: 0,
            client,
            stream: None,
            chunks: Vec::new(),
            failures: 0,
            is_done: false,
        }
    }

    /// The next rows; None at the end of the result.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, ReadError> {
        while !self.is_done {
            match self.message().await {
                Ok(Some(Event::Schema(schema))) => self.attempt = schema.attempt,
                Ok(Some(Event::Page(page))) => {
                    if let Some(batch) = self.receive(page)? {
                        self.failures = 0;
                        return Ok(Some(batch));
                    }
                }
                // `rotate` is the last message of a stream that the server ends on purpose, at an age of 2 minutes for
                // example. It is not the end of the result.
                Ok(Some(Event::Heartbeat(_) | Event::Rotate(_))) => self.failures = 0,
                Ok(Some(Event::End(end))) => self.check(&end)?,
                Ok(Some(Event::Start(_) | Event::Status(_))) => {}
                Ok(None) => self.pause(None).await?,
                Err(status) => match error_info(&status) {
                    Some(info) if !PASSING.contains(&info.reason.as_str()) => {
                        return Err(ReadError::Refused(Box::new(status)));
                    }
                    _ => self.pause(Some(Box::new(status))).await?,
                },
            }
        }
        Ok(None)
    }

    /// The next message of the open stream, or of a new one; None when the stream ended.
    async fn message(&mut self) -> Result<Option<Event>, Status> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => {
                let request = StreamResultsRequest {
                    query_id: self.query_id.clone(),
                    start_row: self.next_row,
                    attempt: self.attempt,
                    ..Default::default()
                };
                self.streams += 1;
                self.stream.insert(self.client.stream_results(request).await?.into_inner())
            }
        };
        Ok(stream.message().await?.and_then(|message| message.event))
    }

    /// The stream rotated or broke. The next one begins at the first row that has not arrived as a whole page.
    async fn pause(&mut self, cause: Option<Box<Status>>) -> Result<(), ReadError> {
        self.stream = None;
        self.chunks.clear();
        if self.failures == TRIES_WITHOUT_PROGRESS {
            return Err(ReadError::Lost(self.next_row, cause));
        }
        tokio::time::sleep(Duration::from_millis(fastrand::u64(..50 << self.failures))).await;
        self.failures += 1;
        Ok(())
    }

    /// The rows of a page; None while chunks of it are missing.
    fn receive(&mut self, page: Page) -> Result<Option<RecordBatch>, ReadError> {
        if page.start_row != self.next_row || page.chunk_index as usize != self.chunks.len() {
            let message = format!("row {} was expected, the page begins at row {}", self.next_row, page.start_row);
            return Err(ReadError::Corrupt(message));
        }
        if let Some(page::Payload::Arrow(chunk)) = page.payload {
            self.chunks.push(chunk);
        }
        if self.chunks.len() < page.chunk_count as usize {
            return Ok(None);
        }
        let payload = self.chunks.concat();
        self.chunks.clear();
        if crc32c::crc32c(&payload) != page.crc32c {
            return Err(ReadError::Corrupt(format!("the page at row {} is damaged", page.start_row)));
        }
        // A page is a complete Arrow stream of one batch.
        let batch = StreamReader::try_new(payload.as_slice(), None)
            .and_then(|mut reader| reader.next().transpose())
            .map_err(|error| ReadError::Corrupt(error.to_string()))?;
        self.next_row += page.row_count;
        self.pages += 1;
        Ok(batch)
    }

    fn check(&mut self, end: &ResultEnd) -> Result<(), ReadError> {
        if end.total_rows != self.next_row || end.attempt != self.attempt {
            let message = format!("{} rows arrived, the result has {}", self.next_row, end.total_rows);
            return Err(ReadError::Corrupt(message));
        }
        self.is_done = true;
        Ok(())
    }
}
