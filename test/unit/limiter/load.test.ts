import { type LoadHost, type LoadSignalOptions, loadSignal, loadSignalDefaults } from 'keelson/limiter/load';
import { manualClock } from 'keelson/testing';
import { describe, expect, it } from 'vitest';

/** A machine made of numbers that the test sets. */
class Machine implements LoadHost {
  files: Record<string, string> = {};
  loop: { idle: number; active: number } | undefined = { idle: 0, active: 0 };
  cpuMs: number | undefined = 0;
  cores = 8;
  readonly read: string[] = [];
  readFile(path: string): string {
    this.read.push(path);
    const text = this.files[path];
    if (text === undefined) throw new Error(`ENOENT ${path}`);
    return text;
  }
  eventLoop() {
    return this.loop && { ...this.loop };
  }
  processCpuMs() {
    return this.cpuMs;
  }
  cpus() {
    return this.cores;
  }
}

function made(options: Omit<LoadSignalOptions, 'clock' | 'host'> = {}, machine = new Machine()) {
  const clock = manualClock(1000);
  const signal = loadSignal({ ...options, clock, host: machine });
  /** Lets time pass in which the loop was so busy. */
  const pass = (ms: number, utilization = 0): void => {
    for (let left = ms; left > 0; left -= 100) {
      const step = Math.min(left, 100);
      if (machine.loop) {
        machine.loop.active += step * utilization;
        machine.loop.idle += step * (1 - utilization);
      }
      clock.advanceSync(step);
    }
  };
  return { clock, signal, machine, pass };
}

const v2 = {
  '/proc/self/cgroup': '0::/system.slice/orders.service\n',
  '/proc/self/mountinfo':
    '24 30 0:22 / /proc rw,nosuid shared:5 - proc proc rw\n' +
    '35 24 0:30 / /sys/fs/cgroup rw,nosuid,nodev shared:9 - cgroup2 cgroup2 rw,nsdelegate\n',
  '/sys/fs/cgroup/system.slice/orders.service/cpu.stat':
    'usage_usec 5000000\nuser_usec 4000000\nsystem_usec 1000000\nnr_periods 100\nnr_throttled 10\nthrottled_usec 7\n',
  '/sys/fs/cgroup/system.slice/orders.service/cpu.max': '200000 100000\n',
  '/sys/fs/cgroup/system.slice/orders.service/cpuset.cpus.effective': '0-3,8\n',
  '/sys/fs/cgroup/system.slice/cpu.stat': 'usage_usec 9000000\n',
  '/sys/fs/cgroup/system.slice/cpu.max': 'max 100000\n',
  '/sys/fs/cgroup/cpu.stat': 'usage_usec 90000000\n',
};

const v1 = {
  '/proc/self/cgroup':
    '12:cpuset:/\n5:cpu,cpuacct:/kubepods/pod7/c1\n4:memory:/a:b\n1:name=systemd:/init.scope\n0::/\n',
  '/proc/self/mountinfo':
    '31 27 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n' +
    '32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:2 master:3 - cgroup cgroup rw,cpu,cpuacct\n' +
    '34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n' +
    '41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n',
  '/sys/fs/cgroup/cpu,cpuacct/kubepods/pod7/c1/cpu.shares': '1024\n',
  '/sys/fs/cgroup/cpu,cpuacct/kubepods/pod7/c1/cpuacct.usage': '3000000000\n',
  '/sys/fs/cgroup/cpu,cpuacct/kubepods/pod7/c1/cpu.cfs_quota_us': '-1\n',
  '/sys/fs/cgroup/cpu,cpuacct/kubepods/pod7/c1/cpu.cfs_period_us': '100000\n',
  '/sys/fs/cgroup/cpu,cpuacct/kubepods/pod7/c1/cpu.stat': 'nr_periods 0\nnr_throttled 0\nthrottled_time 0\n',
  '/sys/fs/cgroup/cpu,cpuacct/kubepods/pod7/cpuacct.usage': '8000000000\n',
  '/sys/fs/cgroup/cpu,cpuacct/kubepods/pod7/cpu.cfs_quota_us': '50000\n',
  '/sys/fs/cgroup/cpu,cpuacct/kubepods/pod7/cpu.cfs_period_us': '100000\n',
  '/sys/fs/cgroup/cpu,cpuacct/kubepods/pod7/cpu.stat': 'nr_periods 40\nnr_throttled 4\nthrottled_time 99\n',
  '/sys/fs/cgroup/cpuset/cpuset.cpus': '0-7\n',
  '/sys/fs/cgroup/unified/cpu.stat': 'usage_usec 1\n',
};

