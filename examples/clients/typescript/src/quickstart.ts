// Every call of queryengine from generated code: node dist/src/quickstart.js [host:port].

import { randomUUID } from "node:crypto";
import { equals } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import type { RecordBatch } from "apache-arrow";
import { QueryState, type QueryStatus } from "../gen/queryengine/v1/query_pb.js";
import {
  EngineCancelState,
  type FetchPageRequest,
  QueryService,
  type SubmitResponse,
} from "../gen/queryengine/v1/query_service_pb.js";
import { PageFormat } from "../gen/queryengine/v1/result_pb.js";
import { type Value, ValueSchema } from "../gen/queryengine/v1/value_pb.js";
import { parameters } from "./parameters.js";
import { errorInfo, Results } from "./results.js";

type QueryEngine = Client<typeof QueryService>;

const labels = { client: "typescript" };
const waitTimeout = { seconds: 30n };
const rowsInReply = { inlineFormat: PageFormat.ROWS };

function step(name: string, text: string): void {
  console.log(name.padEnd(12) + text);
}

async function submit(client: QueryEngine): Promise<string> {
  // The client chooses the id. When the reply is lost, send the same request again: nothing runs twice.
  const request = {
    queryId: randomUUID(),
    sql: "SELECT range AS n, 'row ' || range AS name FROM range(1000000)",
    labels,
  };
  const first = await client.submit(request);
  step("submit", `${first.status?.queryId} accepted`);
  const again = await client.submit(request);
  step("again", `existing = ${again.existing}`);
  return request.queryId;
}

/** States are pushed. A state may be missed, the last one never is. */
async function watch(client: QueryEngine, queryId: string): Promise<void> {
  const names: string[] = [];
  let last: QueryStatus | undefined;
  while (last === undefined || last.state < QueryState.COMPLETED) {
    // Like a stream of results, this one may rotate or break; the next one goes on after the version known. With a
    // timeout of 0 it has no deadline.
    for await (const { event } of client.watchStatus({ queryId, afterVersion: last?.version }, { timeoutMs: 0 })) {
      if (event.case === "status") {
        if (event.value.state !== last?.state) {
          names.push(QueryState[event.value.state]);
        }
        last = event.value;
      }
    }
  }
  step("watch", names.join(" > "));
}

function sum(batch: RecordBatch): bigint {
  let total = 0n;
  for (const number of batch.getChild("n")?.toArray() as BigInt64Array) {
    total += number;
  }
  return total;
}

async function arrow(client: QueryEngine, queryId: string): Promise<void> {
  const results = new Results(client, queryId);
  let total = 0n;
  for await (const batch of results) {
    total += sum(batch);
  }
  const { nextRow, pages, streams } = results;
  step("arrow", `${nextRow} rows in ${pages} pages over ${streams} streams, sum ${total}`);
}

async function resume(client: QueryEngine, queryId: string): Promise<void> {
  const first = new Results(client, queryId);
  let total = 0n;
  for await (const batch of first) {
    total += sum(batch);
    if (first.nextRow >= 300_000n) {
      break; // As if this process ended here. What it must have kept is nextRow and attempt.
    }
  }
  const second = new Results(client, queryId, first.nextRow, first.attempt);
  for await (const batch of second) {
    total += sum(batch);
  }
  step("resume", `left at row ${first.nextRow}, went on there to ${second.nextRow}, sum ${total}`);
}

/** Random access to stored rows, back and forth. */
async function pages(client: QueryEngine, queryId: string): Promise<void> {
  const seen: string[] = [];
  const fetch = async (position: FetchPageRequest["position"]) => {
    const reply = await client.fetchPage({ queryId, pageSize: 1000, position });
    const { startRow = 0n, rowCount = 0n } = reply.page ?? {};
    seen.push(`${startRow}-${startRow + rowCount - 1n}`);
    return reply;
  };
  const first = await fetch({ case: "page", value: 0n });
  const second = await fetch({ case: "pageToken", value: first.nextPageToken });
  await fetch({ case: "pageToken", value: second.prevPageToken });
  const last = await fetch({ case: "offset", value: (first.totalRows ?? 0n) - 10n });
  step("pages", `${seen.join(", ")} of ${last.totalRows}, more = ${last.nextPageToken !== ""}`);
}

