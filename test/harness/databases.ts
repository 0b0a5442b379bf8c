/**
 * The databases that the suite runs on: PGlite always, and a PostgreSQL of the suite's own where one is installed.
 *
 * `npm test` starts that PostgreSQL and hands its address to the test files in BERTH_TEST_POSTGRES.
 */
import { randomBytes } from 'node:crypto';
import pg from 'pg';

export interface TestDatabase {
  name: 'PGlite' | 'PostgreSQL';
  /** Why it cannot be used on this machine; false when it can. */
  skip: string | false;
  /** A fresh, empty database's URL; null for the embedded one. */
  create(): Promise<string | null>;
}

const server = process.env['BERTH_TEST_POSTGRES'];

export const databases: TestDatabase[] = [
  { name: 'PGlite', skip: false, create: () => Promise.resolve(null) },
  {
    name: 'PostgreSQL',
    skip: server === undefined && 'needs PostgreSQL 15 or later (package postgresql)',
    async create() {
      const name = `berth_${randomBytes(6).toString('hex')}`;
      const client = new pg.Client({ connectionString: server });
      await client.connect();
      await client.query(`create database ${name}`);
      await client.end();
      const url = new URL(server ?? '');
      url.pathname = `/${name}`;
      return url.href;
    },
  },
];
