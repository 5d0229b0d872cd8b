import { expect, it } from 'vitest';
import { priceMark } from './format.ts';

it.each([
  [0.25, [100, 100.25, 100.5, 100.75], ['100.00', '100.25', '100.50', '100.75']],
  [2.5, [7.5, 10], ['7.5', '10.0']],
  [0.1, [0.3, 0.4], ['0.3', '0.4']],
  [25, [1_225, 1_250], ['1,225', '1,250']],
  [0.000_025, [0.000_075], ['0.000075']],
  [1e-13, [0], ['0.000000000000']],
])('tells prices that are %d apart by as many digits as the step has', (step, prices, marks) => {
  expect(prices.map((price) => priceMark(price, step))).toEqual(marks);
});
