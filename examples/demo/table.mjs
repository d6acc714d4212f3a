const columns = [
  { title: 'replica', width: 9, cell: (r) => r.name },
  { title: 'fault', width: 17, cell: (r) => r.fault },
  { title: 'share', width: 7, cell: (r) => percent(r.share ?? 0, 1) },
  { title: 'rate/s', width: 7, cell: (r) => (r.perSecond ?? 0).toFixed(1) },
  { title: 'p50 ms', width: 7, cell: (r) => millis(r.p50) },
  { title: 'p99 ms', width: 7, cell: (r) => millis(r.p99) },
  { title: 'errors', width: 7, cell: (r) => String(r.errors ?? 0) },
  { title: 'breaker', width: 8, cell: (r) => r.breaker ?? '-' },
  { title: 'ejected', width: 7, cell: (r) => (r.ejected ? 'yes' : '-') },
];

export const millis = (value) => (Number.isFinite(value) ? value.toFixed(0) : '-');
export const percent = (ratio, digits = 2) => `${(ratio * 100).toFixed(digits)} %`;

function table(replicas) {
  const line = (textOf) =>
    columns
      .map((column) => textOf(column).padEnd(column.width))
      .join('  ')
      .trimEnd();
  return [line(({ title }) => title), ...replicas.map((replica) => line(({ cell }) => cell(replica)))];
}

/** Draws progress: a table that redraws itself in a terminal, plain lines elsewhere, nothing with --json. */
export function screen({ json, tty }) {
  let drawn = 0;
  const write = (text) => {
    if (!json) process.stdout.write(text);
  };
  return {
    everyMs: tty ? 500 : 2000,
    say: (text) => write(`${text}\n`),
    update(mode, replicas, { seconds, sent, ok, failed }) {
      const head = `${mode.padEnd(8)} ${seconds.toFixed(0).padStart(3)} s  sent ${sent}  ok ${ok}  failed ${failed}`;
      if (!tty) {
        const each = replicas.map(
          (r) => `${r.name} ${percent(r.share ?? 0, 0)} p99 ${millis(r.p99)}${r.ejected ? ' ejected' : ''}`,
        );
        write(`${head}  |  ${each.join(', ')}\n`);
        return;
      }
      const lines = [head, ...table(replicas)];
      write(`${drawn > 0 ? `\x1b[${drawn}A` : ''}${lines.map((line) => `\x1b[2K${line}`).join('\n')}\n`);
      drawn = lines.length;
    },
    endPhase() {
      drawn = 0;
      write('\n');
    },
    finish: (text) => void process.stdout.write(text),
  };
}
