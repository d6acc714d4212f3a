/** @typedef {{ readonly value: number, readonly text: string }} Tick */
/** @typedef {{ readonly at: (value: number) => number, readonly ticks: readonly Tick[] }} Scale */
/** @typedef {readonly [from: number, to: number]} Span */

/** Short, and enough to read it off. @param {number} value */
export function short(value) {
  const size = Math.abs(value);
  if (size >= 10_000) return `${Number((value / 1000).toPrecision(3))}k`;
  return String(Number(value.toPrecision(size >= 1000 ? 4 : 3)));
}

/** @param {number} value @param {Span} domain */
const within = (value, [min, max]) => Math.min(Math.max(value, min), max);

/** @param {Span} domain */
function evenTicks([min, max]) {
  if (!(max > min)) return [{ value: min, text: short(min) }];
  const rough = (max - min) / 6;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((times) => times * power >= rough) ?? 10);
  /** @type {Tick[]} */
  const ticks = [];
  for (let nth = Math.ceil(min / step); nth * step <= max + step / 1e6; nth++)
    ticks.push({ value: nth * step, text: short(nth * step) });
  return ticks;
}

/** What lies outside is drawn at the edge. @param {Span} domain @param {Span} range @param {readonly Tick[]} [ticks] @returns {Scale} */
export function linear(domain, range, ticks = evenTicks(domain)) {
  const [min, max] = domain;
  const [from, to] = range;
  const part = (/** @type {number} */ value) =>
    max > min ? (within(value, domain) - min) / (max - min) : 0.5;
  return { ticks, at: (value) => from + part(value) * (to - from) };
}

/** @param {Span} domain above 0 @param {Span} range @param {readonly Tick[]} [ticks] @returns {Scale} */
export function logarithmic([min, max], range, ticks) {
  const inner = linear([Math.log10(min), Math.log10(max)], range);
  /** @type {Tick[]} */
  const own = [];
  for (let power = Math.floor(Math.log10(min)); power <= Math.log10(max); power++)
    for (const times of [1, 2, 5]) {
      const value = times * 10 ** power;
      if (value >= min && value <= max) own.push({ value, text: short(value) });
    }
  return { ticks: ticks ?? own, at: (value) => inner.at(Math.log10(Math.max(value, min))) };
}
