/**
 * Which share of a limit a call of that priority may fill: `1 - ratio` of it below zero, `1 + ratio` above. How far from
 * zero makes no difference, and what is no number counts as zero.
 */
export function priorityShare(priority: number | undefined, ratio: number): number {
  if (priority === undefined) return 1;
  return priority < 0 ? 1 - ratio : priority > 0 ? 1 + ratio : 1;
}
