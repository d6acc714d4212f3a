import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { adapterVerdicts } from '../../bench/adapters/goals.mjs';
import { costVerdicts } from '../../bench/cost/goals.mjs';
import { jsonText } from '../../bench/json-file.mjs';
import { linear, logarithmic, short } from '../../bench/report/charts/scale.mjs';
import { judgementsOf } from '../../bench/report/judgements.mjs';
import { html } from '../../bench/report/markup.mjs';
import { ratioOver } from '../../bench/report/overload-ratios.mjs';
import { page } from '../../bench/report/page.mjs';
import { runsOf } from '../../bench/report/run-all.mjs';
import { reasonFor, shortfalls } from '../../bench/report/shortfalls.mjs';
import { readSources } from '../../bench/report/sources.mjs';

type Sources = ReturnType<typeof readSources>;

const about = {
  commit: 'abc<1>',
  changed: true,
  command: 'npm run bench:sim -- --seed 1 && "x"',
  machine: '2 × <b>',
  node: '20.0.0',
  date: '2026-01-01',
  quick: false,
  seed: 1,
};
const figures = { p50: 8, p99: 40, p999: 90, errors: 0.01, copies: 0.5, duplicates: 0.02, messages: 2 };
const cell = { scenario: 'A', load: 0.9, transport: 'single', seed: 1, ...figures };
const leg = (contender: string, good: number, round = 0) => ({
  ...{ scene: 'http, sync', contender, factor: 2, round },
  figures: { good, serverCpuMs: 1000, p99Ms: 50, offered: 600 },
});
const unhurried = (good: number) => ({ good, serverCpuMs: 1000 });
const compared = { bare: 10, governed: 11, ratio: 1.1 };
const caseOf = (id: string) => ({
  ...{ id, name: `<${id}>`, instructions: 130, addedInstructions: 121 },
  ...{ bytes: 8, addedBytes: null },
});

/** As little of each part as there can be, with names that would break a page. */
const parts: Record<string, unknown> = {
  balancing: {
    model: { base: 'kratos v2', ideal: 'jsq-cpu', judged: 'standardBalancer', deadlineMs: 1000 },
    scenarios: [{ id: 'A', title: 'equal <script>alert(1)</script>', chosenOn: true }],
    cells: [
      { ...cell, rule: 'kratos v2', gap: 0 },
      { ...cell, rule: 'standardBalancer', p99: 1000, gap: -0.2 },
      { ...cell, rule: 'jsq-cpu', gap: 1 },
    ],
    verdicts: [{ goal: 'gap & more >= 85 %', on: 'chosen on', holds: false, figures: 'short at A@0.9' }],
  },
  limiting: {
    lengths: { calmMs: 1000, hardMs: 1000 },
    cells: ['step-2-sync', 'steady-0.6-sync', 'mixed'].map((scenario) => ({
      ...{ scenario, contender: 'bbr', goodput: 0.9, p99Ms: null, highRatio: null },
      ...{ riseMs: null, servedAfter: 1, refused: 0 },
    })),
    goals: [{ goal: 'good', contender: 'bbr', worst: '0.9', where: 'step', wanted: '>= 0.97', met: true }],
  },
  series: {
    steps: [
      { id: 'step-5-sync', binMs: 200, stepMs: [1000, 2000], lines: [{ name: 'bbr', values: [0.1, 0.2] }] },
    ],
    outages: [
      {
        ...{ id: 'outage', perSecond: 10, fromMs: 5000, binMs: 500, downMs: [10_000, 30_000] },
        lines: [{ name: 'evidence', sent: [1, 2], succeeded: [1, 1] }],
      },
    ],
  },
  breaking: {
    seeds: [1],
    chosen: [
      {
        ...{ name: 'evidence', overshoot: 1, halfWasted: 0, halfUsed: 1, steadyPasses: 1, falseOpens: 0 },
        outages: [{ perSecond: 10, wasted: 40, recoveryS: null }],
      },
    ],
    goals: [{ goal: 'recovery <= 3 s', found: null, met: false }],
    keptBack: [{ name: 'flapping', cells: [{ breaker: 'evidence', served: 1, perServed: null }] }],
    operations: [{ failing: 1, name: 'evidence', served: 1, spared: 0 }],
    sheds: [
      {
        ...{ factor: 2, clients: 1, telling: 'nothing' },
        found: [{ name: 'evidence', used: 1, wasted: null, open: 0 }],
      },
    ],
  },
  retrying: {
    chosen: { 'keelson "as it comes"': { 'all down': { amplified: 1.1, served: 0 } } },
    keptBack: { 'keelson "as it comes"': { 'a third down': { amplified: 1.2, served: 0.6 } } },
    goals: [{ goal: 'amplify <= 1.2', found: 1.1, met: true }],
  },
  overload: {
    legs: [leg('keelson', 300), leg('none', 20)],
    bare: [{ scene: 'http, sync', round: 0, before: unhurried(330), after: unhurried(329) }],
    rejectCost: [{ id: 'early', us: 20, leastUs: 12, refused: 9 }],
  },
  adapters: {
    figures: ['client', 'server'].map((governs) => ({
      ...{ id: 'fetch', name: 'fetch', governs },
      loads: [{ atOnce: 32, cpuUs: compared, p50Us: compared, p99Us: compared, perSecond: compared }],
    })),
    goals: [{ goal: 'at most 5 %', by: 'fetch', holds: false, figures: '10 %' }],
  },
  cost: { sections: [{ title: 'Gates', rows: [caseOf('gate.sre'), caseOf('chain')] }], goals: [] },
  overhead: { sections: [{ title: 'Gates', rows: [caseOf('bare')] }], goals: [] },
};

