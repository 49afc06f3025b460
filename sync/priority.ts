/** How important what the outbox holds is. */

/** Classes of what may be given up when room is short, the first to go first: 0 recordings, 1 telemetry, 2 events. */
export const priorities = ['recordings', 'telemetry', 'events'] as const;
export type Priority = (typeof priorities)[number];
