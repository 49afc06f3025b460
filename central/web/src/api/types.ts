/**
 * The shapes of the REST API as the dashboard reads them: taken from the service's own schemas, as types only, and made
 * readonly, because answers are shared by everything that shows them.
 */
import type * as contract from '../../../api/schemas.ts';

type DeepReadonly<Value> = Value extends string | number | boolean | null | undefined
  ? Value
  : { readonly [Key in keyof Value]: DeepReadonly<Value[Key]> };

export type Vehicle = DeepReadonly<contract.Vehicle>;
export type VehicleDetail = DeepReadonly<contract.VehicleDetail>;
export type Diagnostic = DeepReadonly<contract.Diagnostic>;
export type DiagnosticLevel = Diagnostic['level'];
export type LatestStreams = DeepReadonly<contract.Latest>;
export type LatestStream = LatestStreams['streams'][number];
export type History = DeepReadonly<contract.History>;
/** Bucketed values of one field; the arrays are of one length, `t` in milliseconds since 1970, rising. */
export type HistoryField = History['fields'][string];
export type Clip = DeepReadonly<contract.Clip>;
export type ImpactEvent = DeepReadonly<contract.Event>;
export type EventReading = ImpactEvent['readings'][number];
export type EventPage = DeepReadonly<contract.EventList>;
export type EventSensors = DeepReadonly<contract.Sensors>;
export type SensorSeries = DeepReadonly<contract.SensorSeries>;
export type Ledger = DeepReadonly<contract.Ledger>;
export type LedgerStream = DeepReadonly<contract.LedgerStream>;
export type Clock = contract.Clock;
export type Command = DeepReadonly<contract.Command>;
export type LiveSample = DeepReadonly<contract.LiveSample>;
