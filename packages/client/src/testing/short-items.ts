/** Short forms of items, for comparisons. */
export function short(items: readonly unknown[]): unknown[] {
  return (items as Record<string, unknown>[]).map((item) => {
    if (item.kind === 'publication') return item.offset ?? 'plain';
    if (item.kind === 'gap') return `gap ${item.from}-${item.to} ${item.reason}`;
    if (item.kind === 'resync') return `resync ${item.reason}`;
    return item.kind;
  });
}
