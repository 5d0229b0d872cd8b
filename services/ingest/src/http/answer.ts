import type { ServerResponse } from 'node:http';
import { errorBody, type HttpErrorDetails, sendJson } from '@tradewind/runtime';
import { retryHeaders } from '../publishing/faults.ts';
import type { ItemFailure, ItemResult } from '../publishing/publish.ts';

/** Answers for one publication: `{"channel","epoch","offset","duplicate"}`, or the error. */
export function answerOne(response: ServerResponse, result: ItemResult): void {
  if (result.ok) {
    sendJson(response, 200, positionOf(result));
    return;
  }
  const { error } = result;
  sendJson(response, error.status, describeFailure(result), retryHeaders(error));
}

/**
 * Answers for many publications: `{"published","failed","results":[…]}`. A duplicate counts as published, because it was
 * published earlier. The status is 200 if all were published and 207 if some were. If none was, status and error are
 * those of {@link wholeFailure}.
 */
export function answerMany(response: ServerResponse, results: readonly ItemResult[]): void {
  const failures = results.filter((result) => !result.ok);
  const counts = { published: results.length - failures.length, failed: failures.length };
  const body = { ...counts, results: results.map(describeItem) };
  const error = counts.published === 0 ? wholeFailure(failures) : undefined;
  if (error === undefined) {
    const worthRepeating = failures.map((each) => each.error).find((each) => each.retryable);
    const headers = worthRepeating === undefined ? {} : retryHeaders(worthRepeating);
    sendJson(response, counts.failed === 0 ? 200 : 207, body, headers);
    return;
  }
  sendJson(response, error.status, { ...errorBody(error), ...body }, retryHeaders(error));
}

/**
 * Returns the error of a request without a single item that is known to be published. If Redis failed any item, the error says that
 * the request may be repeated unchanged, and that of an item in doubt says so first; otherwise it is that of the first item.
 */
function wholeFailure(failures: readonly ItemFailure[]): HttpErrorDetails | undefined {
  const retryable = failures.filter(({ error }) => error.retryable);
  const inDoubt = retryable.find(({ outcomeUnknown }) => outcomeUnknown);
  return (inDoubt ?? retryable[0] ?? failures[0])?.error;
}

function describeItem(result: ItemResult, index: number): object {
  return result.ok ? { index, ...positionOf(result) } : { index, ...describeFailure(result) };
}

function positionOf(result: Extract<ItemResult, { ok: true }>): object {
  const { channel, epoch, offset, duplicate } = result;
  return { channel, epoch, offset, duplicate };
}

function describeFailure({ error, outcomeUnknown }: ItemFailure): object {
  return outcomeUnknown ? { ...errorBody(error), outcome: 'unknown' } : errorBody(error);
}
