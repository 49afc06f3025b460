/** What central may command: the recorder does it, and says what came of it. */
import type { CommandOutcome, OnCommand, VehicleCommand } from '../sync/command-receiver.ts';
import { RecordingError } from './bag/error.ts';
import type { RecordingControl } from './recording/recorder-node.ts';

/** The handler of the sync session. What the recorder cannot do is `refused` when the request is at fault, else `failed`. */
export function recordingCommands(control: Pick<RecordingControl, 'start' | 'stop' | 'snapshot'>): OnCommand {
  return async (command) => {
    try {
      return await obey(control, command);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (!(error instanceof RecordingError)) return { status: 'failed', code: 'failed', message };
      return { status: error.code === 'too-large' ? 'refused' : 'failed', code: error.code, message };
    }
  };
}

async function obey(
  control: Pick<RecordingControl, 'start' | 'stop' | 'snapshot'>,
  command: VehicleCommand,
): Promise<CommandOutcome> {
  if (command.kind === 'snapshot') {
    const { reason, preRollS, postRollS } = command;
    const snapshot = await control.snapshot({ reason, preRollS, postRollS });
    return done('the event is on the disk, its clip follows', { event_id: snapshot.eventId });
  }
  if (command.kind === 'start_recording') {
    const recording = await control.start();
    return done(`${recording} is recorded`, { recording });
  }
  const recording = await control.stop();
  if (recording === null) return done('nothing was recorded', {});
  return done(`${recording} is whole and closed`, { recording });
}

function done(message: string, values: Readonly<Record<string, string>>): CommandOutcome {
  return { status: 'done', code: 'ok', message, values };
}
