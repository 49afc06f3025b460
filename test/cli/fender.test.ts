import { spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { startAgent, until } from '../end-to-end/processes.ts';
import { filesBelow } from '../fault/bag-contents.ts';

const PROGRAM = join(import.meta.dirname, '../../bin/fender.ts');
const folder = mkdtempSync(join(tmpdir(), 'fender-cli-'));

interface Result {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

function fender(...args: string[]): Promise<Result> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [PROGRAM, ...args], {
      cwd: join(PROGRAM, '../..'),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [out, err] = ['', ''];
    child.stdout.on('data', (bytes: Buffer) => {
      out += bytes.toString();
    });
    child.stderr.on('data', (bytes: Buffer) => {
      err += bytes.toString();
    });
    child.on('close', (status) => resolve({ status, out, err }));
  });
}

describe('help and wrong use', () => {
  const subcommands = [
    'demo',
    'agent',
    'central',
    'doctor',
    'evaluate',
    'replay',
    'record',
    'record start',
    'record stop',
    'record status',
    'snapshot',
    'bag',
    'bag info',
    'bag verify',
    'bag recover',
    'bag export',
    'bag cut',
    'bag merge',
    'model',
    'model inspect',
    'model verify',
    'model bench',
    'model pack',
  ];

  test.each(subcommands)('fender %s --help tells the usage and the exit status', async (name) => {
    const { status, out } = await fender(...name.split(' '), '--help');
    expect(status).toBe(0);
    expect(out).toContain(`Usage: fender ${name}`);
    expect(out).toMatch(/Exit status:\n {2}0 {2}done/);
  });

  test.each([
    [['fly'], "unknown command 'fly'"],
    [['evaluate'], "required option '--clips <csv>' not specified"],
    [['evaluate', '--clips', 'clips.csv'], 'expected one of --model and --folds'],
    [['central', '--http-port=many'], "--http-port: expected a whole number from 0 to 65535, found 'many'"],
    [['demo', '--sound', '/nothing/here'], 'expected a file or folder, found nothing at /nothing/here'],
    [['agent', '--config', '/nothing/agent.yaml'], '/nothing/agent.yaml'],
    [['record', 'status', '--config', '/nothing/agent.yaml'], '/nothing/agent.yaml'],
    [['bag', 'cut', 'drive'], '(fender bag cut --help shows what can be said)'],
    [['record', 'pause'], "unknown command 'pause'"],
    [['snapshot', '--pre-roll', 'much'], "--pre-roll: expected seconds from 0, found 'much'"],
  ])('fender %j ends with 2 and says what was expected', async (args, words) => {
    const { status, err } = await fender(...(args as string[]));
    expect(err).toContain(words);
    expect(err).not.toMatch(/\n {4}at /);
    expect(status).toBe(2);
  });

  test('a wrong key in the configuration is named with file, line, what was expected and what was found', async () => {
    const path = join(folder, 'wrong.yaml');
    writeFileSync(path, 'vehicle:\n  id: v1\nrecorder:\n  segment_s: soon\n  fsync: 3\n');
    const { status, err } = await fender('agent', '--config', path);
    expect(status).toBe(2);
    expect(err).toMatch(/wrong\.yaml:4.*recorder\.segment_s.*expected a number from 1 to 86400.*found.*soon/s);
    expect(err).toMatch(/wrong\.yaml:5.*recorder\.fsync.*fsync_ms/s);
  });

  test('the printed configuration is understood as it is', async () => {
    const { out, status } = await fender('agent', '--print-config');
    expect(status).toBe(0);
    const path = join(folder, 'default.yaml');
    writeFileSync(path, out);
    expect((await fender('agent', '--config', path, '--check-config')).status).toBe(0);
  });
});

describe('rendered sound', () => {
  const wav = join(folder, 'drive.wav');

  beforeAll(async () => {
    const { status, out } = await fender('demo', '--render', wav, '--seconds', '60', '--seed', '3');
    expect({ status, out }).toMatchObject({ status: 0, out: expect.stringContaining('impacts') });
  });

  test('replay prints one JSON line an impact, at the time it was rendered', async () => {
    const { status, out, err } = await fender('replay', wav);
    expect({ status, err }).toEqual({ status: 0, err: '' });
    const found = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { onset_s: number; label: string; score: number });
    const truth = readFileSync(join(folder, 'drive.csv'), 'utf8')
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => line.split(','));
    const heard = truth.filter(([label, onset]) =>
      found.some((impact) => impact.label === label && Math.abs(impact.onset_s - Number(onset)) < 1),
    );
    expect(heard.length / truth.length, out).toBeGreaterThanOrEqual(0.6);
    expect(found.length).toBeLessThanOrEqual(truth.length + 1);
  });

  test('replay finds its model from anywhere, and ends quietly when its reader has enough', async () => {
    const child = spawn(process.execPath, [PROGRAM, 'replay', 'drive.wav'], { cwd: folder });
    let err = '';
    child.stderr.on('data', (bytes: Buffer) => {
      err += bytes.toString();
    });
    const lines: string[] = [];
    child.stdout.once('data', (bytes: Buffer) => {
      lines.push(bytes.toString());
      child.stdout.destroy();
    });
    const status = await new Promise((resolve) => child.once('close', resolve));
    expect(lines.join('')).toContain('onset_s');
    // 0 where it was done before its reader went away.
    expect([0, 1]).toContain(status);
    expect(err).toBe('');
  });

  test('replay of something else says what it expected', async () => {
    const { status, err } = await fender('replay', PROGRAM);
    expect(status).not.toBe(0);
    expect(err).toContain('fender.ts');
    expect(err).not.toMatch(/\n {4}at /);
  });
});

