interface Entry {
  readonly at: number;
  readonly order: number;
  readonly run: (now: number) => void;
}

function earlier(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** What happens when, as a binary heap: a simulation of a million calls must not search a list for each. */
export class EventQueue {
  private readonly heap: Entry[] = [];
  private order = 0;

  /** Puts in something that happens then; of one time, first in is first out. */
  add(at: number, run: (now: number) => void): void {
    const { heap } = this;
    const entry: Entry = { at, order: this.order++, run };
    let index = heap.length;
    heap.push(entry);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent] as Entry;
      if (!earlier(entry, above)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = entry;
  }

  /** Runs everything, in order of time, also what is added meanwhile. */
  drain(): void {
    for (let next = this.take(); next; next = this.take()) next.run(next.at);
  }

  private take(): Entry | undefined {
    const { heap } = this;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || first === last) return first;
    let index = 0;
    for (;;) {
      let child = index * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && earlier(heap[child + 1] as Entry, heap[child] as Entry)) child++;
      if (!earlier(heap[child] as Entry, last)) break;
      heap[index] = heap[child] as Entry;
      index = child;
    }
    heap[index] = last;
    return first;
  }
}
