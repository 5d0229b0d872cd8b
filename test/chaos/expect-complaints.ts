import type { Complaint, ComplaintKind } from './complaint.ts';

/**
 * For a control: throws unless somebody complains, and in these ways only. A control that fails for
 * another reason than the one it is there to show proves nothing.
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

/** For a control: resolves when `assertions` fail, and rejects when they hold all the same. */
export async function expectToFail(assertions: () => void | Promise<void>): Promise<void> {
  try {
    await assertions();
  } catch {
    return;
  }
  throw new Error('it holds without the protection too, so it shows nothing');
}
