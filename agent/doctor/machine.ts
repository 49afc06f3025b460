/** Looks at the machine: Node, data folder, disk, clock. */
import { constants } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { isPossibleTime, readClockQuality } from '../clock-quality.ts';
import { readDisk } from '../health/machine.ts';
import { type Check, failed, ok, reasonOf, warn } from './check.ts';

const LEAST_NODE = 24;
const LEAST_FREE_BYTES = 2_000_000_000;
const ERROR_FREE_BYTES = 200_000_000;

export async function checkNode(): Promise<Check> {
  const found = `Node ${process.version} on ${process.arch}`;
  if (Number(process.versions.node.split('.')[0]) >= LEAST_NODE) return ok('node', found);
  return failed(
    'node',
    found,
    `Start fender through npm, which brings Node ${LEAST_NODE}: npm run -s fender -- doctor`,
  );
}

/** The folder, or the nearest folder above it that exists, can be written; and whether an agent uses it. */
export async function checkDataFolder(folder: string): Promise<Check> {
  const path = resolve(folder);
  const existing = await nearestExisting(path);
  try {
    await access(existing, constants.W_OK | constants.X_OK);
  } catch (error) {
    const cure = `Make ${path} and give it to the user that runs fender: sudo install -d -o $USER ${path}`;
    return failed('data_dir', `${existing} cannot be written: ${reasonOf(error)}`, cure);
  }
  const holder = await runningAgent(path);
  if (holder !== null) {
    return ok('data_dir', `${path} can be written; agent ${holder} is using it`);
  }
  return ok('data_dir', existing === path ? `${path} can be written` : `${path} can be made in ${existing}`);
}

/** The process of the agent that uses a data folder; null when none does. */
export async function runningAgent(folder: string): Promise<string | null> {
  const [holder = ''] = (await readFile(join(resolve(folder), 'agent.lock'), 'utf8').catch(() => '')).split(' ');
  return holder !== '' && (await isAlive(holder)) ? holder : null;
}

export async function checkDisk(folder: string): Promise<Check> {
  const disk = await readDisk(await nearestExisting(resolve(folder)));
  if (disk === null)
    return warn('disk', 'the room on the disk cannot be told', 'Check that data_dir is on a local disk.');
  const found = `${(disk.freeBytes / 1e9).toFixed(1)} of ${(disk.totalBytes / 1e9).toFixed(1)} GB free`;
  if (disk.freeBytes >= LEAST_FREE_BYTES) return ok('disk', found);
  const cure = 'Free room or lower recorder.disk_share: an hour of eight channels takes 2.8 GB.';
  return disk.freeBytes < ERROR_FREE_BYTES ? failed('disk', found, cure) : warn('disk', found, cure);
}

export async function checkClock(): Promise<Check> {
  const { synchronised, estimatedErrorNs, source } = await readClockQuality(true);
  const nowMs = Date.now();
  if (synchronised && isPossibleTime(nowMs)) {
    const error = estimatedErrorNs === null ? '' : `, error at most ${(Number(estimatedErrorNs) / 1e6).toFixed(1)} ms`;
    return ok('clock', `synchronised, as ${source} says${error}`);
  }
  const cure =
    'Install chrony or enable systemd-timesyncd, and give the vehicle a network: sudo timedatectl set-ntp true';
  const vote = source === 'none' ? 'nobody vouches for the clock' : `${source} does not vouch for the clock`;
  const reading = isPossibleTime(nowMs) ? '' : `, and it shows the impossible time ${new Date(nowMs).toISOString()}`;
  return warn('clock', `${vote}${reading}`, cure);
}

async function nearestExisting(path: string): Promise<string> {
  for (let each = path; ; each = dirname(each)) {
    const exists = await access(each).then(
      () => true,
      () => false,
    );
    if (exists || dirname(each) === each) return each;
  }
}

function isAlive(pid: string): Promise<boolean> {
  return access(`/proc/${pid}`).then(
    () => true,
    () => false,
  );
}
