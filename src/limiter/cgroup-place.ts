/** A group's directory and those of its ancestors, innermost first. */
export type Directories = readonly [string, ...string[]];

/** A control group file system in this process's view. */
export interface Mount {
  /** What of the hierarchy is mounted. */
  readonly root: string;
  /** Where. */
  readonly point: string;
  /** `cgroup` for v1, `cgroup2`. */
  readonly type: string;
  /** Controllers of a v1 hierarchy, among others. */
  readonly options: readonly string[];
}

/** `36 35 98:0 /root /point rw,noatime shared:1 - cgroup cgroup rw,cpu`; blanks in paths are octal. */
export function mountsIn(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ');
    const [, , , root, point] = before.split(' ').map(unescaped);
    const [type = '', , options = ''] = after.split(' ');
    return root && point && type.startsWith('cgroup')
      ? [{ root, point, type, options: options.split(',') }]
      : [];
  });
}

function unescaped(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** Controller → path of this process's group, from `/proc/self/cgroup`; the controller of v2 is ''. */
export function groupsIn(text: string): Map<string, string> {
  const groups = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^\d+:([^:]*):(\/.*)$/.exec(line);
    for (const controller of match?.[1]?.split(',') ?? []) groups.set(controller, match?.[2] as string);
  }
  return groups;
}

/**
 * The directories of a group and of its ancestors, innermost first. A container sees its group at the mount's root
 * while `/proc` may still name the path outside; then the mount point is all there is.
 */
export function chain({ root, point }: Mount, group: string): Directories {
  const base = root === '/' ? '' : root;
  const inside = group === base || group.startsWith(`${base}/`) ? group.slice(base.length) : '';
  const names = inside.split('/').filter((name) => name !== '');
  const reachable = names.includes('..') ? [] : names;
  const directories = reachable.map((_, at) => `${point}/${reachable.slice(0, at + 1).join('/')}`);
  const [innermost = point, ...outer] = [point, ...directories].reverse();
  return [innermost, ...outer];
}