/** One interval of a second with `usedMs` of CPU, on a machine with these files, of which some change. */
function second(files: Record<string, string>, after: Record<string, string>, machine = new Machine()) {
  machine.files = files;
  const { signal, pass } = made({ cpuIntervalMs: 1000 }, machine);
  signal.start();
  machine.files = { ...files, ...after };
  pass(1000);
  return signal.snapshot();
}

describe('CPU against what may be used', () => {
  const own = '/sys/fs/cgroup/system.slice/orders.service';

  it('v2: its own group against its quota', () => {
    const after = { [`${own}/cpu.stat`]: 'usage_usec 6000000\nnr_periods 110\nnr_throttled 13\n' };
    expect(second(v2, after)).toMatchObject({
      cpuRatio: 0.5,
      throttledRatio: 0.3,
      cpus: 2,
      sources: ['event-loop', 'timer-delay', 'cgroup-v2'],
    });
  });

  it('v1: the ancestor whose quota is tightest, and what is used there', () => {
    const after = {
      '/sys/fs/cgroup/cpu,cpuacct/kubepods/pod7/cpuacct.usage': '8400000000\n',
      '/sys/fs/cgroup/cpu,cpuacct/kubepods/pod7/cpu.stat': 'nr_periods 50\nnr_throttled 14\n',
    };
    expect(second(v1, after)).toMatchObject({
      cpuRatio: 0.8,
      throttledRatio: 1,
      cpus: 0.5,
      sources: ['event-loop', 'timer-delay', 'cgroup-v1'],
    });
  });

  it('v2: an ancestor whose quota is tighter', () => {
    const files = { ...v2, '/sys/fs/cgroup/system.slice/cpu.max': '50000 100000' };
    const after = { '/sys/fs/cgroup/system.slice/cpu.stat': 'usage_usec 9250000\n' };
    expect(second(files, after)).toMatchObject({ cpuRatio: 0.5, cpus: 0.5 });
  });

  it.each<{ name: string; files: Record<string, string | undefined>; cores?: number; cpus: number }>([
    { name: 'no quota: the CPU set', files: { [`${own}/cpu.max`]: 'max 100000\n' }, cpus: 5 },
    { name: 'no file, as in a root group', files: { [`${own}/cpu.max`]: undefined }, cpus: 5 },
    {
      name: 'neither quota nor set: the machine',
      files: { [`${own}/cpu.max`]: 'max 100000', [`${own}/cpuset.cpus.effective`]: undefined },
      cpus: 8,
    },
    {
      name: 'an empty set says nothing',
      files: { [`${own}/cpu.max`]: 'max 100000', [`${own}/cpuset.cpus.effective`]: '\n' },
      cpus: 8,
    },
    {
      name: 'nonsense says nothing',
      files: { [`${own}/cpu.max`]: 'lots of it', [`${own}/cpuset.cpus.effective`]: '0-x,,' },
      cpus: 8,
    },
    { name: 'nor does a period of 0', files: { [`${own}/cpu.max`]: '100000 0' }, cpus: 5 },
    { name: 'nor a quota below 0', files: { [`${own}/cpu.max`]: '-5 100000' }, cpus: 5 },
    { name: 'more quota than machine', files: { [`${own}/cpu.max`]: '9900000 100000' }, cores: 4, cpus: 4 },
    { name: 'a machine that miscounts', files: { [`${own}/cpu.max`]: '50000 100000' }, cores: 0, cpus: 0.5 },
  ])('$name', ({ files, cores, cpus }) => {
    const machine = new Machine();
    machine.cores = cores ?? 8;
    const given = Object.entries({ ...v2, ...files }).filter(
      (entry): entry is [string, string] => !!entry[1],
    );
    expect(second(Object.fromEntries(given), {}, machine).cpus).toBe(cpus);
  });

  it('follows a quota that changes while it runs', () => {
    const after = {
      [`${own}/cpu.stat`]: 'usage_usec 6000000\n',
      [`${own}/cpu.max`]: '100000 100000',
    };
    expect(second(v2, after)).toMatchObject({ cpuRatio: 1, cpus: 1 });
  });

  it.each([
    {
      name: 'a container with a namespace of its own',
      cgroup: '0::/\n',
      mount: '35 24 0:30 / /sys/fs/cgroup ro - cgroup2 cgroup rw',
    },
    {
      name: 'a container whose mount begins at its group',
      cgroup: '0::/docker/abc\n',
      mount: '35 24 0:30 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw',
    },
    {
      name: 'a path that this mount does not have',
      cgroup: '0::/kubepods/pod1/c1\n',
      mount: '35 24 0:30 / /sys/fs/cgroup ro - cgroup2 cgroup rw',
    },
    {
      name: 'a group above the namespace',
      cgroup: '0::/../../other\n',
      mount: '35 24 0:30 / /sys/fs/cgroup ro - cgroup2 cgroup rw',
    },
    {
      name: 'a name that only begins like the mount',
      cgroup: '0::/docker/abcdef\n',
      mount: '35 24 0:30 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw',
    },
  ])('$name: the mount is the group', ({ cgroup, mount }) => {
    const files = {
      '/proc/self/cgroup': cgroup,
      '/proc/self/mountinfo': mount,
      '/sys/fs/cgroup/cpu.stat': 'usage_usec 1000000\n',
      '/sys/fs/cgroup/cpu.max': '100000 100000\n',
      // Where a path that was taken literally would lead.
      '/sys/fs/cgroup/../../other/cpu.stat': 'usage_usec 0\n',
      '/sys/fs/cgroup/../../other/cpu.max': '1000 100000\n',
      '/sys/fs/cgroupdef/cpu.stat': 'usage_usec 0\n',
      '/sys/fs/cgroup/def/cpu.stat': 'usage_usec 0\n',
    };
    const after = { '/sys/fs/cgroup/cpu.stat': 'usage_usec 1250000\n' };
    expect(second(files, after)).toMatchObject({ cpuRatio: 0.25, cpus: 1 });
  });

  it('v1 in a container that still sees the path of the host', () => {
    const point = '/sys/fs/cgroup/cpu,cpuacct';
    const files = {
      '/proc/self/cgroup': '5:cpu,cpuacct:/docker/abc\n',
      '/proc/self/mountinfo': `32 31 0:29 / ${point} rw - cgroup cgroup rw,cpu,cpuacct`,
      [`${point}/cpuacct.usage`]: '1000000000',
      [`${point}/cpu.shares`]: '1024',
      [`${point}/cpu.cfs_quota_us`]: '150000',
      [`${point}/cpu.cfs_period_us`]: '100000',
    };
    const after = { [`${point}/cpuacct.usage`]: '1750000000' };
    expect(second(files, after)).toMatchObject({ cpuRatio: 0.5, throttledRatio: 0, cpus: 1.5 });
  });

  it('reads a mount point with a blank in its name', () => {
    const files = {
      '/proc/self/cgroup': '0::/\n',
      '/proc/self/mountinfo': '35 24 0:30 / /mnt/c\\040groups rw - cgroup2 cgroup rw',
      '/mnt/c groups/cpu.stat': 'usage_usec 0\n',
      '/mnt/c groups/cpu.max': '100000 100000\n',
    };
    expect(second(files, {}).sources).toContain('cgroup-v2');
  });

  it.each<{ name: string; files: Record<string, string> }>([
    { name: 'macOS, Windows: no /proc', files: {} },
    { name: 'a /proc that is hidden', files: { '/proc/self/cgroup': '0::/\n' } },
    {
      name: 'nonsense',
      files: { '/proc/self/cgroup': '::::\n\u0000', '/proc/self/mountinfo': 'a - b\n-\n - cgroup2' },
    },
    {
      name: 'a group that cannot be read',
      files: {
        '/proc/self/cgroup': v2['/proc/self/cgroup'],
        '/proc/self/mountinfo': v2['/proc/self/mountinfo'],
      },
    },
    {
      name: 'a count that is none',
      files: { ...v2, [`${own}/cpu.stat`]: 'usage_usec many\n', '/sys/fs/cgroup/cpu.stat': '' },
    },
  ])('$name: the process against the machine', ({ files }) => {
    const machine = new Machine();
    machine.files = files;
    machine.cores = 4;
    const { signal, pass } = made({ cpuIntervalMs: 1000 }, machine);
    signal.start();
    machine.cpuMs = 2000;
    pass(1000);
    expect(signal.snapshot()).toMatchObject({
      cpuRatio: 0.5,
      throttledRatio: undefined,
      cpus: 4,
      sources: ['event-loop', 'timer-delay', 'process'],
    });
  });

  it('the user knows better', () => {
    const machine = new Machine();
    const { signal, pass } = made({ cpuIntervalMs: 1000, cpus: 0.5 }, machine);
    signal.start();
    machine.cpuMs = 400;
    pass(1000);
    expect(signal.snapshot()).toMatchObject({ cpuRatio: 0.8, cpus: 0.5 });
  });

  it('a group without a quota is the machine of others: this process counts', () => {
    const machine = new Machine();
    machine.files = { ...v2, [`${own}/cpu.max`]: 'max 100000\n' };
    const { signal, pass } = made({ cpuIntervalMs: 1000 }, machine);
    signal.start();
    machine.files = { ...machine.files, [`${own}/cpu.stat`]: 'usage_usec 99000000\n' };
    pass(1000);
    expect(signal.snapshot()).toMatchObject({ cpuRatio: 0, throttledRatio: undefined });
    expect(signal.snapshot().sources).toContain('process');
  });

  it('a count that falls, or a file that is gone for a while, is no load', () => {
    const machine = new Machine();
    machine.files = v2;
    const { signal, pass } = made({ cpuIntervalMs: 1000 }, machine);
    signal.start();
    machine.files = { ...v2, [`${own}/cpu.stat`]: 'usage_usec 100\n' };
    pass(1000);
    expect(signal.snapshot().cpuRatio).toBeUndefined();
    machine.files = {};
    pass(1000);
    machine.files = { ...v2, [`${own}/cpu.stat`]: 'usage_usec 2000100\n' };
    pass(1000);
    // 2 s of CPU in the 2 s since it was last read, of 2 CPUs.
    expect(signal.snapshot().cpuRatio).toBe(0.5);
  });
});

