import { chain, type Directories, groupsIn, type Mount, mountsIn } from './cgroup-place.js';
import { cpusInList, fieldIn, numberIn, quotaCpus, type ReadFile, textOf } from './cgroup-values.js';

/** What a control group says of its CPU, counted since it was made. */
export interface CgroupCpu {
  /** CPU time that all processes in it used; milliseconds. */
  readonly usedMs: number;
  /** Enforcement periods that passed; 0 without a quota. */
  readonly periods: number;
  /** Periods in which it was held back because its quota was used up. */
  readonly throttled: number;
  /** A quota is set, so that the group's use is what the kernel holds this process back by. */
  readonly limited: boolean;
  /** How many CPUs it may use: the smaller of quota and CPU set; `Infinity` if neither says. */
  readonly cpus: number;
}

/** Reads the group that bounds this process. */
export interface CgroupReader {
  /** Which generation of control groups. */
  readonly version: 'cgroup-v1' | 'cgroup-v2';
  /** One reading, or `undefined` if it cannot be read now. */
  read(): CgroupCpu | undefined;
}

/** The tightest quota binds, whichever level set it; what counts against it is used on that level. */
function tightest(directories: Directories, quota: (directory: string) => number): number {
  let best = 0;
  for (let at = 1; at < directories.length; at++)
    if (quota(directories[at] as string) < quota(directories[best] as string)) best = at;
  return best;
}

function readerV2(readFile: ReadFile, mount: Mount, group: string): CgroupReader {
  // A path that /proc names and the mount does not have belongs to another namespace.
  const named = chain(mount, group);
  const directories = textOf(readFile, `${named[0]}/cpu.stat`) === undefined ? chain(mount, '') : named;
  const quota = (directory: string): number => {
    const [limit, period] = textOf(readFile, `${directory}/cpu.max`)?.split(' ') ?? [];
    return quotaCpus(numberIn(limit), numberIn(period));
  };
  const binding = directories[tightest(directories, quota)] as string;
  return {
    version: 'cgroup-v2',
    read() {
      const stat = textOf(readFile, `${binding}/cpu.stat`);
      const usedMs = fieldIn(stat, 'usage_usec') / 1000;
      if (!(usedMs >= 0)) return undefined;
      const allowed = quota(binding);
      return {
        usedMs,
        periods: fieldIn(stat, 'nr_periods') || 0,
        throttled: fieldIn(stat, 'nr_throttled') || 0,
        limited: allowed !== Number.POSITIVE_INFINITY,
        cpus: Math.min(allowed, cpusInList(textOf(readFile, `${directories[0]}/cpuset.cpus.effective`))),
      };
    },
  };
}

function readerV1(
  readFile: ReadFile,
  directoriesOf: (controller: string) => Directories | undefined,
): CgroupReader | undefined {
  const accounts = directoriesOf('cpuacct');
  if (accounts === undefined) return undefined;
  const cpus = directoriesOf('cpu') ?? accounts;
  const sets = directoriesOf('cpuset')?.[0];
  const quota = (directory: string): number =>
    quotaCpus(
      numberIn(textOf(readFile, `${directory}/cpu.cfs_quota_us`)),
      numberIn(textOf(readFile, `${directory}/cpu.cfs_period_us`)),
    );
  const level = tightest(cpus, quota);
  const binding = cpus[level] as string;
  const account = accounts[Math.min(level, accounts.length - 1)] as string;
  return {
    version: 'cgroup-v1',
    read() {
      const usedMs = numberIn(textOf(readFile, `${account}/cpuacct.usage`)) / 1e6;
      if (!(usedMs >= 0)) return undefined;
      const stat = textOf(readFile, `${binding}/cpu.stat`);
      const set =
        sets &&
        (textOf(readFile, `${sets}/cpuset.effective_cpus`) ?? textOf(readFile, `${sets}/cpuset.cpus`));
      const allowed = quota(binding);
      return {
        usedMs,
        periods: fieldIn(stat, 'nr_periods') || 0,
        throttled: fieldIn(stat, 'nr_throttled') || 0,
        limited: allowed !== Number.POSITIVE_INFINITY,
        cpus: Math.min(allowed, cpusInList(set)),
      };
    },
  };
}

/**
 * Finds the control group that bounds this process: its own, not the mount's root, and of its ancestors the one with
 * the tightest quota. `undefined` where there are none: macOS, Windows, a `/proc` that is hidden.
 *
 * On a machine with both generations the one that has the cpu controller counts.
 *
 * Source: Linux `Documentation/admin-guide/cgroup-v1` and `cgroup-v2.rst`, `proc(5)` for mountinfo.
 */
export function findCgroup(readFile: ReadFile): CgroupReader | undefined {
  const groups = groupsIn(textOf(readFile, '/proc/self/cgroup') ?? '');
  const mounts = mountsIn(textOf(readFile, '/proc/self/mountinfo') ?? '');
  const first = readerV1(readFile, (controller) => {
    const group = groups.get(controller);
    const mount = mounts.find(({ type, options }) => type === 'cgroup' && options.includes(controller));
    if (group === undefined || mount === undefined) return undefined;
    const named = chain(mount, group);
    const probe =
      controller === 'cpuset' ? 'cpuset.cpus' : controller === 'cpu' ? 'cpu.shares' : 'cpuacct.usage';
    return textOf(readFile, `${named[0]}/${probe}`) === undefined ? chain(mount, '') : named;
  });
  if (first?.read() !== undefined) return first;
  const group = groups.get('');
  const mount = mounts.find(({ type }) => type === 'cgroup2');
  if (group === undefined || mount === undefined) return undefined;
  const second = readerV2(readFile, mount, group);
  return second.read() === undefined ? undefined : second;
}
