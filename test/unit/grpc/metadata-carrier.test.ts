import { Metadata } from '@grpc/grpc-js';
import { carrier, type createCall } from 'keelson/core';
import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { attemptDeadline, attemptMetadata } from '../../../src/grpc/attempt-start.js';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { grpcMetadata, MetadataCarrier } from '../../../src/grpc/metadata-carrier.js';

describe('metadata as headers', () => {
  it('reads text, joined, and bytes as base64', () => {
    const metadata = new Metadata();
    metadata.add('one', 'a');
    metadata.add('two', 'a');
    metadata.add('Two', 'b');
    metadata.add('raw-bin', Buffer.from([1, 2]));
    metadata.add('raws-bin', Buffer.from([1]));
    metadata.add('raws-bin', Buffer.from([255]));
    const headers = new MetadataCarrier(metadata);
    expect(['one', 'TWO', 'raw-bin', 'raws-bin', 'none'].map((name) => headers.get(name))).toEqual([
      'a',
      'a, b',
      'AQI=',
      'AQ==, /w==',
      undefined,
    ]);
    expect([...headers.keys()]).toEqual(['one', 'two', 'raw-bin', 'raws-bin']);
  });

  it('writes in place of what was there, bytes from base64', () => {
    const metadata = new Metadata();
    metadata.add('color', 'red');
    metadata.add('color', 'green');
    metadata.add('raw-bin', Buffer.from([9]));
    const headers = new MetadataCarrier(metadata);
    headers.set('Color', 'blue');
    headers.set('RAW-bin', 'AQ==, /w==');
    expect(metadata.get('color')).toEqual(['blue']);
    expect(metadata.get('raw-bin')).toEqual([Buffer.from([1]), Buffer.from([255])]);
    expect(() => headers.set('color', 'grün')).toThrow('illegal characters');
    expect(() => headers.set('a color', 'x')).toThrow('illegal characters');
    expect(metadata.get('color')).toEqual(['blue']);
  });

  it('forks: attempts do not see what others write', () => {
    const headers = new MetadataCarrier(new Metadata({ waitForReady: true }));
    headers.set('a', '1');
    const other = headers.fork();
    other.set('a', '2');
    expect([headers.get('a'), other.get('a')]).toEqual(['1', '2']);
    expect(grpcMetadata(other).getOptions()).toEqual({ waitForReady: true });
  });

  it('is made of whatever carrier a middleware put in its place', () => {
    const metadata = grpcMetadata(carrier({ Color: 'blue', 'raw-bin': 'AQI=' }));
    expect(metadata.toJSON()).toEqual({ color: ['blue'], 'raw-bin': [Buffer.from([1, 2])] });
  });
});

type Call = ReturnType<typeof createCall>;

describe('an attempt', () => {
  const at = (deadline: number, pickedAt: number | undefined) =>
    ({ deadline, attempt: { pickedAt } }) as unknown as Call;

  it('of one answer has what is left of its call, a stream its own deadline', () => {
    const left = (call: Call, single = true) =>
      attemptDeadline({ single, deadline: 5_000_000_000_000 } as never, call) - Date.now();
    expect(left(at(1500, 1000))).toBeGreaterThan(450);
    expect(left(at(1500, 1000))).toBeLessThanOrEqual(500);
    expect(left(at(1000, 1500))).toBeLessThanOrEqual(0);
    expect(left(at(performance.now() + 500, undefined))).toBeLessThanOrEqual(500);
    expect(left(at(Number.POSITIVE_INFINITY, 0))).toBe(Number.POSITIVE_INFINITY);
    expect(left(at(1500, 1000), false)).toBeGreaterThan(1_000_000_000);
  });

  it('waits for a connection only if there is no other endpoint', () => {
    const metadata = new Metadata({ waitForReady: true });
    metadata.set('a', '1');
    const headers = new MetadataCarrier(metadata);
    const sent = (choices: number | undefined) => attemptMetadata({ headers, attempt: { choices } } as never);
    expect(sent(1)).toBe(metadata);
    expect(sent(3).getOptions().waitForReady).toBe(false);
    expect(sent(3).get('a')).toEqual(['1']);
    expect(metadata.getOptions().waitForReady).toBe(true);
  });
});
