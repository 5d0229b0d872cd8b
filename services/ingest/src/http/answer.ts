import type { ServerResponse } from 'node:http';
import { errorBody, type HttpErrorDetails, sendJson } from '@tradewind/runtime';
import { retryHeaders } from '../publishing/faults.ts';
import type { ItemResult } from '../publishing/publish.ts';

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
 * Answers for many: `{"published","failed","results":[…]}`, where a duplicate counts as
 * published: it was, earlier. The status is 200 when all were
 * published and 207 when some were. When none was, it is that of {@link wholeFailure}, whose error
 * stands beside the results.
 */
export function answerMany(response: ServerResponse, results: readonly ItemResult[]): void {
  const failures = results.filter((result) => !result.ok);
  const counts = { published: results.length - failures.length, failed: failures.length };
  const body = { ...counts, results: results.map(describeItem) };
  const error =
    counts.published === 0 ? wholeFailure(failures.map((each) => each.error)) : undefined;
  if (error === undefined) {
    const worthRepeating = failures.map((each) => each.error).find((each) => each.retryable);
    const headers = worthRepeating === undefined ? {} : retryHeaders(worthRepeating);
    sendJson(response, counts.failed === 0 ? 200 : 207, body, headers);
    return;
  }
  sendJson(response, error.status, { ...errorBody(error), ...body }, retryHeaders(error));
}

/**
 * The error of a request of which nothing was published. If Redis was the reason for any part, the
 * request is worth repeating as it is; otherwise the first mistake stands for the others.
 */
function wholeFailure(errors: readonly HttpErrorDetails[]): HttpErrorDetails | undefined {
  return errors.find((error) => error.retryable) ?? errors[0];
}

function describeItem(result: ItemResult, index: number): object {
  return result.ok ? { index, ...positionOf(result) } : { index, ...describeFailure(result) };
}

function positionOf(result: Extract<ItemResult, { ok: true }>): object {
  const { channel, epoch, offset, duplicate } = result;
  return { channel, epoch, offset, duplicate };
}

function describeFailure(result: Extract<ItemResult, { ok: false }>): object {
  const { error, outcomeUnknown } = result;
  return outcomeUnknown ? { ...errorBody(error), outcome: 'unknown' } : errorBody(error);
}
