import type { StandardSchema } from '../types.ts';

/**
 * What a schema makes of a value, or what it has against it: its issues, or what it threw. A schema that answers later
 * cannot be used for a stream, and its promise is the problem.
 */
export function validate(
  schema: StandardSchema<unknown>,
  data: unknown,
): { readonly value: unknown } | { readonly problem: unknown } {
  try {
    const result = schema['~standard'].validate(data);
    if ('value' in result && result.issues === undefined) return { value: result.value };
    return { problem: 'issues' in result ? result.issues : result };
  } catch (problem) {
    return { problem };
  }
}
