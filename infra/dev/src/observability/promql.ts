/** Words of PromQL that stand where a metric's name could. */
const KEYWORDS = new Set([
  ...['and', 'or', 'unless', 'bool', 'offset', 'start', 'end', 'inf', 'nan'],
  ...['by', 'without', 'on', 'ignoring', 'group_left', 'group_right'],
]);

const STRING = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/g;
const SELECTOR = /\{[^}]*\}/g;
const RANGE = /\[[^\]]*\]/g;
const LABEL_LIST = /\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g;
const NAME = /(?<![\w:.$])[A-Za-z_:][\w:]*(?!\s*\()(?![\w:])/g;

/** A comparison with a number at the end: what makes an alert of an expression. */
const THRESHOLD = /\s+(?:>|<|>=|<=|==|!=)\s+-?[\d.]+\s*$/;

/**
 * The names of the metrics that a PromQL expression reads, each once. Enough of PromQL for the rules
 * and panels of this repository: no comments, no `__name__` matchers.
 */
export function metricNamesIn(expression: string): readonly string[] {
  const bare = expression
    .replace(STRING, '')
    .replace(SELECTOR, ' ')
    .replace(RANGE, ' ')
    .replace(LABEL_LIST, ' ');
  const names = [...bare.matchAll(NAME)].map(([name]) => name);
  return [...new Set(names)].filter((name) => !KEYWORDS.has(name.toLowerCase()));
}

/** The labels by which an expression selects: `reason` of `x{reason="slow"}`. */
export function selectedLabelsIn(expression: string): readonly string[] {
  const selectors = expression.replace(STRING, '""').match(SELECTOR) ?? [];
  const labels = selectors.flatMap((selector) =>
    [...selector.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label]) => label!),
  );
  return [...new Set(labels)];
}

/**
 * An alert's expression without its threshold: what it looks at, which has a value whether or not it
 * fires. Throws when the expression does not end in a comparison with a number.
 */
export function withoutThreshold(expression: string): string {
  if (!THRESHOLD.test(expression)) throw new Error(`no threshold at the end of: ${expression}`);
  return expression.replace(THRESHOLD, '');
}
