import { PublishError } from '@tradewind/publisher';

/** One sentence about what went wrong. */
export function describeFailure(error: unknown): string {
  if (!(error instanceof PublishError))
    return error instanceof Error ? error.message : String(error);
  const outcome =
    error.published === 'no'
      ? 'It was not published'
      : `It may have been published; repeat it with --key ${error.key}`;
  // Redis' own words begin with the code.
  const cause = error.message.includes(error.code)
    ? error.message
    : `${error.code}: ${error.message}`;
  return `${cause}. ${outcome}.`;
}
