import { defineConfig } from 'vitest/config';

/** Real parts (ttys, brokers, browsers, child processes) need patience, not retries. */
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
  },
});