const sourcesOf = (of: Record<string, unknown>, quick = false): Sources =>
  new Map(
    Object.entries(of).map(([part, data]) => [part, { about: { ...about, quick }, file: 'a.json', data }]),
  );

/** The first thing that is not as XML wants it; attributes in quotes, every tag closed. */
function flawOf(text: string): string | undefined {
  const open: string[] = [];
  const body = text.replace(/^<!doctype html>\s*/, '').replace(/<style>[^<]*<\/style>/, '');
  for (const [piece, tag] of body.matchAll(/<([^>]*)>|&(?!(amp|lt|gt|quot|#39);)|>/g)) {
    if (tag === undefined) return piece;
    const [, end, name = '', attributes = '', empty] =
      /^(\/?)([a-z][a-z0-9]*)((?:\s+[a-zA-Z][\w-]*="[^"<]*")*)\s*(\/?)$/.exec(tag) ?? [];
    if (name === '' || (end === '/' && attributes !== '')) return piece;
    if (end === '/') {
      if (open.pop() !== name) return piece;
    } else if (empty === '') open.push(name);
  }
  return open.at(-1);
}

describe('the page of all measurements', () => {
  const whole = page(sourcesOf(parts), {});

  it('is well-formed, whichever parts there are', () => {
    expect(flawOf(whole)).toBeUndefined();
    for (const [part, data] of Object.entries(parts))
      expect([part, flawOf(page(sourcesOf({ [part]: data }), {}))]).toEqual([part, undefined]);
    expect(flawOf('<p>a &<b></p>')).toBe('&');
    expect(flawOf('<p><b></p>')).toBe('</p>');
    expect(flawOf('<p>')).toBe('p');
  });

  it('needs nothing from anywhere else', () => {
    expect(whole).not.toMatch(/<script|<link|<img|<iframe|<object|@import|url\(|https?:|\bsrc=|\son\w+="/);
    for (const [, target] of whole.matchAll(/href="([^"]*)"/g))
      expect(target).toMatch(/^(#[a-z]+|[\w-]+\.json)$/);
  });

  it('leads to sections that are there', () => {
    for (const [, id] of whole.matchAll(/href="#([^"]*)"/g)) expect(whole).toContain(`<section id="${id}">`);
  });

  it('escapes what it prints', () => {
    expect(whole).toContain('equal &lt;script&gt;alert(1)&lt;/script&gt;');
    expect(whole).toContain('npm run bench:sim -- --seed 1 &amp;&amp; &quot;x&quot;');
    expect(whole).toContain('&lt;gate.sre&gt;');
    expect(html`<a title="${'"\'<>&'}">${[1, null, undefined, false, html`<b/>`]}</a>`.text).toBe(
      '<a title="&quot;&#39;&lt;&gt;&amp;">1<b/></a>',
    );
  });

  it('draws no point where there is no number', () => {
    expect(whole.match(/.{0,60}(NaN|Infinity|undefined|\[object)/g)).toBeNull();
  });

  it('says of each figure by what it was made', () => {
    const pictures = whole.split('<div class="charts">').length + whole.split('<table>').length - 2;
    expect(whole.split('class="source"').length - 1).toBe(pictures);
  });

  it('gives the reason of what falls short, and says when there is none', () => {
    expect(whole.split('NO REASON GIVEN').length - 1).toBe(4);
    const id = 'breaking: recovery <= 3 s (evidence)';
    const told = page(sourcesOf(parts), { [id]: { why: 'The probe <is> slow.', tried: 'More of them.' } });
    expect(told).toContain('Why: The probe &lt;is&gt; slow. Tried: More of them.');
    expect(told.split('NO REASON GIVEN').length - 1).toBe(3);
  });

  it('has one reason for all that a goal was judged on, unless one of them has its own', () => {
    const [of, all, own] = ['breaking: recovery <= 3 s', 'For all.', 'For this.'].map(String);
    const reasons = { [of as string]: { why: all as string, tried: '' } };
    expect(page(sourcesOf(parts), reasons)).toContain(all);
    const both = { ...reasons, [`${of} (evidence)`]: { why: own as string, tried: '' } };
    expect(page(sourcesOf(parts), both)).toContain(own);
    expect(page(sourcesOf(parts), both)).not.toContain(all);
  });

  it('gives no reason of what holds, or is not judged', () => {
    const id = 'retrying: amplify <= 1.2 (keelson)';
    expect(judgementsOf(sourcesOf(parts)).find((one) => one.id === id)?.verdict).toBe('holds');
    const reasons = { [id]: { why: 'It does not.', tried: 'Nothing.' } };
    for (const quick of [false, true])
      expect(page(sourcesOf(parts, quick), reasons)).not.toContain('It does not.');
  });

  it('shows quantiles as far as there are any', () => {
    const { balancing } = parts as { balancing: { cells: object[] } };
    expect(whole).not.toContain('>p99.99<');
    const cells = balancing.cells.map((one) => ({ ...one, p9999: 300 }));
    const further = page(sourcesOf({ balancing: { ...balancing, cells } }), {});
    expect(further).toContain('>p99.99<');
    expect(further).toContain('>p99.9<');
  });

  it('does not take a quick run for a verdict', () => {
    const verdicts = new Set(judgementsOf(sourcesOf(parts, true)).map(({ verdict }) => verdict));
    expect([...verdicts]).toEqual(['not judged']);
    expect(page(sourcesOf(parts, true), {})).toContain('From quick runs');
  });
});

describe('ratios of real servers', () => {
  const of = { scene: 'http, sync', other: 'none', factor: 2 };
  const round = (nth: number, before: number, after: number) => ({
    ...{ scene: 'http, sync', round: nth },
    ...{ before: unhurried(before), after: unhurried(after) },
  });

  it.each([
    ['of a calm round', [round(0, 330, 329)], [leg('keelson', 300), leg('none', 20)], 15],
    [
      'of one that did nothing, as if it had answered one',
      [round(0, 1, 1)],
      [leg('keelson', 300), leg('none', 0)],
      300,
    ],
    [
      'of the calm rounds alone',
      [round(0, 330, 330), round(1, 330, 330), round(2, 330, 300)],
      [0, 1, 2].flatMap((nth) => [leg('keelson', nth === 2 ? 1 : 300, nth), leg('none', 100, nth)]),
      3,
    ],
  ])('%s', (_name, bare, legs, ratio) => {
    expect(ratioOver({ legs, bare } as never, of)).toBe(ratio);
  });

  it('are none when most rounds were disturbed', () => {
    const bare = [round(0, 330, 330), round(1, 330, 300)];
    expect(ratioOver({ legs: [leg('keelson', 300), leg('none', 100)], bare } as never, of)).toBeNaN();
  });
});

describe('scales', () => {
  it('draw what lies outside at the edge', () => {
    const scale = linear([0, 10], [100, 0]);
    expect([-5, 0, 5, 10, 50].map(scale.at)).toEqual([100, 100, 50, 0, 0]);
    expect(scale.ticks.map(({ text }) => text)).toEqual(['0', '2', '4', '6', '8', '10']);
    expect(logarithmic([1, 100], [0, 10]).ticks.map(({ value }) => value)).toEqual([
      1, 2, 5, 10, 20, 50, 100,
    ]);
    expect(logarithmic([1, 100], [0, 10]).at(0)).toBe(0);
  });
  it.each([
    [0.12345, '0.123'],
    [1234.5, '1235'],
    [12_345, '12.3k'],
    [0, '0'],
  ])('show %d as %s', (value, text) => expect(short(value)).toBe(text));
});

describe('JSON of measurements', () => {
  it('has a line for each cell, and is JSON', () => {
    const value = {
      a: 1 / 3,
      cells: [{ x: 1, y: [1, 2.000_000_01] }, { x: Number.POSITIVE_INFINITY }],
      none: undefined,
      e: {},
    };
    const text = jsonText(value);
    expect(JSON.parse(text)).toEqual({ a: 0.333333, cells: [{ x: 1, y: [1, 2] }, { x: null }], e: {} });
    expect(text.split('\n')).toHaveLength(8);
  });

  it('says where it comes from, and no two are about the same', () => {
    const folder = mkdtempSync(join(tmpdir(), 'report-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, 'one.json'), jsonText({ about, cost: {} }));
    expect([...readSources(folder).keys()]).toEqual(['cost']);
    writeFileSync(join(folder, 'two.json'), jsonText({ about, cost: {} }));
    expect(() => readSources(folder)).toThrow('cost is in one.json and in two.json');
    writeFileSync(join(folder, 'two.json'), '{"cost2":{}}');
    expect(() => readSources(folder)).toThrow('two.json does not say');
  });
});

describe('a part that was run by several seeds', () => {
  const { balancing } = parts as {
    balancing: { cells: { p99: number; gap: number }[]; verdicts: { holds: boolean; figures: string }[] };
  };
  const runs = [30, 50, 40].map((p99, nth) => ({
    about: { ...about, seed: nth + 1 },
    balancing: {
      ...balancing,
      cells: balancing.cells.map((one) => ({ ...one, p99, gap: p99 / 100 })),
      verdicts: balancing.verdicts.map((one) => ({ ...one, holds: nth > 0, figures: `worst ${p99}` })),
    },
  }));
  const folderOf = (files: Record<string, object>) => {
    const folder = mkdtempSync(join(tmpdir(), 'report-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    for (const [name, file] of Object.entries(files)) writeFileSync(join(folder, name), jsonText(file));
    return folder;
  };
  const [first, second, third] = runs as [(typeof runs)[0], (typeof runs)[0], (typeof runs)[0]];
  const names = { 'balancing-1.json': first, 'balancing-2.json': second, 'balancing-3.json': third };

  it('shows medians, and between which values they lie', () => {
    const sources = readSources(folderOf(names));
    const ranges = { p99: [30, 50], gap: [0.3, 0.5] };
    expect(sources.get('balancing')?.data.cells[0]).toMatchObject({ load: 0.9, p99: 40, ranges });
    const text = page(sources, {});
    expect(flawOf(text)).toBeUndefined();
    for (const shown of ['40 % (30 % to 50 %)', '40 (30 to 50)', 'median of seeds 1, 2, 3', 'class="range"'])
      expect(text).toContain(shown);
    for (const name of Object.keys(names)) expect(text).toContain(`href="${name}"`);
  });

  it('is judged by most of them', () => {
    const [one] = judgementsOf(readSources(folderOf(names)));
    expect(one).toMatchObject({ verdict: 'holds' });
    expect(one?.found).toContain('by 2 of 3 seeds; worst 30; by another seed: worst 50');
    const half = judgementsOf(readSources(folderOf({ 'a.json': first, 'b.json': second })));
    expect(half[0]).toMatchObject({ verdict: 'falls short' });
  });

  it('is of one commit, and each seed of it once', () => {
    expect(() => readSources(folderOf({ 'a.json': first, 'b.json': first }))).toThrow(
      'balancing is in a.json and in b.json',
    );
    const other = { ...second, about: { ...second.about, commit: 'def' } };
    expect(() => readSources(folderOf({ 'a.json': first, 'b.json': other }))).toThrow('not of one commit');
  });
});

describe('the runs of the report', () => {
  const names = (only?: string[]) => runsOf(only).map(({ name }) => name);
  it('are named, or meant by what they ask of the machine', () => {
    expect(names(['overload', 'cost', 'cost'])).toEqual(['cost', 'overload']);
    expect(names(['simulations'])).toEqual(['balancing', 'limiting', 'breaking', 'retrying', 'series']);
    expect(names(['simulations', 'cost', 'timings']).sort()).toEqual(names().sort());
    expect(() => names(['timing'])).toThrow('--only must be one of simulations, timings, balancing');
  });
});

describe('goals of what a call costs', () => {
  it('are judged by what a case adds, where it was measured', () => {
    const rows = [
      { id: 'chain', addedInstructions: 1600, addedBytes: 201 },
      { id: 'gate.evidence', addedInstructions: 121 },
      { id: 'standard.30', addedInstructions: Number.NaN },
    ];
    const found = costVerdicts(rows as never).map(({ by, holds, figures }) => [by, holds, figures]);
    expect(found).toEqual([
      ['instructions', true, '1600 of 1600'],
      ['bytes', false, '201 of 200'],
      ['instructions', false, '121 of 120'],
    ]);
  });

  it('take the CPU time of the adapters that they are about, when all calls were answered', () => {
    const pair = (id: string, ratio: number, failed = 0) => ({
      ...{ id, name: id, governs: 'client', failed },
      loads: [{ atOnce: 32, cpuUs: { bare: 100, governed: 105, ratio } }],
    });
    const pairs = [pair('fetch', 1.05), pair('grpc-js', 1.06), pair('axios', 2), pair('node-http', 1, 3)];
    const found = adapterVerdicts(pairs as never).map(({ by, holds, figures }) => [by, holds, figures]);
    expect(found).toEqual([
      ['fetch, 32 at once', true, '5.0 %, 100 to 105 µs a call'],
      ['grpc-js, 32 at once', false, '6.0 %, 100 to 105 µs a call'],
    ]);
  });
});

describe('docs/benchmarks', () => {
  const folder = fileURLToPath(new URL('../../docs/benchmarks', import.meta.url));

  it.runIf(existsSync(folder))('is what its JSON gives, small, and no shortfall is without a reason', () => {
    const sources = readSources(folder);
    expect(readFileSync(join(folder, 'index.html'), 'utf8')).toBe(page(sources, shortfalls));
    const short = judgementsOf(sources).filter(({ verdict }) => verdict === 'falls short');
    const bare = short.filter((one) => reasonFor(shortfalls, one) === undefined);
    expect(bare.map(({ id }) => id)).toEqual([]);
    const sizes = readdirSync(folder).map((file) =>
      file.endsWith('.json') ? statSync(join(folder, file)).size : 0,
    );
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(1.5e6);
  });
});