describe('the signal', () => {
  it('is 0 and idle until it is started', () => {
    const { signal, machine, clock } = made();
    expect(signal.value).toBe(0);
    expect(signal.snapshot()).toEqual({
      value: 0,
      eventLoopUtilization: undefined,
      eventLoopDelayMs: undefined,
      cpuRatio: undefined,
      throttledRatio: undefined,
      cpus: undefined,
      sources: [],
    });
    expect(machine.read).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it('looks at intervals, not at all time since the start', () => {
    const { signal, machine, pass } = made();
    machine.loop = { idle: 1e9, active: 0 };
    signal.start();
    pass(100, 0.9);
    expect(signal.snapshot().eventLoopUtilization).toBeCloseTo(0.9, 9);
    pass(100, 0.2);
    expect(signal.snapshot().eventLoopUtilization).toBeCloseTo(0.2, 9);
  });

  it('takes an idle time that fell by a rounding for none', () => {
    const { signal, machine, clock } = made();
    machine.loop = { idle: 50, active: 0 };
    signal.start();
    machine.loop = { idle: 50 - 1e-12, active: 100 };
    clock.advanceSync(100);
    expect(signal.snapshot().eventLoopUtilization).toBe(1);
  });

  it('notices a step from 0.6 to 1 within two intervals, and its end as soon', () => {
    const { signal, pass } = made();
    signal.start();
    pass(3000, 0.6);
    expect(signal.value).toBeCloseTo(0.6, 6);
    pass(100, 1);
    expect(signal.value).toBeCloseTo(1 - 0.4 * Math.exp(-100 / 150), 6);
    pass(100, 1);
    expect(signal.value).toBeGreaterThan(0.8);
    pass(3000, 1);
    expect(signal.value).toBeCloseTo(1, 6);
    pass(200, 0.6);
    expect(signal.value).toBeLessThan(0.8);
  });

  it('as late as kratos, with its numbers, but without the bias of whole numbers', () => {
    const { signal, pass } = made({ intervalMs: 500, smoothingMs: 9750 });
    signal.start();
    for (let half = 1; half <= 31; half++) pass(500, 1);
    // 33 samples with truncation, 32 without: 0.95 ** 32 = 0.194.
    expect(signal.value).toBeLessThan(0.8);
    pass(500, 1);
    expect(signal.value).toBeGreaterThan(0.8);
    pass(200_000, 0.8);
    expect(signal.value).toBeCloseTo(0.8, 6);
  });

  it.each([
    { name: 'being held back', usage: 5_100_000, throttled: 19, value: 0.9 },
    { name: 'CPU', usage: 6_800_000, throttled: 10, value: 0.9 },
    { name: 'more CPU than there is', usage: 50_000_000, throttled: 10, value: 1 },
  ])('is the highest of all: $name', ({ usage, throttled, value }) => {
    const machine = new Machine();
    machine.files = v2;
    const { signal, pass } = made({ cpuIntervalMs: 1000, smoothingMs: 0.001 }, machine);
    signal.start();
    machine.files = {
      ...v2,
      '/sys/fs/cgroup/system.slice/orders.service/cpu.stat': `usage_usec ${usage}\nnr_periods 110\nnr_throttled ${throttled}\n`,
    };
    pass(1000, 0.3);
    expect(signal.value).toBeCloseTo(value, 6);
  });

  it('counts how late its own timer is', () => {
    const machine = new Machine();
    let now = 0;
    let tick: () => void = () => undefined;
    const clock = {
      now: () => now,
      wallMs: () => now,
      after: (ms: number, run: () => void) => {
        expect(ms).toBe(100);
        tick = run;
        return { cancel: () => undefined };
      },
    };
    const signal = loadSignal({ clock, host: machine, smoothingMs: 0.001 });
    signal.start();
    for (const [at, delay, value] of [
      [100, 0, 0],
      [250, 50, 0.25],
      [550, 200, 1],
      [5000, 4350, 1],
      // Set back: not late, no number below zero, and from here it goes on.
      [0, 0, 1],
      [150, 50, 0.25],
    ] as const) {
      now = at;
      tick();
      expect(signal.snapshot().eventLoopDelayMs).toBe(delay);
      expect(signal.value).toBeCloseTo(value, 6);
    }
  });

  it('starts once, stops once, and reads 0 when it stands still', () => {
    const { signal, clock, pass, machine } = made();
    const stop = signal.start();
    signal.start();
    expect(clock.pending).toBe(1);
    pass(1000, 1);
    expect(signal.value).toBeGreaterThan(0.9);
    stop();
    stop();
    expect(clock.pending).toBe(0);
    expect(signal.value).toBe(0);
    const reads = machine.read.length;
    pass(1000, 1);
    expect(machine.read).toHaveLength(reads);
    signal.start();
    expect(signal.value).toBe(0);
    pass(1000, 1);
    expect(signal.value).toBeGreaterThan(0.9);
  });

  it('is not stopped by who stopped an earlier run', () => {
    const { signal, clock, pass } = made();
    const stopFirst = signal.start();
    stopFirst();
    const stop = signal.start();
    stopFirst();
    expect(clock.pending).toBe(1);
    pass(1000, 1);
    expect(signal.value).toBeGreaterThan(0.9);
    stop();
    expect(clock.pending).toBe(0);
  });

  it('looks at CPU no more often than told', () => {
    const { signal, machine, pass } = made({ cpuIntervalMs: 500 });
    machine.files = v2;
    signal.start();
    const before = machine.read.length;
    pass(1000, 0);
    // Each time the counters, the quota and the set.
    expect(machine.read.length - before).toBe(2 * 3);
  });

  it('answers where the platform tells nothing, and never throws', () => {
    const silent: LoadHost = {
      readFile: () => {
        throw new Error('no files');
      },
      eventLoop: () => {
        throw new Error('no loop');
      },
      processCpuMs: () => {
        throw new Error('no process');
      },
      cpus: () => {
        throw new Error('no machine');
      },
    };
    const clock = manualClock();
    const signal = loadSignal({ clock, host: silent });
    signal.start();
    clock.advanceSync(5000);
    expect(signal.snapshot()).toEqual({
      value: 0,
      eventLoopUtilization: undefined,
      eventLoopDelayMs: 0,
      cpuRatio: undefined,
      throttledRatio: undefined,
      cpus: 1,
      sources: ['timer-delay'],
    });
  });

  it.each([undefined, { idle: Number.NaN, active: 1 }])('does without a loop that counts %j', (loop) => {
    const machine = new Machine();
    machine.loop = loop;
    const { signal, clock } = made({}, machine);
    signal.start();
    clock.advanceSync(500);
    expect(signal.snapshot()).toMatchObject({ eventLoopUtilization: undefined, value: 0 });
    expect(signal.snapshot().sources).not.toContain('event-loop');
  });

  it('falls back to 0 when what it measured cannot be measured any more', () => {
    const machine = new Machine();
    machine.files = v2;
    const { signal, clock, pass } = made({}, machine);
    signal.start();
    machine.files = {
      ...v2,
      '/sys/fs/cgroup/system.slice/orders.service/cpu.stat': 'usage_usec 9900000\n',
    };
    pass(500, 1);
    expect(signal.value).toBeGreaterThan(0.9);
    machine.files = {};
    machine.loop = undefined;
    clock.advanceSync(2000);
    expect(signal.value).toBeLessThan(0.01);
    expect(signal.snapshot()).toMatchObject({ cpuRatio: undefined, eventLoopUtilization: undefined });
  });

  it('takes totals that stand still for no answer', () => {
    const { signal, clock } = made();
    signal.start();
    clock.advanceSync(500);
    expect(signal.snapshot().eventLoopUtilization).toBeUndefined();
  });

  it('works on this machine, whatever it is', async () => {
    const signal = loadSignal({ intervalMs: 1, cpuIntervalMs: 1 });
    const stop = signal.start();
    // Polled: how long the platform needs for a few intervals is not our matter.
    for (let turn = 0; turn < 10_000 && signal.snapshot().cpuRatio === undefined; turn++)
      await new Promise((resolve) => setTimeout(resolve, 1));
    const { value, cpuRatio, cpus, sources } = signal.snapshot();
    stop();
    expect(value).toBeGreaterThanOrEqual(0);
    expect(value).toBeLessThanOrEqual(1);
    expect(cpuRatio).toBeGreaterThanOrEqual(0);
    expect(cpus).toBeGreaterThan(0);
    expect(sources).toHaveLength(3);
  });

  it.each([
    [{ intervalMs: 0 }, /loadSignal\.intervalMs must be a number > 0, got 0/],
    [{ cpuIntervalMs: -1 }, /loadSignal\.cpuIntervalMs/],
    [{ smoothingMs: 0 }, /loadSignal\.smoothingMs/],
    [{ fullDelayMs: 0 }, /loadSignal\.fullDelayMs/],
    [{ cpus: 0 }, /loadSignal\.cpus/],
    [{ interval: 5 }, /loadSignal\.interval is not an option/],
  ])('%j is refused at construction', (options, message) => {
    expect(() => loadSignal(options as LoadSignalOptions)).toThrow(message);
  });

  it('has a default for every option', () => {
    expect(Object.keys(loadSignalDefaults).sort()).toEqual(
      ['clock', 'cpuIntervalMs', 'cpus', 'fullDelayMs', 'host', 'intervalMs', 'smoothingMs'].sort(),
    );
  });
});
