import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Outcome } from 'keelson/core';
import { cancelSource, createCall } from 'keelson/core';
import { abandonedBodies, connectFetch, httpProtocol } from 'keelson/http';
import { manualClock } from 'keelson/testing';
import { describe, expect, it, vi } from 'vitest';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const bytes = (text: string) => new TextEncoder().encode(text);
const endpoint = { id: 'a', url: 'http://127.0.0.1:1', weight: 100, metadata: {} };
const request = { method: 'GET', path: '/', init: undefined };
const call = () => createCall({ side: 'client', service: 'users', operation: 'GET' });

/** A body that the test feeds. */
function fed() {
  let controller!: ReadableStreamDefaultController<Uint8Array>;
  const cancelled = vi.fn();
  const stream = new ReadableStream<Uint8Array>({
    start: (c) => {
      controller = c;
    },
    cancel: cancelled,
  });
  return {
    stream,
    cancelled,
    push: (t: string) => controller.enqueue(bytes(t)),
    close: () => controller.close(),
    fail: (e: unknown) => controller.error(e),
  };
}

function watched(body: ConstructorParameters<typeof Response>[0], init?: ResponseInit) {
  const response = new Response(body, init);
  const ends: Outcome[] = [];
  const listening = httpProtocol.onEnd?.(response, (outcome) => ends.push(outcome));
  return { response, ends, listening };
}

describe('httpProtocol.onEnd', () => {
  it.each([
    ['text', (r: Response) => r.text(), 'abc'],
    ['json', (r: Response) => r.json(), { a: 1 }],
    ['arrayBuffer', async (r: Response) => Buffer.from(await r.arrayBuffer()).toString(), 'abc'],
    ['blob', async (r: Response) => (await r.blob()).size, 3],
    [
      'bytes',
      async (r: Response) =>
        Buffer.from(await (r as Response & { bytes(): Promise<Uint8Array> }).bytes()).toString(),
      'abc',
    ],
    ['formData', async (r: Response) => (await r.formData()).get('a'), 'b'],
  ] as const)('is told when %s has read it all', async (name, read, value) => {
    const body = { json: '{"a":1}', formData: new URLSearchParams('a=b') }[name as 'json'] ?? 'abc';
    const { response, ends, listening } = watched(body);
    expect(listening).toBe(true);
    expect(ends).toEqual([]);
    expect(await read(response)).toEqual(value);
    expect(ends).toEqual(['success']);
    expect(response.bodyUsed).toBe(true);
    expect(response.body).toBe(response.body);
    await expect(response.text()).rejects.toThrow(TypeError);
    expect(ends).toEqual(['success']);
  });

  it('leaves the response what it was', () => {
    const response = new Response('abc', { status: 201, statusText: 'Made', headers: { a: 'b' } });
    httpProtocol.onEnd?.(response, () => undefined);
    expect(response).toBeInstanceOf(Response);
    expect(response.constructor).toBe(Response);
    expect(Object.keys(response)).toEqual([]);
    expect(Object.prototype.toString.call(response)).toBe('[object Response]');
    expect([response.status, response.statusText, response.ok, response.headers.get('a')]).toEqual([
      201,
      'Made',
      true,
      'b',
    ]);
    expect(response.bodyUsed).toBe(false);
  });

  it('tells every listener, also when one throws', async () => {
    const { response, ends } = watched('abc');
    httpProtocol.onEnd?.(response, () => {
      throw new Error('mine');
    });
    httpProtocol.onEnd?.(response, (outcome) => ends.push(outcome));
    expect(await response.text()).toBe('abc');
    expect(ends).toEqual(['success', 'success']);
    expect(httpProtocol.onEnd?.(response, () => ends.push('failure'))).toBe(false);
    expect(ends).toHaveLength(2);
  });

  it.each([
    ['no body', new Response(null)],
    ['204', new Response(null, { status: 204 })],
    ['304', new Response(null, { status: 304 })],
    ['length 0', new Response('', { headers: { 'content-length': '0' } })],
    ['an error', Response.error()],
    [
      'an object that only looks like one',
      { status: 200, headers: new Headers(), body: 'x' } as unknown as Response,
    ],
    ['an object without a prototype', Object.assign(Object.create(null), { status: 200 }) as Response],
  ])('is over at once with %s', (_, response) => {
    expect(httpProtocol.onEnd?.(response, () => undefined)).toBe(false);
  });

  it('keeps what the status said', async () => {
    const { response, ends } = watched('abc', { status: 500 });
    await response.text();
    expect(ends).toEqual(['failure']);
  });

  it('takes a body that broke off for a failure, and one that is no JSON for a whole one', async () => {
    const { stream, push, fail } = fed();
    const broken = watched(stream);
    const text = broken.response.text();
    push('ab');
    const error = new TypeError('terminated', {
      cause: Object.assign(new Error(), { code: 'UND_ERR_SOCKET' }),
    });
    fail(error);
    await expect(text).rejects.toBe(error);
    expect(broken.ends).toEqual(['failure']);

    const whole = watched('{"a":');
    await expect(whole.response.json()).rejects.toThrow(SyntaxError);
    expect(whole.ends).toEqual(['success']);
  });

  it('is not confused by a second reader', async () => {
    const { response, ends } = watched('abc');
    const first = response.text();
    await expect(response.text()).rejects.toThrow(TypeError);
    await expect(response.json()).rejects.toThrow(TypeError);
    expect(await first).toBe('abc');
    await expect(response.arrayBuffer()).rejects.toThrow(TypeError);
    expect(() => response.clone()).toThrow(TypeError);
    expect(ends).toEqual(['success']);
  });
});

