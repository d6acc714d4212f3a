/** How a thread's event loop spent its time since it began, in milliseconds. */
export interface LoopTimes {
  /** Waiting for something to happen. */
  readonly idle: number;
  /** Running what happened. */
  readonly active: number;
}

/** What a load signal asks of the machine. Given as an option, a test is a table; any of them may throw. */
export interface LoadHost {
  /** The text of a small file, at once. Only files below `/proc/self` and `/sys/fs/cgroup` are asked for. */
  readFile(path: string): string;
  /** Totals of this thread's event loop, or `undefined` where the platform does not count them. */
  eventLoop(): LoopTimes | undefined;
  /** CPU time that all threads of the process used; milliseconds. */
  processCpuMs(): number | undefined;
  /** CPUs of the machine that the process may run on. */
  cpus(): number;
}
