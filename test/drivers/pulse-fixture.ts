/**
 * A real ALSA capture device without hardware: a private PulseAudio server with an 8-channel null sink, whose monitor arecord hears
 * through ALSA's pulse plugin. What is played comes back bit for bit. Touches nothing of the user's sound.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** The order ALSA's pulse plugin takes for 8 channels; the same everywhere, so that PulseAudio never remixes. */
const CHANNEL_MAP = 'front-left,front-right,rear-left,rear-right,front-center,lfe,side-left,side-right';
const TOOLS = { recorder: 'arecord', server: 'pulseaudio', player: 'pacat' };

/** The tools of Debian's packages alsa-utils, pulseaudio and pulseaudio-utils that are missing here, or null when all are there. */
export function missingForPulse(): string | null {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const missing = Object.values(TOOLS).filter((tool) => !folders.some((folder) => isExecutable(join(folder, tool))));
  return missing.length === 0 ? null : missing.join(', ');
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export interface PulseFixture {
  /** The ALSA PCM to give to arecord: 8 channels, 48 kHz, 16 bit. */
  readonly device: string;
  /** What arecord must find in its environment, besides the usual. */
  readonly env: Readonly<Record<string, string>>;
  /** Plays raw Int16 [frames × 8] at 48 kHz: a file's path, or the bytes. Resolves when all of it was played. */
  play(sound: string | Uint8Array): Promise<void>;
  /** Takes the device away, as a pulled plug does. */
  unplug(): Promise<void>;
  /** Gives it back. Resolves when it can be opened. */
  plug(): Promise<void>;
  /** Ends the server and removes its folder. */
  stop(): Promise<void>;
}

/** Starts the server; resolves when the device can be opened. */
export async function startPulse(): Promise<PulseFixture> {
  const folder = await mkdtemp(join(tmpdir(), 'fender-pulse-'));
  const socket = join(folder, 'run', 'native');
  await mkdir(join(folder, 'run'), { mode: 0o700 });
  await writeFile(
    join(folder, 'asound.conf'),
    `pcm.array { type pulse server "unix:${socket}" device "array.monitor" }\n`,
  );
  const privateEnv = {
    ...process.env,
    HOME: folder,
    XDG_RUNTIME_DIR: join(folder, 'run'),
    DBUS_SESSION_BUS_ADDRESS: 'disabled:',
  };
  let server: ChildProcess | null = null;

  const plug = async () => {
    const started = spawn(TOOLS.server, serverArguments(socket), { env: privateEnv, stdio: 'ignore' });
    server = started;
    for (let attempt = 0; attempt < 200; attempt++) {
      if (started.exitCode !== null) throw new Error(`pulseaudio ended with code ${started.exitCode}`);
      if (await accepts(socket)) return;
      await delay(50);
    }
    throw new Error(`pulseaudio did not listen on ${socket} within 10 s`);
  };
  const unplug = async () => {
    const running = server;
    server = null;
    if (running === null || running.exitCode !== null || running.signalCode !== null) return;
    running.kill('SIGKILL');
    await once(running, 'exit');
    await rm(socket, { force: true });
  };
  const play = async (sound: string | Uint8Array) => {
    const format = ['--raw', '--format=s16le', '--rate=48000', '--channels=8', `--channel-map=${CHANNEL_MAP}`];
    const args = ['--playback', '--device=array', ...format, ...(typeof sound === 'string' ? [sound] : [])];
    const player = spawn(TOOLS.player, args, {
      env: { ...privateEnv, PULSE_SERVER: `unix:${socket}` },
      stdio: ['pipe', 'ignore', 'inherit'],
    });
    player.stdin.on('error', () => {});
    player.stdin.end(typeof sound === 'string' ? undefined : sound);
    const [code] = await once(player, 'exit');
    if (code !== 0) throw new Error(`pacat ended with code ${code}`);
  };
  await plug();
  return {
    device: 'array',
    env: { ALSA_CONFIG_PATH: join(folder, 'asound.conf') },
    play,
    unplug,
    plug,
    stop: async () => {
      await unplug();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function serverArguments(socket: string): string[] {
  // Without rewinds the sink works in blocks of 50 ms instead of 2 s, as sound hardware does.
  const sink = `module-null-sink sink_name=array norewinds=1 format=s16le rate=48000 channels=8 channel_map=${CHANNEL_MAP}`;
  return [
    '-n',
    '--daemonize=no',
    '--exit-idle-time=-1',
    '--use-pid-file=no',
    '--disable-shm',
    '--realtime=no',
    '--high-priority=no',
    ...['-L', sink],
    ...['-L', `module-native-protocol-unix auth-anonymous=1 socket=${socket}`],
  ];
}

function accepts(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(socket);
    probe.on('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.on('error', () => resolve(false));
  });
}
