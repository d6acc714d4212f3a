import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { MalformedMessage, ProtobufReader } from '../../../src/http/protobuf-reader.js';

const reader = (...bytes: number[]) => new ProtobufReader(Buffer.from(bytes));

describe('ProtobufReader', () => {
  it.each([
    [[0], 0],
    [[0x7f], 127],
    [[0xac, 0x02], 300],
    [[0xff, 0xff, 0xff, 0xff, 0x0f], 2 ** 32 - 1],
    [[0x80, 0x80, 0x80, 0x80, 0x10], 2 ** 32],
  ])('reads the varint %j as %i', (bytes, value) => {
    const message = reader(...bytes);
    expect(message.varint()).toBe(value);
    expect(message.done).toBe(true);
  });

  it('passes over what it does not know, whatever its type', () => {
    const message = reader(0x05, 1, 2, 3, 4, 5, 6, 7, 8, 2, 9, 9, 1, 2, 3, 4, 0x2a);
    expect(message.content(0)).toBe(5);
    expect(message.content(1)).toHaveLength(8);
    expect(message.content(2)).toEqual(Buffer.from([9, 9]));
    expect(message.content(5)).toHaveLength(4);
    expect(message.varint()).toBe(42);
  });

  it.each<[string, number[], (message: ProtobufReader) => unknown]>([
    ['nothing', [], (message) => message.varint()],
    ['a varint without an end', [0x80], (message) => message.varint()],
    ['a varint of eleven bytes', Array(11).fill(0x80), (message) => message.varint()],
    ['a double of seven bytes', [1, 2, 3, 4, 5, 6, 7], (message) => message.double()],
    ['more than there is', [5, 1], (message) => message.delimited()],
    ['more than anybody has', [...Array(9).fill(0xff), 1], (message) => message.delimited()],
    ['a group', [0], (message) => message.content(3)],
  ])('refuses %s', (_what, bytes, read) => {
    expect(() => read(reader(...bytes))).toThrow(MalformedMessage);
  });
});
