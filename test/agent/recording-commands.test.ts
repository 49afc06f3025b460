/** What central commands is done by the real recorder, and answered in words. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { RecorderNode } from '../../agent/recording/recorder-node.ts';
import { recordingCommands } from '../../agent/recording-commands.ts';
import type { OnCommand } from '../../sync/command-receiver.ts';
import { firstRecording, openNode } from './recording/node-fixtures.ts';
import { scratchFolder } from './recording/scratch-folder.ts';

const id = '5f1c0b52-9c0f-4a53-8f0c-5b8a1f5d9a11';
let node: RecorderNode;
let obey: OnCommand;
let fault: Error | null;

beforeEach(async () => {
  fault = null;
  const takeSnapshot = async () => {
    if (fault !== null) throw fault;
    return 'event-1';
  };
  node = await openNode(await scratchFolder(), { takeSnapshot });
  obey = recordingCommands(node);
});
afterEach(() => node.close());

const snapshot = { kind: 'snapshot', id, reason: 'r', preRollS: undefined, postRollS: undefined } as const;

test('a snapshot tells its event; one that no clip can hold is refused, one that the disk refuses has failed', async () => {
  expect(await obey(snapshot)).toMatchObject({ status: 'done', code: 'ok', values: { event_id: 'event-1' } });
  expect(await obey({ ...snapshot, preRollS: 3000 })).toMatchObject({ status: 'refused', code: 'too-large' });
  fault = new Error('ENOSPC');
  expect(await obey(snapshot)).toEqual({ status: 'failed', code: 'failed', message: 'ENOSPC' });
});

test('the recording is stopped and started, and stopping twice is no fault', async () => {
  const recording = firstRecording;
  expect(await obey({ kind: 'stop_recording', id })).toMatchObject({ status: 'done', values: { recording } });
  expect(await obey({ kind: 'stop_recording', id })).toMatchObject({ status: 'done', message: 'nothing was recorded' });
  expect((await obey({ kind: 'start_recording', id })).values?.recording).toMatch(/Z_000002$/);
  expect(node.stats().state).toBe('recording');
  await node.close();
  expect(await obey({ kind: 'start_recording', id })).toMatchObject({ status: 'failed', code: 'closed' });
});