describe('a bag', () => {
  let bag: string;

  beforeAll(async () => {
    const data = join(folder, 'agent');
    const agent = startAgent(folder, {
      vehicle: { id: 'cli-1' },
      data_dir: data,
      sensors: { particulate: { device: 'emulated' }, bme680: { device: 'emulated' }, uma8: { source: 'generated' } },
      detector: { enabled: false },
      sync: { enabled: false },
      health: { listen: { port: 0 } },
    });
    await until('sound', () => agent.output.includes('sound is coming in'), { processes: [agent] });
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    expect(await agent.end('SIGTERM')).toBe(0);
    bag = filesBelow(join(data, 'recordings'), '.mcap')[0] ?? 'no bag';
  });

  test('info tells topics, counts and times of a whole one', async () => {
    const { status, out } = await fender('bag', 'info', bag, '--json');
    const [info] = JSON.parse(out);
    expect(status).toBe(0);
    expect(info.complete).toBe(true);
    const topics = info.topics.map(({ topic }: { topic: string }) => topic);
    expect(topics).toEqual(expect.arrayContaining(['/uma8/audio', '/bme680/temperature', '/plantower/particulate']));
  });

  test('info takes several bags, as a shell makes of a pattern, and says when there are none', async () => {
    const { status, out } = await fender('bag', 'info', bag, dirname(bag), '--json');
    expect(status).toBe(0);
    expect(JSON.parse(out)).toHaveLength(2);
    const none = join(folder, 'no-bags');
    mkdirSync(none);
    expect((await fender('bag', 'info', none)).status).toBe(1);
  });

  test('info and verify look at every path, whatever is wrong with another, and end with the worst status', async () => {
    const [empty, torn] = [join(folder, 'empty'), join(folder, 'torn-too.mcap')];
    mkdirSync(empty);
    copyFileSync(bag, torn);
    truncateSync(torn, Math.floor(readFileSync(bag).length * 0.7));
    for (const command of ['info', 'verify']) {
      const paths = [torn, join(folder, 'nothing'), bag, empty, PROGRAM];
      const { status, out, err } = await fender('bag', command, ...paths);
      expect(status, command).toBe(1);
      expect(out).toContain(`${torn}`);
      expect(out).toContain(`${bag}`);
      expect(err.match(/^fender: /gm)).toHaveLength(3);
      expect((await fender('bag', command, torn, bag)).status, command).toBe(3);
      expect((await fender('bag', command, join(folder, 'nothing'))).status).toBe(1);
    }
    const written = `${bag.replace(/.*\//, `${folder}/`)}.active`;
    copyFileSync(torn, written);
    expect((await fender('bag', 'verify', written)).status).toBe(0);
    const info = await fender('bag', 'info', written);
    expect(info.status).toBe(0);
    expect(info.out).toContain('still being written');
  });

  test('a torn one is told by info with status 3, and recovered to a whole one', async () => {
    const torn = join(folder, 'torn.mcap');
    copyFileSync(bag, torn);
    truncateSync(torn, Math.floor(readFileSync(bag).length * 0.7));
    expect((await fender('bag', 'info', torn)).status).toBe(3);
    const whole = join(folder, 'whole.mcap');
    const recovery = await fender('bag', 'recover', torn, whole);
    expect(recovery.status).toBe(3);
    const info = await fender('bag', 'info', whole, '--json');
    expect(info.status).toBe(0);
    expect(JSON.parse(info.out)[0].messages).toBeGreaterThan(10);
  });

  test('doctor names what is wrong with its cure, and ends with 3', async () => {
    const path = join(folder, 'doctor.yaml');
    writeFileSync(
      path,
      `data_dir: ${folder}\nsensors: {particulate: {device: /dev/ttyNOT_THERE}}\nsync: {url: "mqtt://127.0.0.1:1"}\n`,
    );
    const { status, out } = await fender('doctor', '--config', path);
    expect(out).toMatch(/✗ .*ttyNOT_THERE/);
    expect(out).toContain('→');
    expect(status).toBe(3);
  });
});
