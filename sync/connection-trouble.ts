/** Turns what a connection attempt can throw into what a person can do about it. */

import { SyncError } from './wire/error.ts';

/** `url` without user name and password, for messages. */
export function withoutSecrets(url: string): string {
  return url.replace(/\/\/[^@/]*@/, '//');
}

/** A `connection` error that names the broker, what went wrong and the cure. Always retryable. */
export function connectionTrouble(url: string, cause: unknown): SyncError {
  const broker = withoutSecrets(url);
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const text = cause instanceof Error ? cause.message : String(cause);
  return new SyncError('connection', `broker ${broker}: ${[code, text].filter(Boolean).join(' ')}`, {
    cause,
    retryable: true,
    cure: cureOf(code, text, broker),
  });
}

const cures: readonly (readonly [RegExp, string])[] = [
  [/ECONNREFUSED/, 'Nothing listens there: start central or the broker, or correct the address in the configuration.'],
  [/ENOTFOUND|EAI_AGAIN/, 'The host name does not resolve: check the address and the network’s name service.'],
  [
    /ENETUNREACH|EHOSTUNREACH|ETIMEDOUT/,
    'There is no way to that host: check the network connection and the firewall.',
  ],
  [/CERT_HAS_EXPIRED/, 'A certificate has expired: renew it, and check that the vehicle’s clock is right.'],
  [
    /CERT_NOT_YET_VALID/,
    'The certificate is not valid yet: the vehicle’s clock is probably wrong; wait for time synchronisation.',
  ],
  [
    /ALTNAME_INVALID/,
    'The broker’s certificate is for another name: use that name in the address or issue a new certificate.',
  ],
  [
    /SELF_SIGNED|UNABLE_TO_(VERIFY|GET)/,
    'The broker’s certificate is not signed by the configured authority: set the right CA file.',
  ],
  [/KEY_VALUES_MISMATCH/, 'The client key does not belong to the client certificate: set the matching pair.'],
  [/ENOENT|EACCES/, 'A certificate or key file cannot be read: check its path and rights.'],
  [
    /ERR_SSL|EPROTO|alert/i,
    'The TLS handshake failed: check that the address is a TLS port and the client certificate is accepted.',
  ],
  [/^5 |Not authorized/i, 'The broker refuses this vehicle: check its certificate, user name and access rules.'],
  [/^4 |Bad username/i, 'The broker refuses user name or password: correct them in the configuration.'],
  [/^2 |Identifier rejected/i, 'The broker refuses the vehicle id as client id: choose another id.'],
  [
    /closed again|ECONNRESET/,
    'The broker closed the connection: check its log, and that no second vehicle uses the same id.',
  ],
  [
    /no answer|connack/i,
    'Something listens there but does not speak MQTT in time: check the port and the broker’s load.',
  ],
];

function cureOf(code: string, text: string, broker: string): string {
  const found = cures.find(([pattern]) => pattern.test(`${code} ${text}`));
  return found?.[1] ?? `Check that a broker runs at ${broker} and that the network is up.`;
}