/** Typed values, for programs without an Arrow library. */
async function rows(client: QueryEngine): Promise<void> {
  const sql = "SELECT 42 AS answer, 12.50 AS price, DATE '2026-01-31' AS day, ['a', 'b'] AS tags, NULL AS nothing";
  const { status } = await client.submit({ sql, labels });
  const columns: string[] = [];
  const found: string[] = [];
  for await (const { event } of client.streamResults({ queryId: status?.queryId, format: PageFormat.ROWS })) {
    if (event.case === "schema") {
      columns.push(...event.value.columns.map((column) => column.name));
    } else if (event.case === "page" && event.value.payload.case === "rows") {
      for (const row of event.value.payload.value.rows) {
        found.push(...row.values.map((value, index) => `${columns[index]} = ${text(value)}`));
      }
    }
  }
  step("rows", found.join(", "));
}

function text({ kind }: Value): string {
  switch (kind.case) {
    case "nullValue":
      return "NULL";
    case "dateDays":
      return new Date(kind.value * 86_400_000).toISOString().slice(0, 10);
    case "listValue":
      return `[${kind.value.values.map(text).join(", ")}]`;
    default:
      return String(kind.value);
  }
}

/** A short query in one call: its rows come in the reply to Submit, and stay readable. */
async function inBand(client: QueryEngine): Promise<void> {
  const reply = await client.submit({ sql: "SELECT 42 AS answer", waitTimeout, result: rowsInReply, labels });
  // Without `end` the reply is not the whole result: read on by StreamResults from nextRow.
  const whole = reply.end?.totalRows === reply.nextRow;
  step("in-band", `answer = ${text(firstRow(reply)[0])}, whole result = ${whole}`);
}

function firstRow({ pages, status }: SubmitResponse): Value[] {
  const payload = pages[0]?.payload;
  if (payload?.case !== "rows") {
    throw new Error(`${QueryState[status?.state ?? 0]} ${status?.error?.reason}: ${status?.error?.message}`);
  }
  return payload.value.rows[0].values;
}

async function bind(client: QueryEngine): Promise<void> {
  const reply = await client.submit({
    sql: `SELECT ${parameters.map(({ parameter }) => `$${parameter.name}`).join(", ")}`,
    parameters: parameters.map(({ parameter }) => parameter),
    waitTimeout,
    result: rowsInReply,
    labels,
  });
  const same = firstRow(reply).filter((value, index) => equals(ValueSchema, value, parameters[index].expected));
  step("parameters", `${same.length} of ${parameters.length} kinds came back as they were sent`);
}

async function cancel(client: QueryEngine): Promise<void> {
  const sql = "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range * b.range % 7 = 3";
  let { status } = await client.submit({ sql, labels });
  while (status?.state === QueryState.QUEUED) {
    // A long poll: answers as soon as there is something newer than the version known.
    const { queryId, version: afterVersion } = status;
    ({ status } = await client.getStatus({ queryId, afterVersion, waitTimeout }));
  }
  const reply = await client.cancel({ queryId: status?.queryId, reason: "no longer wanted", waitTimeout });
  step("cancel", `${QueryState[reply.status?.state ?? 0]}, engine ${EngineCancelState[reply.engineCancel]}`);
}

async function errors(client: QueryEngine): Promise<void> {
  try {
    await client.submit({ sql: "SELECT (1", labels });
  } catch (error) {
    const code = Code[ConnectError.from(error).code].replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
    const info = errorInfo(error);
    const { line, column } = info?.metadata ?? {};
    step("error", `${code} ${info?.reason} of ${info?.domain} at line ${line}, column ${column}`);
  }
  // A query that fails is not a call that fails.
  const { status } = await client.submit({ sql: "SELECT * FROM no_such_table", waitTimeout, labels });
  const { reason, retryable } = status?.error ?? {};
  step("failed", `${QueryState[status?.state ?? 0]} ${reason}, retryable = ${retryable}`);
}

const address = process.argv[2] ?? "127.0.0.1:8815";
const baseUrl = `http://${address}`;
const sessionManager = new Http2SessionManager(baseUrl);
// The deadline of one call. It does not bound the query: limits.executionTimeout does.
const transport = createGrpcTransport({ baseUrl, sessionManager, defaultTimeoutMs: 60_000 });
const client = createClient(QueryService, transport);
const queryId = await submit(client);
await watch(client, queryId);
await arrow(client, queryId);
await resume(client, queryId);
await pages(client, queryId);
await rows(client);
await inBand(client);
await bind(client);
await cancel(client);
await errors(client);
// An idle connection would keep the process for 15 minutes.
sessionManager.abort();
