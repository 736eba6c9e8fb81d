//! Every call of queryengine from generated code: quickstart [host:port].

mod parameters;
mod results;

pub mod api {
    tonic::include_proto!("queryengine.v1");
}

use std::collections::HashMap;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};
use uuid::Uuid;

use api::fetch_page_request::Position;
use api::query_service_client::QueryServiceClient;
use api::value::Kind;
use api::*;
use results::{Results, error_info};

type Client = QueryServiceClient<Channel>;
type Failure = Box<dyn std::error::Error>;

const WAIT: Option<prost_types::Duration> = Some(prost_types::Duration { seconds: 30, nanos: 0 });
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8815".to_owned());
    let channel = Endpoint::from_shared(format!("http://{address}"))?.connect().await?;
    let client = &mut QueryServiceClient::new(channel);
    let query_id = submit(client).await?;
    watch(client, &query_id).await?;
    arrow(client, &query_id).await?;
    resume(client, &query_id).await?;
    pages(client, &query_id).await?;
    rows(client).await?;
    in_band(client).await?;
    bind(client).await?;
    cancel(client).await?;
    errors(client).await
}

fn step(name: &str, text: &str) {
    println!("{name:<12}{text}");
}

/// With the deadline of one call. It does not bound the query: limits.execution_timeout does.
fn unary<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(Duration::from_secs(60));
    request
}

fn statement(sql: &str) -> SubmitRequest {
    let labels = HashMap::from([("client".to_owned(), "rust".to_owned())]);
    SubmitRequest { sql: sql.to_owned(), labels, ..Default::default() }
}

/// Requests end in `..Default::default()`: a field that a later version of the contract adds must not break the build.
fn rows_in_reply() -> Option<ResultOptions> {
    Some(ResultOptions { inline_format: PageFormat::Rows.into(), ..Default::default() })
}

fn state_name(status: &QueryStatus) -> &'static str {
    status.state().as_str_name().trim_start_matches("QUERY_STATE_")
}

async fn submit(client: &mut Client) -> Result<String, Failure> {
    // The client chooses the id. When the reply is lost, send the same request again: nothing runs twice.
    let request = SubmitRequest {
        query_id: Uuid::new_v4().to_string(),
        ..statement("SELECT range AS n, 'row ' || range AS name FROM range(1000000)")
    };
    let first = client.submit(unary(request.clone())).await?.into_inner();
    step("submit", &format!("{} accepted", first.status.unwrap_or_default().query_id));
    let again = client.submit(unary(request.clone())).await?.into_inner();
    step("again", &format!("existing = {}", again.existing));
    Ok(request.query_id)
}

/// States are pushed. A state may be missed, the last one never is.
async fn watch(client: &mut Client, query_id: &str) -> Result<(), Failure> {
    let mut names = Vec::new();
    let mut last = QueryStatus::default();
    while last.state < QueryState::Completed as i32 {
        // Like a stream of results, this one may rotate or break; the next one goes on after the version known.
        let request =
            WatchStatusRequest { query_id: query_id.to_owned(), after_version: last.version, ..Default::default() };
        let mut stream = client.watch_status(request).await?.into_inner();
        while let Some(message) = stream.message().await? {
            if let Some(watch_status_response::Event::Status(status)) = message.event {
                if status.state != last.state {
                    names.push(state_name(&status));
                }
                last = status;
            }
        }
    }
    step("watch", &names.join(" > "));
    Ok(())
}

fn sum(batch: &RecordBatch) -> i64 {
    batch.column(0).as_primitive::<Int64Type>().values().iter().sum()
}

async fn arrow(client: &Client, query_id: &str) -> Result<(), Failure> {
    let mut results = Results::new(client.clone(), query_id, 0, 0);
    let mut total = 0;
    while let Some(batch) = results.next().await? {
        total += sum(&batch);
    }
    let Results { next_row, pages, streams, .. } = results;
    step("arrow", &format!("{next_row} rows in {pages} pages over {streams} streams, sum {total}"));
    Ok(())
}

