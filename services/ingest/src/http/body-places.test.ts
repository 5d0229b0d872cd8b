import { describe, expect, it } from 'vitest';
import { BodyPlaces } from './body-places.ts';

describe('BodyPlaces', () => {
  it('leaves places to others when one holder has all that it may', () => {
    const places = new BodyPlaces({ maxInFlight: 3, maxInFlightPerToken: 2 });
    expect([places.take('a'), places.take('a'), places.take('a')]).toEqual([
      undefined,
      undefined,
      'in_flight_per_token',
    ]);
    expect([places.take('b'), places.take('c')]).toEqual([undefined, 'in_flight']);
    places.giveBack('a');
    expect([places.take('c'), places.take('b')]).toEqual([undefined, 'in_flight']);
    expect(places.total).toBe(3);
  });

  it('ends where it began when all is given back', () => {
    const places = new BodyPlaces({ maxInFlight: 1, maxInFlightPerToken: 1 });
    for (let i = 0; i < 3; i += 1) {
      expect(places.take('a')).toBeUndefined();
      places.giveBack('a');
    }
    expect(places.total).toBe(0);
  });
});