describe('the body as a stream', () => {
  const readAll = async (stream: ReadableStream<Uint8Array>) => {
    let text = '';
    for await (const chunk of stream) text += Buffer.from(chunk).toString();
    return text;
  };

  it.each([
    [
      'a reader',
      async (r: Response) => {
        const reader = (r.body as ReadableStream<Uint8Array>).getReader();
        let text = '';
        for (let part = await reader.read(); !part.done; part = await reader.read())
          text += Buffer.from(part.value).toString();
        return text;
      },
    ],
    [
      'a reader with buffers of its own',
      async (r: Response) => {
        const reader = (r.body as ReadableStream<Uint8Array>).getReader({ mode: 'byob' });
        let text = '';
        for (;;) {
          const { done, value } = await reader.read(new Uint8Array(2));
          if (done) return text;
          text += Buffer.from(value as Uint8Array).toString();
        }
      },
    ],
    ['an iterator', (r: Response) => readAll(r.body as ReadableStream<Uint8Array>)],
    [
      'a pipe',
      async (r: Response) => {
        let text = '';
        await r.body?.pipeTo(
          new WritableStream({
            write: (chunk: Uint8Array) => {
              text += Buffer.from(chunk).toString();
            },
          }),
        );
        return text;
      },
    ],
    [
      'a transform',
      async (r: Response) => {
        const text: string[] = [];
        for await (const part of (r.body as ReadableStream).pipeThrough(
          new TextDecoderStream(),
        ) as AsyncIterable<string>)
          text.push(part);
        return text.join('');
      },
    ],
    [
      'two branches',
      async (r: Response) => {
        const [a, b] = (r.body as ReadableStream<Uint8Array>).tee();
        const [x, y] = await Promise.all([readAll(a), readAll(b)]);
        expect(x).toBe(y);
        return x;
      },
    ],
    ['another response', (r: Response) => new Response(r.body).text()],
    [
      'a stream of text, where the platform has that',
      async (r: Response) => {
        const {
          textStream = async function* (this: Response) {
            yield await this.text();
          },
        } = r as { textStream?: () => AsyncIterable<string> };
        const text: string[] = [];
        for await (const part of textStream.call(r)) text.push(part);
        return text.join('');
      },
    ],
    [
      'text after a look at the body',
      (r: Response) => {
        expect(r.body).toBe(r.body);
        expect(r.bodyUsed).toBe(false);
        return r.text();
      },
    ],
    [
      'json after a look at the body',
      async (r: Response) => {
        expect(r.body).not.toBeNull();
        return String(await r.json());
      },
    ],
    [
      'a clone after a look at the body',
      async (r: Response) => {
        expect(r.body?.locked).toBe(false);
        const copy = r.clone();
        expect(copy.url).toBe(r.url);
        expect(copy.status).toBe(203);
        expect(copy.clone().status).toBe(203);
        expect(await r.text()).toBe('123456');
        return copy.text();
      },
    ],
  ])('read by %s', async (_, read) => {
    const { stream, push, close } = fed();
    const { response, ends } = watched(stream, { status: 203 });
    push('123');
    push('456');
    const reading = read(response);
    close();
    expect(await reading).toBe('123456');
    expect(ends).toEqual(['success']);
    expect(response.bodyUsed).toBe(true);
  });

  it('cancelled says nothing, and reaches the source', async () => {
    const { stream, cancelled, push } = fed();
    const { response, ends } = watched(stream);
    push('abc');
    for await (const chunk of response.body as ReadableStream<Uint8Array>) {
      expect(Buffer.from(chunk).toString()).toBe('abc');
      break;
    }
    expect(ends).toEqual(['ignored']);
    expect(cancelled).toHaveBeenCalledOnce();
  });

  it('broken off is a failure, with the error as it was', async () => {
    const { stream, push, fail } = fed();
    const { response, ends } = watched(stream);
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    push('abc');
    await reader.read();
    const error = Object.assign(new Error('gone'), { code: 'ECONNRESET' });
    fail(error);
    await expect(reader.read()).rejects.toBe(error);
    expect(ends).toEqual(['failure']);
  });

  it('passes over empty chunks', async () => {
    const { stream, push, close } = fed();
    const { response } = watched(stream);
    push('a');
    push('');
    push('b');
    close();
    expect(await readAll(response.body as ReadableStream<Uint8Array>)).toBe('ab');
  });
});

