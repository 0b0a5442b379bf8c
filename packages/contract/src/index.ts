/** What crosses a process boundary: paths, HTTP schemas, the error catalogue. Imports nothing of ours. */
export * from './paths.ts';
export * from './errors.ts';
export * from './common.ts';
export * from './vocabulary.ts';
export * from './environment.ts';
export * from './ssh-key.ts';
export * from './port.ts';
export * from './account.ts';
export * from './platform.ts';
export * from './customer.ts';
export * from './image.ts';
export * from './dataset.ts';
export * from './audit.ts';
export * from './backup.ts';
export * from './control.ts';
