/** Asks the vehicle for a snapshot of the last and next seconds, and says what came of it. */
import { useMutation, useQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import { commandQuery, takeSnapshot } from '../../api/queries.ts';
import type { Command } from '../../api/types.ts';

export function SnapshotButton({ vehicle, online }: { readonly vehicle: string; readonly online: boolean }) {
  const asking = useMutation({ mutationFn: () => takeSnapshot(vehicle) });
  const command = useQuery(commandQuery(vehicle, asking.data)).data;
  const waiting = asking.isPending || command?.state === 'pending';
  return (
    <div className="snapshot">
      <button type="button" className="button" disabled={waiting} onClick={() => asking.mutate()}>
        Take snapshot
      </button>
      <p className="snapshot-state" role="status">
        {asking.isError && <span className="snapshot-bad">Not asked: {asking.error.message}</span>}
        {!asking.isError && command !== undefined && <Outcome command={command} online={online} />}
      </p>
    </div>
  );
}

const badWords = { refused: 'Refused', failed: 'Failed', expired: 'No answer' } as const;

function Outcome({ command, online }: { readonly command: Command; readonly online: boolean }) {
  const { state, message, values } = command;
  if (state === 'pending') {
    return online ? 'Asked; the vehicle records the next seconds …' : 'Asked; waiting for the vehicle to come online …';
  }
  if (state !== 'done') {
    return (
      <span className="snapshot-bad">
        {badWords[state]}: {message}
      </span>
    );
  }
  const event = values.event_id;
  return (
    <>Snapshot taken. {event !== undefined && <Link href={`/events/${encodeURIComponent(event)}`}>Open it</Link>}</>
  );
}