describe('clone', () => {
  it('is over when one branch has read all', async () => {
    const { response, ends } = watched('abc');
    const copy = response.clone();
    expect(await copy.text()).toBe('abc');
    expect(ends).toEqual(['success']);
    expect(await response.text()).toBe('abc');
    expect(ends).toEqual(['success']);
  });

  it('is over when both are cancelled', async () => {
    const { stream, push } = fed();
    const { response, ends } = watched(stream);
    push('a');
    const copy = response.clone();
    httpProtocol.discard?.(copy);
    expect(ends).toEqual([]);
    httpProtocol.discard?.(response);
    expect(ends).toEqual(['ignored']);
  });

  it('can be cloned and listened to again', async () => {
    const { response, ends } = watched('abc');
    const copy = response.clone().clone();
    httpProtocol.onEnd?.(copy, (outcome) => ends.push(outcome));
    expect(await copy.json().catch((error: Error) => error.name)).toBe('SyntaxError');
    expect(ends).toEqual(['success', 'success']);
  });
});

describe('httpProtocol.discard', () => {
  it('cancels a body nobody reads', () => {
    const { stream, cancelled } = fed();
    const { response, ends } = watched(stream);
    httpProtocol.discard?.(response);
    httpProtocol.discard?.(response);
    expect(cancelled).toHaveBeenCalledOnce();
    expect(ends).toEqual(['ignored']);
  });

  it('cancels one that was only looked at', async () => {
    const { stream, cancelled } = fed();
    const { response, ends } = watched(stream);
    expect(response.body).not.toBeNull();
    httpProtocol.discard?.(response);
    await Promise.resolve();
    expect(cancelled).toHaveBeenCalledOnce();
    expect(ends).toEqual(['ignored']);
  });

  it('leaves one that somebody reads', async () => {
    const { response, ends } = watched('abc');
    const text = response.text();
    httpProtocol.discard?.(response);
    expect(await text).toBe('abc');
    expect(ends).toEqual(['success']);
  });

  it('takes what has no body, and what nobody watches', () => {
    const { stream, cancelled } = fed();
    httpProtocol.discard?.(new Response(null));
    httpProtocol.discard?.(new Response(stream));
    expect(cancelled).toHaveBeenCalledOnce();
  });
});

