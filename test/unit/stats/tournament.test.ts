import fc from 'fast-check';
import { Tournament } from 'keelson/stats';
import { describe, expect, it } from 'vitest';

describe('Tournament', () => {
  it.each([1, 2, 3, 30, 1000])('is won by the first of %s equals', (size) => {
    expect(new Tournament(size).winner).toBe(0);
  });

  it.each([
    { numbers: [3, 1, 2], winner: 1 },
    { numbers: [3, 3, 3], winner: 0 },
    { numbers: [0, 0, -5], winner: 0 },
    { numbers: [Number.NaN, 1e299], winner: 1 },
    { numbers: [Number.POSITIVE_INFINITY, 1e12], winner: 1 },
    { numbers: [Number.NaN, Number.NaN], winner: 0 },
    { numbers: [1e-300, 0], winner: 1 },
    { numbers: [12.5, 12.499_999], winner: 1 },
  ])('of $numbers is won by $winner', ({ numbers, winner }) => {
    const tournament = new Tournament(numbers.length);
    numbers.forEach((number, place) => {
      tournament.set(place, number);
    });
    expect(tournament.winner).toBe(winner);
  });

  it('is won by the lowest after any changes', () => {
    const change = fc.record({ place: fc.nat(39), number: fc.double({ min: 0, max: 1e15, noNaN: true }) });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.array(change, { maxLength: 200 }), (size, changes) => {
        const tournament = new Tournament(size);
        const numbers = new Array<number>(size).fill(0);
        for (const { place, number } of changes) {
          tournament.set(place % size, number);
          numbers[place % size] = number;
          const won = numbers[tournament.winner] as number;
          // Its place takes the last bits of a number.
          expect(won).toBeLessThanOrEqual(Math.min(...numbers) * (1 + 2 ** -40) + Number.MIN_VALUE * 64);
        }
      }),
    );
  });

  it.each([0, -1, 2 ** 21])('refuses %s players', (size) => {
    expect(() => new Tournament(size)).toThrow(RangeError);
  });
});
