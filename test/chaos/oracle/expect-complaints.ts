import type { Complaint, ComplaintKind } from './complaint.ts';

/**
 * For a control: throws unless a client complains, and only in these ways. A control that fails for another reason
 * proves nothing.
 */
export function expectComplaints(
  complaints: readonly Complaint[],
  kinds: readonly ComplaintKind[],
): void {
  const found = new Set(complaints.map(({ kind }) => kind));
  const others = [...found].filter((kind) => !kinds.includes(kind));
  if (found.size > 0 && others.length === 0) return;
  const said = found.size === 0 ? 'nobody complains' : `there is ${[...found].join(', ')}`;
  throw new Error(`without the protection ${kinds.join(' or ')} was expected, but ${said}`);
}

/** For a control: resolves if `assertions` fail, and rejects if they hold. */
export async function expectToFail(assertions: () => void | Promise<void>): Promise<void> {
  try {
    await assertions();
  } catch {
    return;
  }
  throw new Error('it holds without the protection too, so it shows nothing');
}
