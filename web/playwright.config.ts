import { defineConfig } from '@playwright/test';

const real = Boolean(process.env.STARCHAT_URL);

// Debian's Chromium; --no-sandbox because containers rarely allow its sandbox.
export default defineConfig({
  testDir: 'tests',
  testMatch: '*.spec.ts',
  timeout: real ? 180_000 : 40_000,
  expect: { timeout: real ? 60_000 : 8_000 },
  workers: real ? 1 : 2,
  fullyParallel: !real,
  retries: 0,
  reporter: [['list']],
  use: {
    browserName: 'chromium',
    viewport: { width: 1280, height: 800 },
    launchOptions: { executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] },
    permissions: ['clipboard-read', 'clipboard-write'],
  },
});
