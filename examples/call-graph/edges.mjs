// Counts edges and compares them. A key says which: who calls whom, and what.
export const keyOf = ({ caller, callee, operation }) => `${caller} > ${callee} ${operation}`;

/** What has come since an earlier look, by key. */
export function countedBy(edges, earlier) {
  const before = new Map(earlier.map((edge) => [keyOf(edge), edge]));
  const since = edges.map((edge) => {
    const { count, errors, tries } = before.get(keyOf(edge)) ?? { count: 0, errors: 0, tries: 0 };
    return [
      keyOf(edge),
      { count: edge.count - count, errors: edge.errors - errors, tries: edge.tries - tries },
    ];
  });
  return new Map(since.filter(([, { count }]) => count > 0));
}

/** Whether both have the same keys, and the same in these fields. */
export function compare(some, others, fields) {
  if (some.size !== others.size) return false;
  return [...some].every(([key, counts]) =>
    fields.every((field) => counts[field] === others.get(key)?.[field]),
  );
}

export function print({ caller, callee, operation, durationMs }, { count, errors }) {
  const [p50, p99] = [durationMs.p50, durationMs.p99].map((ms) => ms.toFixed(1).padStart(6));
  const name = `${caller} > ${callee}  ${operation}`.padEnd(30);
  console.log(`${name} ${count} calls, ${errors} errors, p50 ${p50} ms, p99 ${p99} ms`);
}
