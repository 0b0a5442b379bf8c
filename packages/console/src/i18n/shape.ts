/** What a language must have: English's own keys; of a plural, Chinese has one form. */
import type { first } from './en/first.ts';
import type { later } from './en/later.ts';

type Translation<T> = {
  [K in keyof T as K extends `${string}_one` ? never : K]: T[K] extends string ? string : Translation<T[K]>;
};

export type First = Translation<typeof first>;
export type Later = Translation<typeof later>;
