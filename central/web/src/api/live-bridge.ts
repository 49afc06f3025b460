/** Puts what the live feed says into the query cache, so that every page shows it without asking again. */
import type { QueryClient } from '@tanstack/react-query';
import type { ServerEvent } from './event-stream.ts';
import type { LiveListener } from './live-feed.ts';
import type { LiveStore } from './live-store.ts';
import type { Command, ImpactEvent, LatestStream, LatestStreams, LiveSample, Vehicle, VehicleDetail } from './types.ts';

/** Lists are asked for again at most this often, however fast events come. */
const refreshListsMs = 500;
const patchLatestMs = 250;

function parse<Body>(event: ServerEvent): Body | null {
  try {
    return JSON.parse(event.data) as Body;
  } catch {
    return null;
  }
}

/** One listener for the feed: samples and impacts into `store`, everything into the cache of `client`. */
export function createLiveBridge(client: QueryClient, store: LiveStore): LiveListener {
  let lists: ReturnType<typeof setTimeout> | undefined;
  let patch: ReturnType<typeof setTimeout> | undefined;
  const waiting = new Map<string, LiveSample>();

  const refreshLists = () => {
    if (lists !== undefined) return;
    lists = setTimeout(() => {
      lists = undefined;
      void client.invalidateQueries({ queryKey: ['events'] });
      void client.invalidateQueries({ queryKey: ['vehicles'] });
    }, refreshListsMs);
  };

  const patchLatest = () => {
    patch = undefined;
    for (const sample of waiting.values()) {
      client.setQueryData<LatestStreams>(
        ['latest', sample.vehicle],
        (before) => before && { streams: withSample(before.streams, sample) },
      );
    }
    waiting.clear();
  };

  const onSample = (sample: LiveSample) => {
    store.addSample(sample);
    waiting.set(`${sample.vehicle}\n${sample.stream}`, sample);
    if (patch === undefined) patch = setTimeout(patchLatest, patchLatestMs);
  };

  const onVehicle = ({ id, online }: { id: string; online: boolean }) => {
    client.setQueryData<VehicleDetail>(['vehicle', id], (before) => before && { ...before, online });
    const known = client.getQueryData<{ vehicles: readonly Vehicle[] }>(['vehicles']);
    if (known && !known.vehicles.some((vehicle) => vehicle.id === id)) refreshLists();
    client.setQueryData<{ vehicles: readonly Vehicle[] }>(
      ['vehicles'],
      (before) => before && { vehicles: before.vehicles.map((one) => (one.id === id ? { ...one, online } : one)) },
    );
  };

  /** Times of the vehicle were put right: everything that shows one is asked for again. */
  const onClock = (vehicle: string) => {
    store.forget(vehicle);
    for (const key of ['vehicle', 'latest', 'history']) void client.invalidateQueries({ queryKey: [key, vehicle] });
    void client.invalidateQueries({ queryKey: ['event'] });
    void client.invalidateQueries({ queryKey: ['sensors'] });
    refreshLists();
  };

  return {
    event(event) {
      if (event.name === 'sample') {
        const sample = parse<LiveSample>(event);
        if (sample) onSample(sample);
      } else if (event.name === 'impact') {
        const impact = parse<ImpactEvent>(event);
        if (!impact) return;
        store.addImpact(impact);
        refreshLists();
      } else if (event.name === 'clip' || event.name === 'update') {
        const clip = parse<{ event_id: string }>(event);
        if (clip) void client.invalidateQueries({ queryKey: ['event', clip.event_id] });
        refreshLists();
      } else if (event.name === 'vehicle') {
        const vehicle = parse<{ id: string; online: boolean }>(event);
        if (vehicle) onVehicle(vehicle);
      } else if (event.name === 'clock') {
        const clock = parse<{ vehicle: string }>(event);
        if (clock) onClock(clock.vehicle);
      } else if (event.name === 'command') {
        const command = parse<Command>(event);
        if (command) client.setQueryData<Command>(['command', command.id], command);
      }
    },
    reopened() {
      void client.invalidateQueries();
    },
  };
}

/** The streams with `sample` as the newest of its stream; older samples (a vehicle catching up) change nothing. */
export function withSample(streams: readonly LatestStream[], sample: LiveSample): readonly LatestStream[] {
  const at = Date.parse(sample.captured_at);
  const known = streams.find(({ stream }) => stream === sample.stream);
  if (known && Date.parse(known.captured_at) >= at) return streams;
  const fresh: LatestStream = {
    stream: sample.stream,
    captured_at: sample.captured_at,
    captured_at_ns: `${BigInt(at) * 1_000_000n}`,
    clock: sample.clock,
    values: { ...known?.values, ...sample.values },
  };
  return known ? streams.map((one) => (one === known ? fresh : one)) : [...streams, fresh];
}