describe('a body nobody touches', () => {
  it('is found by the garbage collector, and counted', async () => {
    const before = abandonedBodies();
    const ends: Outcome[] = [];
    (() => {
      for (let i = 0; i < 50; i++)
        httpProtocol.onEnd?.(new Response(fed().stream), (outcome) => ends.push(outcome));
    })();
    await vi.waitFor(() => {
      collect();
      expect(ends.length).toBe(50);
    });
    expect(new Set(ends)).toEqual(new Set(['ignored']));
    expect(abandonedBodies() - before).toBeGreaterThanOrEqual(50);
  });

  it('is not forgotten while its stream is read', async () => {
    const { stream, push, close } = fed();
    const ends: Outcome[] = [];
    const reader = (() => {
      const response = new Response(stream);
      httpProtocol.onEnd?.(response, (outcome) => ends.push(outcome));
      return (response.body as ReadableStream<Uint8Array>).getReader();
    })();
    for (let i = 0; i < 5; i++) {
      collect();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(ends).toEqual([]);
    push('abc');
    close();
    await reader.read();
    await reader.read();
    expect(ends).toEqual(['success']);
  });
});

describe('an abort while the body is read', () => {
  it.each([
    ['of the caller', new RangeError('mine'), 'ignored'],
    ['of nobody', undefined, 'failure'],
  ] as const)('%s', async (_, reason, outcome) => {
    const { stream, fail } = fed();
    const cancel = cancelSource();
    const { handler } = connectFetch(endpoint, { fetch: async () => new Response(stream) });
    const response = await handler(
      request,
      createCall({ side: 'client', service: 's', operation: 'o', cancel }),
    );
    const ends: Outcome[] = [];
    httpProtocol.onEnd?.(response, (end) => ends.push(end));
    const text = response.text();
    const error = reason ?? new Error('boom');
    if (reason) cancel.abort(reason);
    fail(error);
    await expect(text).rejects.toBe(error);
    expect(ends).toEqual([outcome]);
  });
});

describe('bodyIdleTimeoutMs', () => {
  const start = async (body: ConstructorParameters<typeof Response>[0]) => {
    const clock = manualClock();
    const { handler } = connectFetch(endpoint, {
      fetch: async () =>
        new Response(body, { status: 202, headers: { 'content-type': 'application/x-www-form-urlencoded' } }),
      bodyIdleTimeoutMs: 100,
      clock,
    });
    const response = await handler(request, call());
    const ends: Outcome[] = [];
    httpProtocol.onEnd?.(response, (end) => ends.push(end));
    return { clock, response, ends };
  };

  it('ends a body that is silent while it is read', async () => {
    const { stream, push, cancelled } = fed();
    const { clock, response, ends } = await start(stream);
    const text = response.text();
    const failed = expect(text).rejects.toMatchObject({ name: 'GovernanceError', code: 'BODY_IDLE' });
    push('a');
    await clock.advance(90);
    push('b');
    await clock.advance(90);
    expect(ends).toEqual([]);
    await clock.advance(20);
    await failed;
    expect(ends).toEqual(['failure']);
    expect(cancelled).toHaveBeenCalledOnce();
    expect(clock.pending).toBe(0);
  });

  it('does not take a slow reader for a silent server', async () => {
    const { stream, push, close } = fed();
    const { clock, response, ends } = await start(stream);
    await clock.advance(10_000);
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    const first = reader.read();
    push('a');
    await first;
    await clock.advance(10_000);
    close();
    expect((await reader.read()).done).toBe(true);
    expect(ends).toEqual(['success']);
  });

  it.each([
    ['text', (r: Response) => r.text(), 'a=b'],
    ['formData', async (r: Response) => (await r.formData()).get('a'), 'b'],
    [
      'a clone',
      async (r: Response) => {
        const copy = r.clone();
        expect(copy.status).toBe(202);
        expect(await r.text()).toBe('a=b');
        return copy.text();
      },
      'a=b',
    ],
  ])('changes nothing for %s in time', async (_, read, value) => {
    const { clock, response, ends } = await start('a=b');
    expect(await read(response)).toBe(value);
    expect(ends).toEqual(['success']);
    await expect(response.text()).rejects.toThrow(TypeError);
    await clock.advance(1000);
    expect(clock.pending).toBe(0);
  });
});