async fn resume(client: &Client, query_id: &str) -> Result<(), Failure> {
    let mut total = 0;
    let (row, attempt) = {
        let mut first = Results::new(client.clone(), query_id, 0, 0);
        while first.next_row < 300_000 {
            total += sum(&first.next().await?.ok_or("the result ended")?);
        }
        // As if this process ended here. What it must have kept is next_row and attempt.
        (first.next_row, first.attempt)
    };
    let mut second = Results::new(client.clone(), query_id, row, attempt);
    while let Some(batch) = second.next().await? {
        total += sum(&batch);
    }
    step("resume", &format!("left at row {row}, went on there to {}, sum {total}", second.next_row));
    Ok(())
}

/// Random access to stored rows, back and forth.
async fn pages(client: &mut Client, query_id: &str) -> Result<(), Failure> {
    let mut seen = Vec::new();
    let mut reply = FetchPageResponse::default();
    for step in 0..4 {
        let position = match step {
            0 => Position::Page(0),
            1 => Position::PageToken(reply.next_page_token),
            2 => Position::PageToken(reply.prev_page_token),
            _ => Position::Offset(reply.total_rows.unwrap_or_default() - 10),
        };
        let request = FetchPageRequest {
            query_id: query_id.to_owned(),
            page_size: 1000,
            position: Some(position),
            ..Default::default()
        };
        reply = client.fetch_page(unary(request)).await?.into_inner();
        let page = reply.page.take().unwrap_or_default();
        seen.push(format!("{}-{}", page.start_row, page.start_row + page.row_count - 1));
    }
    let (total, more) = (reply.total_rows.unwrap_or_default(), !reply.next_page_token.is_empty());
    step("pages", &format!("{} of {total}, more = {more}", seen.join(", ")));
    Ok(())
}

/// Typed values, for programs without an Arrow library.
async fn rows(client: &mut Client) -> Result<(), Failure> {
    let sql = "SELECT 42 AS answer, 12.50 AS price, DATE '2026-01-31' AS day, ['a', 'b'] AS tags, NULL AS nothing";
    let submitted = client.submit(unary(statement(sql))).await?.into_inner();
    let request = StreamResultsRequest {
        query_id: submitted.status.unwrap_or_default().query_id,
        format: PageFormat::Rows.into(),
        ..Default::default()
    };
    let mut stream = client.stream_results(unary(request)).await?.into_inner();
    let (mut columns, mut found) = (Vec::new(), Vec::new());
    while let Some(message) = stream.message().await? {
        match message.event {
            Some(stream_results_response::Event::Schema(schema)) => columns.extend(schema.columns),
            Some(stream_results_response::Event::Page(Page { payload: Some(page::Payload::Rows(set)), .. })) => {
                for row in set.rows {
                    let pairs = columns.iter().zip(&row.values);
                    found.extend(pairs.map(|(column, value)| format!("{} = {}", column.name, text(value))));
                }
            }
            _ => {}
        }
    }
    step("rows", &found.join(", "));
    Ok(())
}

fn text(value: &Value) -> String {
    match &value.kind {
        Some(Kind::NullValue(_)) => "NULL".to_owned(),
        Some(Kind::IntValue(number)) => number.to_string(),
        Some(Kind::DecimalValue(text) | Kind::StringValue(text)) => text.clone(),
        Some(Kind::DateDays(days)) => date(*days),
        Some(Kind::ListValue(list)) => format!("[{}]", list.values.iter().map(text).collect::<Vec<_>>().join(", ")),
        other => format!("{other:?}"),
    }
}

/// Year, month and day of a count of days since 1970-01-01; a calendar library does the same.
fn date(days: i32) -> String {
    let timestamp = prost_types::Timestamp { seconds: i64::from(days) * 86_400, nanos: 0 };
    timestamp.to_string()[..10].to_owned()
}

