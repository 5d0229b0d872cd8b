import { expect, it } from 'vitest';
import { OpenQuestions } from './open-questions.ts';

const BYTES = 1_000;

function putAll(questions: OpenQuestions, freeBytes: number): number {
  let put = 0;
  while (questions.mayPut(freeBytes)) {
    questions.put();
    put += 1;
  }
  return put;
}

it('awaits few answers at first, many small ones, and no two that would not fit', () => {
  const questions = new OpenQuestions(BYTES);
  expect(putAll(questions, BYTES)).toBe(4);
  for (let i = 0; i < 4; i += 1) questions.ended(10);
  expect(putAll(questions, BYTES)).toBe(16);
  for (let i = 0; i < 16; i += 1) questions.ended(i === 15 ? 600 : 10);
  expect(putAll(questions, BYTES)).toBe(1);
  questions.ended(undefined);
  expect(putAll(questions, 1_200)).toBe(2);
});

it('puts one, however large it may be, as long as anything is free', () => {
  const questions = new OpenQuestions(BYTES);
  expect([questions.mayPut(1), questions.mayPut(0)]).toEqual([true, false]);
});