/// A short query in one call: its rows come in the reply to Submit, and stay readable.
async fn in_band(client: &mut Client) -> Result<(), Failure> {
    let request = SubmitRequest { wait_timeout: WAIT, result: rows_in_reply(), ..statement("SELECT 42 AS answer") };
    let reply = client.submit(unary(request)).await?.into_inner();
    // Without `end` the reply is not the whole result: read on by StreamResults from next_row.
    let whole = reply.end.as_ref().is_some_and(|end| end.total_rows == reply.next_row);
    step("in-band", &format!("answer = {}, whole result = {whole}", text(&first_row(reply)?[0])));
    Ok(())
}

fn first_row(reply: SubmitResponse) -> Result<Vec<Value>, Failure> {
    match reply.pages.into_iter().next().and_then(|page| page.payload) {
        Some(page::Payload::Rows(set)) => Ok(set.rows.into_iter().next().ok_or("no row")?.values),
        _ => {
            let status = reply.status.unwrap_or_default();
            let error = status.error.clone().unwrap_or_default();
            Err(format!("{} {}: {}", state_name(&status), error.reason, error.message).into())
        }
    }
}

async fn bind(client: &mut Client) -> Result<(), Failure> {
    let (sent, expected): (Vec<_>, Vec<_>) = parameters::of_every_kind().into_iter().unzip();
    let names: Vec<_> = sent.iter().map(|each| format!("${}", each.name)).collect();
    let request = SubmitRequest {
        parameters: sent,
        wait_timeout: WAIT,
        result: rows_in_reply(),
        ..statement(&format!("SELECT {}", names.join(", ")))
    };
    let values = first_row(client.submit(unary(request)).await?.into_inner())?;
    let same = values.iter().zip(&expected).filter(|(value, expected)| value == expected).count();
    step("parameters", &format!("{same} of {} kinds came back as they were sent", expected.len()));
    Ok(())
}

async fn cancel(client: &mut Client) -> Result<(), Failure> {
    let sql = "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range * b.range % 7 = 3";
    let mut status = client.submit(unary(statement(sql))).await?.into_inner().status.unwrap_or_default();
    while status.state() == QueryState::Queued {
        // A long poll: answers as soon as there is something newer than the version known.
        let request = GetStatusRequest {
            query_id: status.query_id,
            after_version: status.version,
            wait_timeout: WAIT,
            ..Default::default()
        };
        status = client.get_status(unary(request)).await?.into_inner().status.unwrap_or_default();
    }
    let request = CancelRequest {
        query_id: status.query_id,
        reason: "no longer wanted".to_owned(),
        wait_timeout: WAIT,
        ..Default::default()
    };
    let reply = client.cancel(unary(request)).await?.into_inner();
    let engine = reply.engine_cancel().as_str_name().trim_start_matches("ENGINE_CANCEL_STATE_");
    step("cancel", &format!("{}, engine {engine}", state_name(&reply.status.unwrap_or_default())));
    Ok(())
}

async fn errors(client: &mut Client) -> Result<(), Failure> {
    let status = client.submit(unary(statement("SELECT (1"))).await.err().ok_or("was accepted")?;
    let info = error_info(&status).ok_or("no ErrorInfo")?;
    assert_eq!(status.code(), Code::InvalidArgument);
    let (line, column) = (&info.metadata["line"], &info.metadata["column"]);
    let domain = &info.domain;
    step("error", &format!("INVALID_ARGUMENT {} of {domain} at line {line}, column {column}", info.reason));
    // A query that fails is not a call that fails.
    let request = SubmitRequest { wait_timeout: WAIT, ..statement("SELECT * FROM no_such_table") };
    let failed = client.submit(unary(request)).await?.into_inner().status.unwrap_or_default();
    let error = failed.error.clone().unwrap_or_default();
    step("failed", &format!("{} {}, retryable = {}", state_name(&failed), error.reason, error.retryable));
    Ok(())
}
